"""The two stores as the cloud has them: a PostgreSQL with Cloud SQL's users, a Redis that knows Valkey's commands."""

import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess

from authority import Authority
from place import Fault, Place, demand, free_port, until

DATABASE = "license"
# What Memorystore for Valkey documents, as far as services, `migrate` and their scripts use it.
COMMANDS = (
    "eval evalsha info flushall del exists get hdel hexists hget hincrby hlen hmget hset persist pexpire pttl "
    "rename set time unlink zadd zcard zcount zrange zrangebyscore zrem zscore hgetall hkeys"
)
_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{directory}'
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
wal_level = replica
archive_mode = on
archive_command = 'test ! -f "{archive}/%f" && cp "%p" "{archive}/%f"'
# A machine that crashes has nothing to keep of a rehearsal.
fsync = off
"""
# Cloud SQL lets nobody in without TLS, and takes an access token as a password in clear.
_DOORS = "local all postgres trust\nlocal replication postgres trust\nhostssl all all 127.0.0.1/32 password\n"


def _program(name: str) -> str:
    """A program of PostgreSQL: the newest one of this machine."""
    places = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda it: int(it.parts[4]))
    found = str(places[-1]) if places else shutil.which(name)
    if not found:
        raise Fault(f"{name} is not on this machine; ./dev test installs PostgreSQL")
    return found


def _seat_server() -> str:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise Fault("neither valkey-server nor redis-server is on this machine; ./dev test installs one")
    return found


class Postgres:
    """A server, its base backup and the archive of its log, from which an earlier point is restored."""

    def __init__(self, place: Place):
        self.place, self.port = place, free_port()
        self.directory = place.folder("postgres", of_stores=True)
        self.archive = place.folder("archive", of_stores=True)
        self.authority = Authority(place.folder("postgres-authority"), "project:records")
        self.data = self.directory / "data"
        place.as_store(
            [
                _program("initdb"),
                "-D",
                str(self.data),
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "-A",
                "trust",
                "-N",
            ]
        )
        self._configure()
        self.server = None
        self.start()

    def _configure(self):
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(port=self.port, directory=self.directory, archive=self.archive))
        (self.data / "pg_hba.conf").write_text(_DOORS)
        self.authority.give(self.data, self.place.account)

    def start(self):
        """Start the server, and wait until it takes writes."""
        who = self.place.account
        self.server = self.place.start(
            "postgres",
            [_program("postgres"), "-D", str(self.data)],
            {"PATH": os.environ["PATH"], "LC_ALL": "C"},
            uid=who and who.pw_uid,
            gid=who and who.pw_gid,
        )

        def writable():
            demand(self.server.alive(), f"PostgreSQL ended:\n{self.server.tail()}")
            return self._psql("select not pg_is_in_recovery()", "postgres").stdout.strip() == "t"

        until(writable, "PostgreSQL", 60)

    def stop(self):
        """End it, closing connections (a fast shutdown)."""
        self.server.stop(signal.SIGINT)

    def _psql(self, sql: str, database: str) -> subprocess.CompletedProcess:
        words = [
            "psql",
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(self.directory),
            "-p",
            str(self.port),
            "-U",
            "postgres",
            "-d",
            database,
        ]
        return subprocess.run(words, input=sql, capture_output=True, text=True, check=False)

    def sql(self, text: str, database: str = DATABASE) -> str:
        """What statements of the superuser answer, whom Cloud SQL keeps for itself."""
        done = self._psql(text, database)
        demand(done.returncode == 0, f"PostgreSQL refused: {done.stderr.strip()[:500]}")
        return done.stdout.strip()

    def make_as_cloud_sql(self, tokens: dict, migrator: str):
        """The database and the users as the platform root has Cloud SQL make them. A user's password is its token."""
        self.sql("create role cloudsqlsuperuser nologin createrole createdb in role pg_monitor", "postgres")
        self.sql(f"create database {DATABASE} owner cloudsqlsuperuser", "postgres")
        for user, token in tokens.items():
            member = "in role cloudsqlsuperuser" if user == migrator else ""
            self.sql(f"""create role "{user}" login {member} password '{token}'""")

    @property
    def url(self) -> str:
        """Where it is, without a user, as the platform root says it."""
        return f"postgres://127.0.0.1:{self.port}/{DATABASE}"

    def back_up(self):
        """A base backup, which every point from now on can be restored from."""
        self.place.as_store(
            [
                "pg_basebackup",
                "-h",
                str(self.directory),
                "-p",
                str(self.port),
                "-U",
                "postgres",
                "-D",
                str(self.directory / "backup"),
                "-c",
                "fast",
                "-X",
                "none",
            ]
        )

    def mark(self, name: str):
        """A point that can be restored; what follows goes into another segment of the log."""
        self.sql(f"select pg_create_restore_point('{name}')")

    def restore(self, name: str):
        """A new server at the marked point, as a clone of Cloud SQL is one: the old one stays where it was, stopped."""
        segment = self.sql("select pg_walfile_name(pg_current_wal_lsn())")
        self.sql("select pg_switch_wal()")
        until((self.archive / segment).exists, "the archive of the log")
        self.stop()
        self.data = self.directory / "backup"
        with (self.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(
                f'restore_command = \'cp "{self.archive}/%f" "%p"\'\n'
                f"recovery_target_name = '{name}'\nrecovery_target_action = 'promote'\n"
            )
        (self.data / "recovery.signal").touch()
        if self.place.account:
            os.chown(self.data / "recovery.signal", self.place.account.pw_uid, self.place.account.pw_gid)
        self.port = free_port()
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.port}\n")
        self.start()


class Redis:
    """A server that speaks TLS alone, evicts nothing and lets `default` in by a token, for documented commands only."""

    def __init__(self, place: Place, tokens: list):
        self.place, self.port = place, free_port()
        self.directory = place.folder("redis", of_stores=True)
        self.authority = Authority(place.folder("redis-authority"), "seats")
        self.authority.give(self.directory, place.account)
        may = " ".join(f"+{name}" for name in COMMANDS.split())
        passwords = " ".join(f">{token}" for token in tokens)
        # Whoever looks after a managed server; nobody else knows this.
        self.password = secrets.token_urlsafe(24)
        settings = self.directory / "redis.conf"
        settings.write_text(
            f"bind 127.0.0.1\nport 0\ntls-port {self.port}\ntls-cert-file {self.directory}/server.pem\n"
            f'tls-key-file {self.directory}/server.key\ntls-auth-clients no\nsave ""\nappendonly no\n'
            f"maxmemory 1gb\nmaxmemory-policy noeviction\ndir {self.directory}\n"
            f"user provider on >{self.password} ~* &* +@all\n"
            f"user default reset on {passwords} ~* -@all {may}\n"
        )
        settings.chmod(0o600)
        if place.account:
            os.chown(settings, place.account.pw_uid, place.account.pw_gid)
        who = place.account
        self.server = place.start(
            "redis",
            [_seat_server(), str(settings)],
            {"PATH": os.environ["PATH"]},
            uid=who and who.pw_uid,
            gid=who and who.pw_gid,
        )
        until(lambda: "Ready to accept connections" in self.server.tail() or not self.server.alive(), "Redis")
        demand(self.server.alive(), f"Redis ended:\n{self.server.tail()}")

    def refused(self) -> list:
        """What it refused, by its own log."""
        words = [
            "redis-cli",
            "-p",
            str(self.port),
            "--tls",
            "--cacert",
            str(self.authority.directory / "ca.pem"),
            "--user",
            "provider",
            "--no-auth-warning",
            "--json",
            "ACL",
            "LOG",
        ]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": self.password},
        )
        demand(done.returncode == 0 and done.stdout.startswith("["), f"Redis has no log: {done.stdout}{done.stderr}")
        return [f"{entry['reason']} {entry['object']}" for entry in json.loads(done.stdout)]

    @property
    def url(self) -> str:
        """Where it is, as the platform root says it."""
        return f"rediss://127.0.0.1:{self.port}"

"""The two stores as the cloud has them: a PostgreSQL with Cloud SQL's users, a Redis that knows Valkey's commands."""

import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess

from authority import Authority
from doors import Backend, Door
from place import ROOT, Fault, Place, demand, free_port, until

DATABASE = "license"
_STORES = ROOT / "tests/cloud/stores"
# What `default` may call.
COMMANDS = [
    line for line in (_STORES / "commands.txt").read_text("utf-8").splitlines() if line and not line.startswith("#")
]
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


class Programs:
    """The programs of both servers: those that the cloud has where they can be fetched, this machine's elsewhere."""

    def __init__(self, place: Place):
        self.directory = place.folder("programs")
        # The account of the stores reads them.
        self.directory.chmod(0o755)
        done = subprocess.run(
            [_STORES / "fetch", str(self.directory)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # What was not had is said on a line of its own.
            check=False,
        )
        self.had = done.stdout.strip().splitlines()

    def postgres(self, name: str) -> str:
        """A program of PostgreSQL's server."""
        fetched = self.directory / "postgres/bin" / name
        if fetched.exists():
            return str(fetched)
        places = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda it: int(it.parts[4]))
        found = str(places[-1]) if places else shutil.which(name)
        if not found:
            raise Fault(f"{name} is not on this machine; ./dev test installs PostgreSQL")
        return found

    def seats(self) -> str:
        """The server of the seats."""
        fetched = self.directory / "valkey/valkey-server"
        found = str(fetched) if fetched.exists() else shutil.which("valkey-server") or shutil.which("redis-server")
        if not found:
            raise Fault("neither valkey-server nor redis-server is on this machine; ./dev test installs one")
        return found


class Postgres:
    """A server, its base backup and the archive of its log, from which an earlier point is restored."""

    def __init__(self, place: Place, programs: Programs):
        self.place, self.programs, self.port = place, programs, free_port()
        self.directory = place.folder("postgres", of_stores=True)
        self.archive = place.folder("archive", of_stores=True)
        self.authority = Authority(place.folder("postgres-authority"), "project:records")
        self.data = self.directory / "data"
        place.as_store(
            [
                programs.postgres("initdb"),
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
            [self.programs.postgres("postgres"), "-D", str(self.data)],
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
        """A base backup, which every point from now on can be restored from.

        By hand, because pg_basebackup serves no server that is newer than itself, and of the newer one only the server
        is fetched.
        """
        backup = self.directory / "backup"
        self.sql(
            "select pg_backup_start('rehearsal', true);\n"
            f"\\! cp -a '{self.data}' '{backup}'\n"
            f"\\o '{backup}/backup_label'\n"
            "select labelfile from pg_backup_stop();"
        )
        label = backup / "backup_label"
        demand("START WAL" in label.read_text(), "the base backup has no label")
        if self.place.account:
            os.chown(label, self.place.account.pw_uid, self.place.account.pw_gid)
        # What belongs to the server that runs; the log comes from the archive.
        (backup / "postmaster.pid").unlink()
        for segment in (backup / "pg_wal").iterdir():
            if segment.is_file():
                segment.unlink()

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
    """A server behind TLS that evicts nothing and lets `default` in by a token, for documented commands only.

    The door in front speaks TLS: the server that is fetched was built without.
    """

    def __init__(self, place: Place, programs: Programs, tokens: list):
        self.place = place
        self.directory = place.folder("redis", of_stores=True)
        self.authority = Authority(place.folder("redis-authority"), "seats")
        may = " ".join(f"+{name.lower()}" for name in COMMANDS)
        passwords = " ".join(f">{token}" for token in tokens)
        # Whoever looks after a managed server; nobody else knows this.
        self.password = secrets.token_urlsafe(24)
        settings, self.socket = self.directory / "redis.conf", self.directory / "socket"
        settings.write_text(
            f'port 0\nunixsocket {self.socket}\nunixsocketperm 700\nsave ""\nappendonly no\n'
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
            [programs.seats(), str(settings)],
            {"PATH": os.environ["PATH"]},
            uid=who and who.pw_uid,
            gid=who and who.pw_gid,
        )
        until(lambda: self.socket.exists() or not self.server.alive(), "Redis")
        demand(self.server.alive(), f"Redis ended:\n{self.server.tail()}")
        self.door = Door("127.0.0.1", 0, self.authority, {None: Backend(path=str(self.socket))})

    def refused(self) -> list:
        """What it refused, by its own log."""
        words = ["redis-cli", "-s", str(self.socket), "--user", "provider", "--no-auth-warning", "--json", "ACL", "LOG"]
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
        return f"rediss://127.0.0.1:{self.door.port}"

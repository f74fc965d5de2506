"""Draws the values of secrets. A value goes from openssl to Secret Manager over pipes, past files and arguments."""

import re
import sys

from environments import Environment, check_project
from failures import Failure
from programs import unreadable
from streams import say

DRAWN = ("HANDLE_KEY", "LICENSE_PEPPER", "WEBHOOK_KEY")
PREVIOUS = "_PREVIOUS"
CANARY_KEY = "CANARY_LICENSE_KEY"
MAIL_URL = "MAIL_URL"
VERSION = re.compile(r"/versions/([0-9]+)$")
VERSIONS = [{"name": VERSION.search}]
KEY = re.compile(r"^([0-9]{1,3}):[A-Za-z0-9_-]+$")
# What it means is checked by notify, which names what is wrong when it starts.
MAIL_SERVER = re.compile(r"smtps?://[!-~]+")


def secret_id(variable: str) -> str:
    """The secret that holds the value of a variable, as opentofu/modules/secrets names it."""
    return variable.lower().replace("_", "-")


class SecretStore:
    """The secrets of one environment."""

    def __init__(self, runner, name: str):
        self.runner = runner
        self.environment = Environment(name)
        check_project(runner, self.environment)

    def _words(self, *arguments) -> list:
        return ["gcloud", "secrets", *arguments, f"--project={self.environment.project}"]

    def _gcloud(self, *arguments, **options):
        return self.runner.run(self._words(*arguments), capture=True, **options).output.strip()

    def versions(self, secret: str) -> list:
        """The numbers of the enabled versions, newest first."""
        question = self._words("versions", "list", secret_id(secret), "--filter=state:ENABLED", "--format=json")
        listed = self.runner.ask(question, VERSIONS, empty=[])
        return sorted((int(VERSION.search(one["name"]).group(1)) for one in listed), reverse=True)

    def value(self, secret: str, version: int) -> str:
        return self._gcloud("versions", "access", str(version), f"--secret={secret_id(secret)}")

    def add(self, secret: str, value: str) -> int:
        command = ("versions", "add", secret_id(secret), "--data-file=-", "--format=value(name)")
        name = self._gcloud(*command, feed=value)
        found = re.search(r"(?:^|/)([0-9]+)$", name)
        if not found:
            raise unreadable(self._words(*command), name)
        return int(found.group(1))

    def exists(self, secret: str) -> bool:
        return bool(self._gcloud("list", f"--filter=name~/{secret_id(secret)}$", "--format=value(name)"))

    def create(self, secret: str):
        self._gcloud("create", secret_id(secret), "--replication-policy=automatic")

    def let_read(self, secret: str, account: str):
        role = "--role=roles/secretmanager.secretAccessor"
        self._gcloud("add-iam-policy-binding", secret_id(secret), f"--member=serviceAccount:{account}", role)

    def draw(self, number: int) -> str:
        """32 random bytes as base64url, under a number from 1 to 255."""
        drawn = self.runner.run(["openssl", "rand", "-base64", "32"], capture=True).output.strip()
        return f"{number}:{drawn.replace('+', '-').replace('/', '_').rstrip('=')}"


def number_of(value: str) -> int:
    """The number that stands before a key. What else a value may be is not shown: it is a secret."""
    found = KEY.match(value)
    if not found:
        raise Failure(
            "unreadable", "A version of the secret is no key with its number before it. Disable that version."
        )
    return int(found.group(1))


def keys(runner, name: str, step: str, secret: str | None):
    """`draw` what has no value yet; `next` and `swap` are the first two deploys of OPERATING, section 6."""
    store = SecretStore(runner, name)
    if step in GIVEN:
        what, keep = GIVEN[step]
        keep(store, _read(what))
        return
    if step == "draw":
        for one in DRAWN:
            _draw_first(store, one)
        return
    if secret not in DRAWN:
        raise Failure("usage", f"Name the secret: ./deploy keys {name} {step} {' or '.join(DRAWN)}")
    if not store.versions(secret):
        raise Failure("wait", f"{secret} has no value yet: ./deploy keys {name} draw")
    (_draw_next if step == "next" else _swap)(store, secret)


def _read(what: str) -> str:
    """A secret from standard input. What is no text is no such secret either."""
    if sys.stdin.isatty():
        say(f"Paste {what}, then press Enter and Ctrl-D.")
    return sys.stdin.buffer.read().decode("ascii", "replace").strip()


def _keep_canary(store: SecretStore, key: str):
    """Keep the license key of the smoke test, which the account that deploys may read, and no other value."""
    if not key.startswith("CODI-"):
        raise Failure("usage", "Give the license key on standard input: ./deploy keys ENVIRONMENT canary < FILE")
    environment = store.environment
    if not store.exists(CANARY_KEY):
        store.create(CANARY_KEY)
    store.let_read(CANARY_KEY, f"deploy-{environment.name}@{environment.build.project}.iam.gserviceaccount.com")
    version = _kept(store, CANARY_KEY, key)
    say(f"The license key of the smoke test is the version {version} of {secret_id(CANARY_KEY)}.")


def _keep_mail(store: SecretStore, url: str):
    """Keep where mail goes, with the password there. `platform` has made the place, which notify alone may read."""
    if not MAIL_SERVER.fullmatch(url):
        raise Failure(
            "usage",
            "Give the mail server on standard input, as smtps://USER:PASSWORD@HOST or "
            "smtp://USER:PASSWORD@HOST?tls=required: ./deploy keys ENVIRONMENT mail < FILE. Letters that a URL has a "
            "meaning for are written with percent signs in USER and PASSWORD.",
        )
    _pin(store, MAIL_URL, _kept(store, MAIL_URL, url))


def _kept(store: SecretStore, secret: str, value: str) -> int:
    """The version that has this value: the newest if it has, else a new one."""
    found = store.versions(secret)
    return found[0] if found and store.value(secret, found[0]) == value else store.add(secret, value)


# What is not drawn here but given on standard input: what to paste, and who keeps it.
GIVEN = {
    "canary": ("the license key of the smoke test", _keep_canary),
    "mail": ("the URL of the mail server", _keep_mail),
}


def _pin(store: SecretStore, secret: str, version: int):
    say(
        f"{secret} has the version {version}. Write it into secret_versions in opentofu/environments/"
        f"{store.environment.name}/platform.tfvars and deploy: a version serves nobody before that."
    )


def _draw_first(store: SecretStore, secret: str):
    found = store.versions(secret)
    if found:
        say(f"{secret} has the version {found[0]} already; nothing was drawn.")
        return
    _pin(store, secret, store.add(secret, store.draw(1)))


def _draw_next(store: SecretStore, secret: str):
    """A new key, which all instances accept from the next deploy on, under the name …_PREVIOUS."""
    current = number_of(store.value(secret, store.versions(secret)[0]))
    waiting = store.versions(secret + PREVIOUS)
    if waiting and number_of(store.value(secret + PREVIOUS, waiting[0])) == _following(current):
        say(f"{secret + PREVIOUS} has the next key already.")
        _pin(store, secret + PREVIOUS, waiting[0])
        return
    _pin(store, secret + PREVIOUS, store.add(secret + PREVIOUS, store.draw(_following(current))))


def _following(number: int) -> int:
    return number % 255 + 1


def _swap(store: SecretStore, secret: str):
    """The new key becomes the one in use, and the old one the one that is still accepted.

    Two writes. A run that was cut short between them is found by the numbers: both names have the new key then.
    """
    other = secret + PREVIOUS
    mine, others = store.versions(secret), store.versions(other)
    if not others:
        raise Failure("wait", f"No next key was drawn: ./deploy keys {store.environment.name} next {secret}")
    current, waiting = store.value(secret, mine[0]), store.value(other, others[0])
    if number_of(waiting) == _following(number_of(current)):
        mine.insert(0, store.add(secret, waiting))
    elif number_of(waiting) != number_of(current):
        say(f"{secret} and {other} are exchanged already.")
        _pin(store, secret, mine[0])
        _pin(store, other, others[0])
        return
    others.insert(0, store.add(other, store.value(secret, mine[1])))
    _pin(store, secret, mine[0])
    _pin(store, other, others[0])

"""Starts gcloud, tofu and the others, shows their words, and says what a known error of theirs means."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading

from failures import AGAIN, Failure, failure_of
from reading import parse
from streams import show

PERMISSION = re.compile(
    r"permission[_ ]denied|does not have (?:\S+ )?permission|permission '[^']+' denied|error 403|\b403\b.*forbidden"
    r"|forbidden.*\b403\b",
    re.IGNORECASE,
)
NAMED_RIGHT = re.compile(r"\b(?!gcloud\.)([a-z][a-z0-9]*(?:\.[a-zA-Z][a-zA-Z0-9]*){2})\b")
SIGNED_OUT = re.compile(
    r"could not find default credentials|reauthentication|gcloud auth (?:application-default )?login|unauthenticated",
    re.IGNORECASE,
)
LOCKED = re.compile(r"error acquiring the state lock", re.IGNORECASE)
STALE = re.compile(r"saved plan is stale", re.IGNORECASE)
# What a write says that demanded an object to be as it was read.
OVERTAKEN = re.compile(r"\b412\b|pre-?conditions? you specified did not hold|conditionNotMet", re.IGNORECASE)
# Ctrl-C, the end that a machine asks for, a terminal that is closed, Ctrl-\.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# How long one of them may stay unnoticed while a program runs.
NOTICE_SECONDS = 0.5
UNREADABLE = (
    "Nothing was done with it. Look whether a page of the network (a proxy, a sign-in) answers in its place, and "
    f"whether the program is damaged or of another version. {AGAIN}"
)


class Completed:
    """How a program ended."""

    def __init__(self, code: int, output: str, words: str):
        self.code = code
        self.output = output
        self.words = words


class Runner:
    """Starts one program at a time and passes signals on to it, so that tofu can give back its lock."""

    def __init__(self):
        self.child = None
        self.starting = self.early = self.stopped = False
        for number in SIGNALS:
            # One that is ignored stays so: nohup, or a shell's job in the background.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def _stop(self, _number, _frame):
        self.stopped = True
        if self.child is not None:
            # What tofu ends for in good order: it finishes the request under way, writes the state and unlocks.
            self.child.send_signal(signal.SIGINT)
        elif self.starting:
            self.early = True
        else:
            raise Failure("interrupted", "It was stopped. Start the same command again: it goes on where this ended.")

    def _start(self, arguments, **options):
        """The program, which gets the signals from now on: also one that came while it was being started."""
        self.starting = True
        try:
            self.child = subprocess.Popen(arguments, **options)
        except OSError as error:
            raise cannot_be_started(arguments[0], error) from error
        finally:
            self.starting = False
        if self.early:
            self.child.send_signal(signal.SIGINT)
        return self.child

    def run(self, arguments, *, feed=None, capture=False, allowed=(0,), env=None) -> Completed:
        """Run a program to its end. `feed` goes to its standard input: values that are secret never stand in argv.

        With `capture` its output is returned and not shown. What it writes to standard error is always shown.
        """
        child = self._start(
            arguments,
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            # Not as the locale says: what they write is UTF-8, and what is not is shown as far as it can be.
            encoding="utf-8",
            errors="replace",
            # A group of its own: Ctrl-C reaches it once, through _stop, and not a second time from the terminal,
            # which tofu would take for the wish to end at once.
            start_new_session=True,
        )
        words: list[str] = []
        answer: list[str] = []
        readers = [threading.Thread(target=_pass_on, args=(child.stderr, words))]
        if capture:
            readers.append(threading.Thread(target=lambda: answer.append(child.stdout.read())))
        for reader in readers:
            reader.start()
        if feed is not None:
            # A program that ends before it has read everything says why itself.
            try:
                child.stdin.write(feed)
                child.stdin.close()
            except BrokenPipeError:
                pass
        code = _wait(child, readers)
        output = "".join(answer)
        self.child = None
        if self.stopped:
            raise Failure(
                "interrupted",
                f"It was stopped while {_name(arguments)} was running, which has ended by now. "
                "Start the same command again: what is done is found done.",
            )
        if code not in allowed:
            raise explain(arguments, code, "".join(words))
        return Completed(code, output, "".join(words))

    def ask(self, arguments, shape, *, empty=None, env=None):
        """What a program answers in JSON, if it has the given shape (reading.parse). `empty` stands for no answer."""
        output = self.run(arguments, capture=True, env=env).output
        if empty is not None and not output.strip():
            return empty
        return parse(output, shape, "unreadable", f"{_name(arguments)} … answered", UNREADABLE)


def ignore_signals():
    """From here on nothing is under way: a second Ctrl-C must not cut off what is told about the first."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def unreadable(arguments, output: str) -> Failure:
    """The failure of a program that ended well and answered something else than it was asked for."""
    return Failure("unreadable", f"{_name(arguments)} … answered {output.strip()[:80]!r}. {UNREADABLE}")


def cannot_be_started(program: str, error: OSError) -> Failure:
    """The failure of a program that the system did not start."""
    if isinstance(error, FileNotFoundError) and shutil.which(program) is None:
        return Failure("missing", f"{program} is not on this machine. Install it and start again.")
    # Where a program is there and its interpreter is not, the system says the same of it.
    error.filename = f"{program} cannot be started"
    return failure_of(error)


def _wait(child, readers) -> int:
    """The exit code of a program that has ended, and of which everything was read.

    Python runs handlers in its main thread, between two instructions. A signal that comes just before a read or a wait
    begins does not interrupt it and would be noticed when the program ends, which may take many minutes. So no wait
    here is a long one.
    """
    for reader in readers:
        while reader.is_alive():
            reader.join(NOTICE_SECONDS)
    while True:
        try:
            return child.wait(NOTICE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _pass_on(stream, words):
    for line in stream:
        words.append(line)
        show(line)


def _name(arguments) -> str:
    return shlex.join(str(argument) for argument in arguments[:4])


def explain(arguments, code: int, words: str) -> Failure:
    """The failure of a program in the words of this project."""
    if LOCKED.search(words):
        return Failure("locked", _explain_lock(arguments, words))
    if STALE.search(words):
        return Failure(
            "plan",
            "The plan is stale: something was applied after it was made, by another deploy or by a run of this one "
            "that was cut short. Nothing was changed now. Plan again: ./deploy plan ENVIRONMENT.",
        )
    if SIGNED_OUT.search(words):
        return Failure("right", "Nobody is signed in. Sign in with: gcloud auth login --update-adc.")
    if PERMISSION.search(words):
        right = NAMED_RIGHT.search(words)
        which = f"the right {right.group(1)}" if right else "a right; the lines above say which"
        return Failure(
            "right",
            f"The account lacks {which}, for: {_name(arguments)} … Who has which right stands in "
            "opentofu/modules/pipeline; `gcloud auth list` shows the account that asks. Nothing else was tried.",
        )
    if OVERTAKEN.search(words):
        return Failure(
            "locked",
            f"Somebody else wrote the same at this moment ({_name(arguments)} …): a deploy, a pause or a rollback, by "
            "a person or a build. Theirs was kept and nothing of this run was written. Start the same command again.",
        )
    if code < 0:
        return Failure(
            "failed",
            f"{_name(arguments)} … was ended by {signal.Signals(-code).name}. Where that is SIGKILL and nobody sent "
            f"it, this machine ran out of memory. {AGAIN}",
        )
    return Failure("failed", f"{_name(arguments)} … ended with exit code {code}. Its own words stand above.")


def _explain_lock(arguments, words: str) -> str:
    facts = {name: value for name, value in re.findall(r"\b(ID|Who|Created):\s+(\S+(?: \S+)*)", words)}
    root = next((text.rsplit("/", 1)[-1] for text in arguments if text.startswith("-chdir=")), "ROOT")
    return (
        f"Somebody else changes {root} at this moment: {facts.get('Who', 'somebody')}, "
        f"since {facts.get('Created', 'an unknown time')}. Wait for that run, then start this command again. "
        "If that run is dead (a build that was killed, a laptop that was closed), remove its lock: "
        f"./deploy unlock ENVIRONMENT {root} {facts.get('ID', 'ID')}"
    )

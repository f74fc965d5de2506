"""Starts gcloud, tofu and the others, shows their words, and says what a known error of theirs means."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading

from failures import Failure

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
        self.stopped = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, _number, _frame):
        self.stopped = True
        if self.child is None:
            raise Failure("interrupted", "It was stopped. Start the same command again: it goes on where this ended.")
        # SIGINT is what tofu ends for in good order: it finishes the request under way, writes the state and unlocks.
        self.child.send_signal(signal.SIGINT)

    def run(self, arguments, *, feed=None, capture=False, allowed=(0,), env=None) -> Completed:
        """Run a program to its end. `feed` goes to its standard input: values that are secret never stand in argv.

        With `capture` its output is returned and not shown. What it writes to standard error is always shown.
        """
        try:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
                stdout=subprocess.PIPE if capture else None,
                stderr=subprocess.PIPE,
                env={**os.environ, **(env or {})},
                text=True,
                # A group of its own: Ctrl-C reaches it once, through _stop, and not a second time from the terminal,
                # which tofu would take for the wish to end at once.
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Failure("missing", f"{arguments[0]} is not on this machine. Install it and start again.") from error
        self.child = child
        words: list[str] = []
        reader = threading.Thread(target=_pass_on, args=(child.stderr, words))
        reader.start()
        if feed is not None:
            # A program that ends before it has read everything says why itself.
            try:
                child.stdin.write(feed)
                child.stdin.close()
            except BrokenPipeError:
                pass
        output = child.stdout.read() if capture else ""
        code = child.wait()
        reader.join()
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


def _pass_on(stream, words):
    for line in stream:
        words.append(line)
        sys.stderr.write(line)
        sys.stderr.flush()


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

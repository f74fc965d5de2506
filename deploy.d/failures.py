"""What can go wrong, by kind. Each kind has an exit code of its own, so that a script can tell them apart."""

import errno
import os

KINDS = {
    "failed": (1, "a program that was called failed; its own words stand above the message"),
    "usage": (2, "the command line or a file of values is wrong"),
    "missing": (3, "a program or a file that is needed is not on this machine"),
    "project": (4, "gcloud is set to another project than the environment's"),
    "right": (5, "the account lacks a right, or nobody is signed in"),
    "locked": (6, "somebody else changes the same state at this moment"),
    "edited": (7, "files of the clone differ from the commit"),
    "deletes": (8, "the plan deletes what holds data or keys"),
    "plan": (9, "there is no saved plan, or it is stale, edited, or of another image or commit"),
    "mixed": (10, "platform and services change at once in an environment where that is refused"),
    "check": (11, "the checks or the tests of the code failed"),
    "image": (12, "the image is not named by a digest, does not exist, or was not made by the pipeline"),
    "migrate": (13, "the job migrate failed; the services were not touched"),
    "smoke": (14, "the smoke test failed (in the pipeline: the previous image serves again)"),
    "restore": (15, "the smoke test failed, and the previous image could not be put back"),
    "drift": (16, "somebody changed resources past this repository"),
    "wait": (17, "it is too early, or the environment is not in the state that this step needs"),
    "machine": (18, "something of this machine failed: its disk, a file, a program that cannot be started"),
    "unreadable": (19, "a program that was called answered what cannot be read"),
    "fault": (70, "a fault of ./deploy itself; report it with the lines above the message"),
    "interrupted": (130, "a signal stopped it"),
}
AGAIN = "Then start the same command again: what is done is found done."
# What a person does about an error of the machine. All others are told in the machine's own words alone.
ADVICE = {
    errno.ENOSPC: "Make room on that disk.",
    errno.EDQUOT: "Make room: this account may not write more to that disk.",
    errno.EFBIG: "Raise the limit of the size of files (ulimit -f).",
    errno.EROFS: "Use a clone on a disk that can be written.",
    errno.EACCES: "Give this account the right to it; files of an earlier run with sudo belong to root.",
    errno.EPERM: "Give this account the right to it.",
    errno.EMFILE: "Raise the number of open files (ulimit -n).",
    errno.ENOMEM: "End something else on this machine, or use a larger one.",
    errno.EPIPE: "Who read the output has ended before it was complete.",
    errno.ENOEXEC: "It is a program of another kind of machine, or damaged: install it anew.",
}


class Failure(Exception):
    """What happened and what to do, for the person who started the command."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind

    @property
    def exit_code(self) -> int:
        return KINDS[self.kind][0]


def failure_of(error: BaseException) -> Failure:
    """The one place that knows what an error of Python means for the person who started the command."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", "It was stopped before it had begun. Start the same command again.")
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    if isinstance(error, OSError):
        where = f"{os.fspath(error.filename)}: " if error.filename else "Something of this machine failed: "
        what = error.strerror or str(error) or type(error).__name__
        return Failure("machine", " ".join(filter(None, [f"{where}{what}.", ADVICE.get(error.errno), AGAIN])))
    if isinstance(error, UnicodeError):
        return Failure(
            "machine",
            f"A name or a text cannot be written in this machine's locale ({error.reason}). Set LC_ALL=C.UTF-8. "
            f"{AGAIN}",
        )
    return Failure(
        "fault",
        f"That is a fault of ./deploy itself ({type(error).__name__}), and what it was about to do may be done in "
        "part. Report it with the lines above. The same command may be started again.",
    )


def exit_code_table() -> str:
    """The exit codes as --help prints them."""
    lines = ["  0  it was done"]
    lines += [f"{code:3}  {meaning}" for code, meaning in KINDS.values()]
    return "\n".join(lines)

"""What can go wrong, by kind. Each kind has an exit code of its own, so that a script can tell them apart."""

KINDS = {
    "failed": (1, "a program that was called failed; its own words stand above the message"),
    "usage": (2, "the command line or a file of values is wrong"),
    "missing": (3, "a program or a file that is needed is not on this machine"),
    "project": (4, "gcloud is set to another project than the environment's"),
    "right": (5, "the account lacks a right, or nobody is signed in"),
    "locked": (6, "somebody else changes the same state at this moment"),
    "edited": (7, "files of the clone differ from the commit"),
    "deletes": (8, "the plan deletes what holds data or keys"),
    "plan": (9, "there is no saved plan, or it is stale, or it is of another image or commit"),
    "mixed": (10, "platform and services change at once in an environment where that is refused"),
    "check": (11, "the checks or the tests of the code failed"),
    "image": (12, "the image is not named by a digest, does not exist, or was not made by the pipeline"),
    "migrate": (13, "the job migrate failed; the services were not touched"),
    "smoke": (14, "the smoke test failed (in the pipeline: the previous image serves again)"),
    "restore": (15, "the smoke test failed, and the previous image could not be put back"),
    "drift": (16, "somebody changed resources past this repository"),
    "wait": (17, "it is too early, or the environment is not in the state that this step needs"),
    "interrupted": (130, "a signal stopped it"),
}


class Failure(Exception):
    """What happened and what to do, for the person who started the command."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind

    @property
    def exit_code(self) -> int:
        return KINDS[self.kind][0]


def exit_code_table() -> str:
    """The exit codes as --help prints them."""
    lines = ["  0  it was done"]
    lines += [f"{code:3}  {meaning}" for code, meaning in KINDS.values()]
    return "\n".join(lines)

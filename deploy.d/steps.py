"""What one step of a deploy leaves for the next: files below .deploy, each written whole or not at all."""

import json
import os
import pathlib

from environments import Environment


def write_file(path: pathlib.Path, text: str):
    """Write a file whole or not at all, so that a run that is killed leaves no half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, "utf-8")
    os.replace(part, path)


class Steps:
    """What the steps of one deploy tell each other."""

    def __init__(self, environment: Environment):
        self.directory = environment.work

    def write(self, name: str, value):
        write_file(self.directory / f"{name}.json", json.dumps(value, indent=2) + "\n")

    def read(self, name: str):
        """The value, or None where no step has written it."""
        try:
            return json.loads((self.directory / f"{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return None

    def forget(self, *names: str):
        for name in names:
            (self.directory / f"{name}.json").unlink(missing_ok=True)

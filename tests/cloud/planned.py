"""What a root of opentofu/ plans with an environment's values, asked of tofu itself."""

import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tofu_program import program_and_settings

ROOT = Path(__file__).resolve().parents[2]
# A test that fails says what it found: the one way to have `tofu test` tell an output of a plan.
SHOW = """
run "show" {
  command = plan
  assert {
    condition     = length(jsonencode(output.OUTPUT)) == 0
    error_message = "SHOWN ${base64encode(jsonencode(output.OUTPUT))} ENDSHOWN"
  }
}
"""


class Tofu:
    """The program that the tests built, over a copy of opentofu/ that may be changed."""

    def __init__(self, directory: str):
        self.program, self.settings = program_and_settings()
        self.opentofu = Path(directory) / "opentofu"
        shutil.copytree(ROOT / "opentofu", self.opentofu, ignore=shutil.ignore_patterns(".terraform*"))

    def run(self, root: str, *words: str) -> str:
        """What it says, without the frame that messages are wrapped in."""
        done = subprocess.run(
            ["nice", self.program, f"-chdir={self.opentofu / root}", *words],
            check=False,
            env=self.settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return re.sub(r"^[│╷╵ ]+", "", done.stdout, flags=re.M)

    def output(self, root: str, environment: str, name: str):
        """An output of the root's plan, with the made-up provider and values of the root's own tests."""
        tests = self.opentofu / root / "tests"
        head = (ROOT / "opentofu" / root / "tests" / f"{root}.tftest.hcl").read_text("utf-8").partition('\nrun "')[0]
        for test in tests.glob("*.tftest.hcl"):
            test.unlink()
        (tests / "show.tftest.hcl").write_text(head + "\n" + SHOW.replace("OUTPUT", name))
        self.run(root, "get")
        said = self.run(root, "test", "-no-color", f"-var-file=../environments/{environment}/{root}.tfvars")
        found = re.search(r"SHOWN([A-Za-z0-9+/=]+)ENDSHOWN", re.sub(r"\s+", "", said))
        if not found:
            raise NotPlanned(f"tofu did not say the output {name} of {root}: {said}")
        return json.loads(base64.b64decode(found.group(1)))


class NotPlanned(Exception):
    """tofu refused the plan; its words."""


def output(root: str, environment: str, name: str):
    with tempfile.TemporaryDirectory(prefix="license-planned-") as directory:
        try:
            return Tofu(directory).output(root, environment, name)
        except NotPlanned as refused:
            sys.exit(str(refused))

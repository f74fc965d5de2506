"""The tofu and the provider that tests/cloud/tools/environment makes, and how they are run."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Most of what a test costs is Go's own work: freeing memory that the process gives back by ending, handing it out to
# threads that wait for each other, making certificates for the wire to a provider of our own on this machine, and
# writing six lines about each of its calls, which nobody reads.
CHEAP = {
    "GOGC": "400",
    "GOMAXPROCS": "1",
    "TF_DISABLE_PLUGIN_TLS": "1",
    **{name: "off" for name in ("TF_LOG", "TF_LOG_PROVIDER", "TF_LOG_SDK", "TF_LOG_SDK_PROTO")},
}


def made(*pieces: str) -> Path:
    """The folder that has these pieces, which are made where they are not there yet."""
    command = [ROOT / "tests/cloud/tools/environment", *pieces]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def program_and_settings(folder: Path | None = None) -> tuple[Path, dict]:
    """The program, and the environment to run it in: with the provider that has the schema and nothing else."""
    folder = folder or made("tofu", "provider")
    settings = {"TF_CLI_CONFIG_FILE": str(folder / "tofu.rc"), "TF_IN_AUTOMATION": "1", **CHEAP}
    return folder / "bin/tofu", os.environ | settings


def served(folder: Path, name: str, place: Path, children: contextlib.ExitStack) -> str:
    """Starts a provider and returns what it says of itself in TF_REATTACH_PROVIDERS."""
    file, words = place / name, place / f"{name}.words"
    program = (folder / "tofu.rc").resolve().parent / name / f"terraform-provider-{name}"
    settings = os.environ | CHEAP | {"SCHEMA_PROVIDER_SERVE": str(file), "TMPDIR": str(place)}
    with words.open("wb") as output:
        child = subprocess.Popen([program], env=settings, stdin=subprocess.PIPE, stdout=output, stderr=output)
    # It ends with its standard input, also where nobody comes here any more.
    children.callback(child.wait)
    children.callback(child.stdin.close)
    until = time.monotonic() + 60
    while not (file.exists() and file.read_text().endswith("'\n")):
        if child.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{program} does not serve (exit status {child.poll()}): {words.read_text()}")
        time.sleep(0.01)
    return file.read_text().split("=", 1)[1].strip().strip("'")


@contextlib.contextmanager
def one_provider(folder: Path) -> Iterator[dict]:
    """Providers that serve every tofu which is run with these variables; each would start its own for each run."""
    with tempfile.TemporaryDirectory(prefix="license-provider-") as place, contextlib.ExitStack() as children:
        told = {}
        for name in ("google", "google-beta"):
            told |= json.loads(served(folder, name, Path(place), children))
        yield {"TF_REATTACH_PROVIDERS": json.dumps(told)}

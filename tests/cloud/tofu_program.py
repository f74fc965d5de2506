"""The tofu and the provider that tests/cloud/tools/environment makes, and how they are run."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Most of what a test costs is Go's own work: freeing memory that the process gives back by ending, handing it out to
# threads that wait for each other, and making certificates for the wire to a provider of our own on this machine.
CHEAP = {"GOGC": "400", "GOMAXPROCS": "1", "TF_DISABLE_PLUGIN_TLS": "1"}


def made(*pieces: str) -> Path:
    """The folder that has these pieces, which are made where they are not there yet."""
    command = [ROOT / "tests/cloud/tools/environment", *pieces]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def program_and_settings(folder: Path | None = None) -> tuple[Path, dict]:
    """The program, and the environment to run it in: with the provider that has the schema and nothing else."""
    folder = folder or made("tofu", "provider")
    settings = {"TF_CLI_CONFIG_FILE": str(folder / "tofu.rc"), "TF_IN_AUTOMATION": "1", **CHEAP}
    return folder / "bin/tofu", os.environ | settings

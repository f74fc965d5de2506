#!/usr/bin/env python3
"""The unit tests of the package on the Python that this part is named after: `python-3.10` is a link to this file.

Those against the real server run in `./dev test sdk`, on one Python, and so do those that are marked `one_python`.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

version = Path(sys.argv[0]).name.removeprefix("python-")
python = dict(pair.split("=", 1) for pair in os.environ["WORLD_PYTHONS"].split()).get(version)
if python is None:
    sys.exit(f"There is no Python {version} on this machine.")
# The tests find the package themselves, and say so to what they start; nothing is written into the clone.
environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
command = [python, "-m", "pytest", "-p", "no:cacheprovider", "--ignore", "tests/local", "-m", "not one_python"]
# They mostly wait: of the 300 s that they take together, a Python computes for 90.
command += ["-n", "4", "--dist", "loadgroup"]
# Whoever started all this with nohup has the signal ignored, and what the tests start would ignore it too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
done = subprocess.run(
    command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
)
if done.returncode == 0:
    print(f"  ok     the unit tests on Python {version}: {done.stdout.strip().splitlines()[-1]}")
else:
    print(f"{done.stdout}\n  FAILED the unit tests on Python {version}")
sys.exit(done.returncode)

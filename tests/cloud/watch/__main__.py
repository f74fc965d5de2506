"""`python -m watch MADE`: plays the scenario and checks; MADE is what tests/cloud/tools/environment prints."""

import pathlib
import signal
import sys
import time

from .checks import Checks
from .rules import rules
from .scenario import play

# Whoever stops the part stops the services that it started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
told = rules(pathlib.Path(sys.argv[1]))
started = time.monotonic()
run = play()
print(f"watch: {len(run.asked)} requests and {len(run.lines)} lines in {time.monotonic() - started:.0f} s")
checks = Checks(told, run)
checks.all()
checks.planted()
print(f"watch: {checks.done} checks, {checks.failed} failed")
sys.exit(1 if checks.failed else 0)

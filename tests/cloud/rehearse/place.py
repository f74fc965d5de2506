"""Where a rehearsal lives: one directory, and every process that it starts. Nothing of either is left, however it ends.

Each process is killed by the kernel when the rehearsal dies (PR_SET_PDEATHSIG). A keeper in a session of its own waits
for the end of a pipe that only the rehearsal holds, and then removes the directory.
"""

import os
import pathlib
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
SERVICE_UID = 65532
_BECOME = pathlib.Path(__file__).with_name("become.py")
# `group`: a build that is under way, with all of its children. `also`: directories elsewhere.
_KEEPER = """trap "" INT TERM HUP
cat >/dev/null
if [ -f "$1/group" ]; then kill -KILL -- "-$(cat "$1/group")" 2>/dev/null; fi
if [ -f "$1/also" ]; then while read -r other; do rm -rf "$other"; done <"$1/also"; fi
for n in 1 2 3 4 5 6 7 8 9; do rm -rf "$1" && exit; sleep 0.3; done"""


class Fault(Exception):
    """Something is not as the rehearsal wants it."""


def demand(condition, message: str):
    """Stop the rehearsal where something is not as it must be."""
    if not condition:
        raise Fault(message)


def until(found, what: str, seconds: float = 30, pause: float = 0.05):
    """What `found` returns once it is something."""
    deadline = time.monotonic() + seconds
    while True:
        it = found()
        if it:
            return it
        if time.monotonic() > deadline:
            raise Fault(f"{what}: waited for {seconds:.0f} s")
        time.sleep(pause)


def free_port() -> int:
    """A port of this machine that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def store_account():
    """Whom the stores run as under root, where PostgreSQL refuses to start; nobody in particular elsewhere."""
    if os.geteuid() != 0:
        return None
    for name in ("license-local", "postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Fault("this machine has no account that the stores could run as: make one called license-local")


class Process:
    """A process of the rehearsal, and the file that its lines go to."""

    def __init__(self, name: str, child: subprocess.Popen, lines: pathlib.Path):
        self.name, self.child, self.lines = name, child, lines

    def alive(self) -> bool:
        return self.child.poll() is None

    def stop(self, how: signal.Signals = signal.SIGTERM, patience: float = 20) -> int:
        """End it in good order, and answer its exit code."""
        if self.alive():
            self.child.send_signal(how)
        try:
            return self.child.wait(patience)
        except subprocess.TimeoutExpired as late:
            self.child.kill()
            self.child.wait()
            raise Fault(f"{self.name} did not end within {patience:.0f} s of {how.name}") from late

    def tail(self) -> str:
        return self.lines.read_text("utf-8", "replace")[-2000:]


class Place:
    """The directory and the processes."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="license-rehearse-"))
        os.chmod(self.directory, 0o711)
        self.processes: list[Process] = []
        self.account = store_account()
        self.keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, "keeper", str(self.directory)], stdin=subprocess.PIPE, start_new_session=True
        )

    def folder(self, name: str, *, of_stores: bool = False) -> pathlib.Path:
        """A directory in it; one of the stores belongs to their account."""
        made = self.directory / name
        made.mkdir(mode=0o700)
        if of_stores and self.account:
            os.chown(made, self.account.pw_uid, self.account.pw_gid)
        return made

    def start(
        self,
        name: str,
        command: list[str],
        environment: dict,
        *,
        uid: int | None = None,
        gid: int | None = None,
        root: pathlib.Path | None = None,
        **more,
    ) -> Process:
        """Start a process that dies with the rehearsal: as this user, below this root, with this environment alone."""
        lines = self.directory / f"{name}.lines"

        to = [str(root or "-"), "-" if uid is None else str(uid), str(gid if gid is not None else uid)]
        become = [sys.executable, "-ISE", str(_BECOME), str(os.getpid()), *to]
        with lines.open("ab") as output:
            more = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT, **more}
            child = subprocess.Popen([*become, *command], env=environment, **more)
        process = Process(name, child, lines)
        self.processes.append(process)
        return process

    def build(self, command: list[str], cwd: pathlib.Path):
        """Run a build to its end. It goes on at low priority, and ends with the rehearsal, its children too."""
        child = subprocess.Popen(
            ["nice", "-n", "19", *command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
        )
        group = self.directory / "group"
        group.write_text(str(child.pid))
        try:
            ended = child.wait()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            group.unlink()
        demand(ended == 0, f"{' '.join(command)} ended with {ended}")

    def also_remove(self, path: pathlib.Path):
        """Have a directory elsewhere removed at the end."""
        with (self.directory / "also").open("a") as others:
            others.write(f"{path}\n")

    def as_store(self, command: list[str], **more) -> str:
        """Run a program of the stores to its end, as their account."""
        who = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []} if self.account else {}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.directory, **who, **more)
        demand(done.returncode == 0, f"{command[0]} failed ({done.returncode}): {(done.stderr or done.stdout)[-1500:]}")
        return done.stdout

    def close(self):
        """End whatever still runs, and remove the directory."""
        for process in reversed(self.processes):
            if process.alive():
                process.child.kill()
                process.child.wait()
        self.keeper.stdin.close()
        self.keeper.wait()
        left = self.directory.exists()
        demand(not left, f"{self.directory} could not be removed")

"""A fake that is run inside the process of ./deploy, at the moment at which ./deploy would wait for it.

For ./deploy it is what subprocess.Popen returns. Only what each call of ./deploy asks of that is here: whoever asks for
more, or tells a fake by a rule what to answer, gets a process (forked.py).
"""

import contextlib
import io
import os
import subprocess
import sys
import threading
import traceback

SWITCH = "DEPLOY_TESTS_FAKES"
"""Set to `processes`, each fake gets a process."""
# The file of the fakes → its code.
_CODE = {}


def may_be(env, options: dict) -> bool:
    """Whether ./deploy starts it as it starts its programs, and no rule of a test may want a process."""
    home = (env or {}).get("FAKE_HOME")
    plain = {"stdin", "stdout", "stderr", "encoding", "errors", "start_new_session"}
    return bool(
        home
        and env.get(SWITCH) != "processes"
        and options.keys() == plain
        and options["stdin"] in (subprocess.DEVNULL, subprocess.PIPE)
        and options["stdout"] in (None, subprocess.PIPE)
        and options["stderr"] == subprocess.PIPE
        and not os.path.exists(os.path.join(home, "rules.json"))
    )


def know(path: str):
    """Compile the fakes' one file before anybody is forked, for all of them."""
    with open(path, encoding="utf-8") as file:
        _CODE[str(path)] = compile(file.read(), path, "exec")


def _code_of(program: str):
    with open(program, encoding="utf-8") as file:
        directory = file.read().split("sys.path.insert(0, '", 1)[1].split("'", 1)[0]
    return _CODE[os.path.join(directory, "fake.py")]


class _Feed(io.StringIO):
    """Its standard input. The program runs when all of it was written."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def close(self):
        if not self.closed:
            text = self.getvalue()
            super().close()
            self.run(text)


class _Said:
    """What it writes to a stream, which ./deploy reads in a thread before the program has run."""

    def __init__(self):
        self.there = threading.Event()
        self.text = ""

    def read(self) -> str:
        self.there.wait()
        return self.text

    def __iter__(self):
        self.there.wait()
        return iter(io.StringIO(self.text))


class Fake:
    def __init__(self, words: list, env: dict, *, stdin, stdout, encoding, errors, **_):
        self.words, self.env = words, env
        self.encoding, self.errors = encoding, errors
        self.captured = stdout == subprocess.PIPE
        self.stdout, self.stderr = _Said(), _Said()
        self.stdin = _Feed(self._run) if stdin == subprocess.PIPE else None
        self.pid, self.returncode = os.getpid(), None
        if self.stdin is None:
            self._run("")

    def wait(self, timeout: float | None = None) -> int:  # noqa: ARG002 - it has ended
        return self.returncode

    def send_signal(self, _number):
        """It has ended."""

    def _text(self, stream) -> str:
        stream.flush()
        text = stream.buffer.getvalue().decode(self.encoding, self.errors)
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _run(self, feed: str):
        # Two streams of the fake's own, with the encoding that files have here, as a process would have.
        out, errors = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
        try:
            with _become(self.words, self.env, (io.StringIO(feed), out, errors)):
                self.returncode = _exit_code(self.words[0], errors)
            if self.captured:
                self.stdout.text = self._text(out)
            else:
                out.flush()
                os.write(1, out.buffer.getvalue())
            self.stderr.text = self._text(errors)
        finally:
            self.stdout.there.set()
            self.stderr.there.set()


@contextlib.contextmanager
def _become(words: list, env: dict, streams: tuple):
    kept = sys.argv, (sys.stdin, sys.stdout, sys.stderr)
    # ./deploy gives a program its own environment and more.
    changed = {name: os.environ.get(name) for name in env if os.environ.get(name) != env[name]}
    os.environ.update({name: env[name] for name in changed})
    sys.argv, (sys.stdin, sys.stdout, sys.stderr) = words, streams
    try:
        yield
    finally:
        sys.argv, (sys.stdin, sys.stdout, sys.stderr) = kept
        for name, value in changed.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _exit_code(program: str, errors) -> int:
    names = {"__name__": "fake"}
    try:
        exec(_code_of(program), names)
        # Nothing is between the fake and ./deploy: who kills its parent kills this.
        names["DEPLOY"] = os.getpid
        return names["main"]()
    except SystemExit as end:
        return end.code or 0
    except Exception:  # noqa: BLE001 - as Python itself
        traceback.print_exc(file=errors)
        return 1

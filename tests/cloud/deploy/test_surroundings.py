"""Where the machine, or a program that ./deploy calls, fails: a sentence that says what to do, and an exit code."""

import errno
import os
import pty
import resource
import signal
import subprocess
import sys

import pytest
from conftest import IMAGE, real, sentence

# --- disk and files ---------------------------------------------------------------------------------------------------


def limit(size: int):
    """No file may grow beyond this: for the one who writes the same as a disk that is full."""

    def before():
        # Python does this itself where it starts; said here, because the signal would end any other program.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before


@pytest.fixture
def full_disk(site):
    """A small disk below .deploy, and what fills it to the last byte."""
    place = site.clone / ".deploy"
    place.mkdir(exist_ok=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"only root may mount a small disk here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(place):
    try:
        with open(place / "ballast", "wb", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017 - that it is full is what was to be reached


def test_a_full_disk_is_told_with_the_file_and_a_second_run_mends(site, full_disk):
    fill(full_disk)
    words = sentence(site.refused(18, "image", "dev", "--image", IMAGE))
    assert "No space left on device" in words and "image.json" in words and "room" in words
    (full_disk / "ballast").unlink()
    site.ok("image", "dev", "--image", IMAGE)


def test_a_file_that_may_not_grow_is_told(site):
    """Of the file alone: the fakes could not write down that they were called."""
    path = site.clone / ".deploy/dev/image.json"
    write = f"import pathlib, steps; steps.write_file(pathlib.Path({str(path)!r}), 'x' * 99)"
    command = [sys.executable, "-c", write]
    place = {"cwd": site.clone / "deploy.d", "env": site.environment("acme-dev")}
    done = subprocess.run(command, **place, capture_output=True, text=True, check=False, preexec_fn=limit(10))  # noqa: PLW1509
    assert "failures.Failure" in done.stderr and "image.json" in done.stderr and "ulimit -f" in done.stderr
    assert list(path.parent.iterdir()) == []


def test_nothing_half_written_is_left_by_a_full_disk(site, full_disk):
    site.ok("image", "dev", "--image", IMAGE)
    before = (full_disk / "dev/image.json").read_text()
    fill(full_disk)
    other = IMAGE.replace("a" * 64, "e" * 64)
    site.refused(18, "image", "dev", "--image", other)
    assert (full_disk / "dev/image.json").read_text() == before


@pytest.mark.parametrize("how", ["a file", "a link to nowhere", "a folder in the place of the file"])
def test_what_cannot_be_written_is_named(site, how):
    place = site.clone / ".deploy"
    if how == "a file":
        place.write_text("")
    elif how == "a link to nowhere":
        place.symlink_to("/nowhere/at/all")
    else:
        (place / "dev/image.json/x").mkdir(parents=True)
    words = sentence(site.refused(18, "image", "dev", "--image", IMAGE))
    assert ".deploy" in words


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_folder_that_may_not_be_written_is_named(site):
    (site.clone / ".deploy").mkdir(mode=0o500)
    assert "Permission denied" in sentence(site.refused(18, "image", "dev", "--image", IMAGE))


def test_a_read_only_disk_is_told(site, full_disk):
    subprocess.run(["mount", "-o", "remount,ro", full_disk], check=True)
    assert "Read-only file system" in sentence(site.refused(18, "image", "dev", "--image", IMAGE))


# What a step left, in each of the ways in which it may be damaged, and the verb that reads it.
DAMAGED = [
    ("image", "", "plan"),
    ("plan", '{"dig', "apply-platform"),
    ("platform", "\0\0\0\0", "migrate"),
    ("migrate", "[]", "apply-services"),
    ("migrate", "\xff", "apply-services"),
    ("smoke", "{}", "promote"),
]


@pytest.mark.parametrize(("name", "text", "verb"), DAMAGED, ids=[f"{one[0]} {one[1]!r}" for one in DAMAGED])
def test_what_a_step_left_that_cannot_be_read_is_named_with_how_to_make_it_anew(site, name, text, verb):
    site.planned()
    site.ok("apply-platform", "dev")
    (site.clone / f".deploy/dev/{name}.json").write_bytes(text.encode("latin-1"))
    site.forget_calls()
    words = sentence(site.refused(18, verb, "dev"))
    assert f".deploy/dev/{name}.json" in words and "./deploy " in words
    assert not [line for line in site.lines() if " apply " in line or "jobs execute" in line]
    # What it says to do is enough.
    (site.clone / f".deploy/dev/{name}.json").unlink()
    assert site.deploy(verb, "dev").returncode in (0, 9, 12, 17)


def test_a_file_of_values_that_is_no_text_is_named(site):
    (site.clone / "opentofu/environments/dev/platform.tfvars").write_bytes(b'project = "acme-dev" # \xe4\n')
    assert "platform.tfvars" in sentence(site.refused(2, "plan", "dev"))


@pytest.mark.parametrize("text", ["", '{"steps": {}}'])
def test_pinned_images_that_cannot_be_read_are_named(site, text):
    (site.clone / "opentofu/bootstrap/steps.auto.tfvars.json").write_text(text)
    words = sentence(site.refused(18, "image", "dev"))
    assert "steps.auto.tfvars.json" in words and "./deploy bootstrap" in words


# --- streams and terminals --------------------------------------------------------------------------------------------


def test_a_reader_that_goes_away_is_no_fault_of_the_program(site):
    site.record("dev", IMAGE)
    reader, writer = os.pipe()
    os.close(reader)
    for stream in ("stdout", "stderr"):
        for verb in ("firstday", "inventory"):
            done = real(site, verb, "dev", **{stream: writer})
            assert done.returncode in (0, 18), (stream, verb, done.returncode, done.stderr)
            if stream == "stdout" and verb == "firstday":
                assert done.returncode == 18
                sentence(done.stderr)
    os.close(writer)


def test_output_into_a_full_disk_is_told(site):
    with open("/dev/full", "w") as full:
        done = real(site, "firstday", "dev", stdout=full)
    assert done.returncode == 18 and "No space left" in sentence(done.stderr)


def test_an_apply_goes_on_to_its_end_where_nobody_reads_its_words(site):
    """A terminal that is gone must not stop tofu half-way: its words are taken from it and thrown away."""
    site.planned()
    site.fault("opentofu/platform apply", before=True, stderr="x" * 79 + "\n", repeat=4000)
    reader, writer = os.pipe()
    os.close(reader)
    done = real(site, "apply-platform", "dev", stderr=writer)
    os.close(writer)
    assert done.returncode in (0, 18)
    assert (site.home / "platform.serial").read_text() == "1"
    site.ok("apply-platform", "dev")
    assert (site.home / "platform.serial").read_text() == "1"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_terminal_that_is_closed_lets_tofu_end(site, number):
    site.planned()
    site.fault("opentofu/platform apply", wait=True)
    child = subprocess.Popen(
        [sys.executable, site.clone / "deploy", "apply-platform", "dev"],
        env=site.environment("acme-dev"),
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs these tests by nohup or in the background of a script has it ignored, and it would stay so.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509
    )
    site.await_file("waiting", child)
    child.send_signal(number)
    _, words = child.communicate(timeout=30)
    assert child.returncode == 130 and "Start the same command again" in sentence(words), words
    assert (site.home / "stopped-by").read_text() == "SIGINT"
    site.ok("apply-platform", "dev")


UNNOTICED = """
import os, runpy, signal, sys, threading, time

mark = sys.argv.pop(1)

def send():
    while not os.path.exists(mark):
        time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=send, daemon=True).start()
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["apply-platform", "dev"], "opentofu/platform apply"),
        (["image", "dev", "--image", IMAGE], "gcloud artifacts docker images describe"),
    ],
    ids=["shown", "read"],
)
def test_a_signal_that_interrupts_no_wait_is_passed_on(site, words, program):
    """Another thread receives it. One that comes just before a wait begins interrupts it as little."""
    site.planned()
    site.fault(program, wait=True, patience=20)
    given = [sys.executable, "-c", UNNOTICED, site.home / "waiting", site.clone / "deploy", *words]
    done = subprocess.run(given, env=site.environment("acme-dev"), stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 130 and "Start the same command again" in sentence(done.stderr), done.stderr
    assert (site.home / "stopped-by").read_text() == "SIGINT"


def test_nohup_is_obeyed(site):
    site.planned()
    site.fault("opentofu/platform apply", wait=True, patience=0.5, code=0)
    child = subprocess.Popen(
        [sys.executable, site.clone / "deploy", "apply-platform", "dev"],
        env=site.environment("acme-dev"),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509
    )
    site.await_file("waiting", child)
    child.send_signal(signal.SIGHUP)
    _, words = child.communicate(timeout=30)
    assert child.returncode == 0, words


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_do_not_matter(site, closed):
    site.record("dev", IMAGE)

    def before():
        for number in closed:
            os.close(number)

    for verb in ("image", "inventory"):
        words = ["--image", IMAGE] if verb == "image" else []
        done = real(site, verb, "dev", *words, before=before)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    done = real(site, "keys", "dev", "canary", before=before)
    assert done.returncode == 2


def test_the_license_key_is_asked_for_on_a_terminal(site):
    ours, theirs = pty.openpty()
    os.write(ours, b"CODI-AAAAA\n\x04")
    done = real(site, "keys", "dev", "canary", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0 and "Ctrl-D" in done.stderr, done.stderr


def test_a_license_key_that_is_no_text_is_told(site):
    with subprocess.Popen(["printf", r"\377\376"], stdout=subprocess.PIPE) as given:
        done = real(site, "keys", "dev", "canary", stdin=given.stdout)
    assert done.returncode == 2 and "standard input" in sentence(done.stderr)


# --- locale, home, clock ----------------------------------------------------------------------------------------------

LOCALES = [
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict"},
    {"LC_ALL": "xx_YY.nonsense"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_a_locale_without_umlauts_is_enough(site, locale):
    (site.clone / "Übersicht.txt").write_text("x")
    site.ok("image", "dev", "--image", IMAGE)
    site.fault("opentofu/platform plan", before=True, stderr="Warnung: größer „als“ …\n")
    done = real(site, "plan", "dev", env=locale)
    assert done.returncode == 0, done.stderr
    site.fault("opentofu/platform apply", code=1, stderr="Fehler: zu groß …\n")
    done = real(site, "apply-platform", "dev", env=locale)
    assert done.returncode == 1 and "ended with exit code 1" in sentence(done.stderr)
    for verb in ("firstday", "--help"):
        done = real(site, *([verb, "dev"] if verb == "firstday" else [verb]), env=locale)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("locale", LOCALES[:2], ids=str)
def test_words_that_are_no_text_of_the_locale_are_refused_as_any_other_wrong_words(site, locale):
    done = real(site, "rollback", "dev", "--to", b"\xff\xc3\xbc", env=locale)
    assert done.returncode in (12, 17), done.stderr
    assert "Traceback" not in done.stderr


def test_no_home_and_no_user_are_needed(site):
    nothing = dict.fromkeys(("HOME", "USER", "LOGNAME", "TERM", "LANG", "TMPDIR"))
    assert real(site, "image", "dev", "--image", IMAGE, env=nothing).returncode == 0
    assert real(site, "plan", "dev", env=nothing).returncode == 0


def test_a_folder_that_was_deleted_below_the_shell_does_not_matter(site, tmp_path):
    place = tmp_path / "gone"
    place.mkdir()

    def before():
        os.chdir(place)
        place.rmdir()

    done = real(site, "image", "dev", "--image", IMAGE, before=before)
    assert done.returncode == 0, done.stderr

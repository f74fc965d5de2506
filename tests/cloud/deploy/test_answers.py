"""Programs that cannot be started or answer what cannot be read: a sentence that says what to do, and an exit code."""

import errno
import os
import socket

import pytest
from conftest import IMAGE, OLD, real, sentence


@pytest.mark.parametrize(
    ("text", "mode", "code"),
    [(None, 0, 3), ("#!/no/such/interpreter\n", 0o755, 18), ("\0\0", 0o755, 18), ("#!/bin/sh\n", 0o644, 18)],
    ids=["missing", "no interpreter", "of another machine", "not executable"],
)
def test_a_program_that_cannot_be_started_is_named(site, text, mode, code):
    program = site.programs / "gcloud"
    program.unlink()
    if text is not None:
        program.write_text(text)
        program.chmod(mode)
    done = real(site, "plan", "dev", env={"PATH": str(site.programs)})
    assert done.returncode == code and "gcloud" in sentence(done.stderr), done.stderr


def test_a_program_that_was_killed_is_told_by_its_signal(site):
    program = site.programs / "tofu"
    site.ok("image", "dev", "--image", IMAGE)
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    words = sentence(site.refused(1, "plan", "dev"))
    assert "SIGKILL" in words and "memory" in words


# What is asked for JSON, what it answers instead, the verb that asks, and whose words the message names.
ASKED = [
    ("storage cat gs://acme-build-releases", "<html>Sign in to the network", "pause", "gcloud storage cat"),
    ("storage objects describe", "<html>", "pause", "gcloud storage objects"),
    ("attestations list", '{"releases": [', "image", "gcloud container binauthz"),
    ("secrets versions list", "[[]]", "keys", "gcloud secrets"),
    ("secrets versions add", "done", "keys", "gcloud secrets"),
    ("builds list", "3", "rollback", "gcloud builds list"),
    ("opentofu/platform output", "[" * 100_000, "plan", "tofu"),
    ("opentofu/services show", "", "plan", "tofu"),
    ("opentofu/platform show", '{"resource_changes": {}}', "plan", "tofu"),
]


@pytest.mark.parametrize(("match", "answer", "verb", "names"), ASKED, ids=[one[0] for one in ASKED])
def test_an_answer_that_is_not_what_was_asked_for_is_told_and_changes_nothing(site, match, answer, verb, names):
    site.record("dev", IMAGE, OLD)
    site.ok("image", "dev", "--image", IMAGE)
    site.forget_calls()
    site.fault(match, stdout=answer)
    words = site.refused(19, verb, "dev", *(["--image", IMAGE] if verb == "image" else []))
    assert names in sentence(words) and "again" in words
    assert not [line for line in site.lines() if " apply " in line or "triggers run" in line]


@pytest.mark.parametrize("text", ["", "<html>", "{", "[[]]", "3", "null", '{"releases": []', "[" * 100_000, "\0"])
def test_no_text_in_json_but_one_of_the_shape_is_believed(site, text):
    reading = site.piece("reading")
    with pytest.raises(Exception, match="gcloud answered") as refused:
        reading.parse(text, {"releases": [{"digest": str}]}, "unreadable", "gcloud answered", "Look.")
    assert refused.value.kind == "unreadable"
    shape = {"a": [str], ...: list, "b": lambda value: len(value) == 1}
    assert reading.fits({"a": ["x"], "b": [1]}, shape) and not reading.fits({"a": ["x"], "b": [], "c": []}, shape)
    assert not reading.fits({"a": [1], "b": [1]}, shape) and not reading.fits({"b": [1]}, shape)


def test_an_answer_that_is_no_text_is_told(site):
    site.record("dev", IMAGE)
    site.fault("storage cat", hex="ff00fe7b")
    assert "gcloud storage cat" in sentence(site.refused(19, "pause", "dev"))


def test_words_of_a_program_that_are_no_text_are_shown_as_far_as_they_can_be(site):
    site.planned()
    site.fault("opentofu/platform apply", code=1, error_hex="4572726f723a20ff0a")
    assert "Error: \ufffd" in sentence(site.refused(1, "apply-platform", "dev"))


@pytest.mark.parametrize("answer", ["", '{"image": "x"}'])
def test_a_saved_plan_that_cannot_be_read_is_told(site, answer):
    for verb in ("plan", "start"):
        site.fault("storage cat", stdout=answer)
        sentence(site.refused(19, verb, "prod", "--plan", "p1"))


def test_a_fault_of_the_program_itself_says_so_and_keeps_its_lines(site):
    site.change_piece("firstday.py", "    Environment(name)\n", "    raise ZeroDivisionError(name)\n")
    words = site.refused(70, "firstday", "dev")
    assert "Traceback" in words and "fault of ./deploy itself" in words.strip().splitlines()[-1]


def test_every_kind_has_an_exit_code_of_its_own(site):
    failures = site.piece("failures")
    codes = [code for code, _ in failures.KINDS.values()]
    assert len(set(codes)) == len(codes) and {18, 19, 70} <= set(codes)
    for number in (errno.ENOSPC, errno.EACCES, errno.EMFILE, errno.EIO, errno.EPIPE):
        failure = failures.failure_of(OSError(number, os.strerror(number), "/some/file"))
        assert failure.exit_code == 18 and os.strerror(number) in str(failure)


@pytest.mark.parametrize(
    "body", [b"[]", b"3", b"{}", b'{"keys": 3}', b'{"keys": [], "session": []}', b"<html>", b"\xff"]
)
def test_a_server_that_answers_something_else_fails_the_smoke_test(site, monkeypatch, body):
    """As a fault of ./deploy it would leave what was deployed where it is."""
    smoke = site.piece("smoke")
    monkeypatch.setattr(smoke, "ask", lambda *_, **__: smoke.Answer(200, {}, body))
    roots = type("Roots", (), {"keys": {}})()
    test = smoke.SmokeTest(smoke.SmokeTarget(front="http://localhost", functions={}, roots=roots, license_key="CODI-1"))
    for check in (test.keys, test.seat, test.forged_address, test.push):
        with pytest.raises(Exception, match=".") as refused:
            test.passed_check(check)
        assert type(refused.value).__name__ == "Failure" and refused.value.kind == "smoke", check


def test_an_answer_that_is_no_http_or_an_address_that_is_none_fails_the_smoke_test(site):
    smoke = site.piece("smoke")
    listening = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        connection, _ = listening.accept()
        connection.recv(1000)
        connection.sendall(b"SSH-2.0-no\r\n")
        os._exit(0)
    for url in (f"http://127.0.0.1:{listening.getsockname()[1]}/", "nonsense"):
        with pytest.raises(Exception, match="does not answer") as refused:
            smoke.ask("GET", url, patience=20)
        assert refused.value.kind == "smoke"
    os.waitpid(child, 0)
    listening.close()

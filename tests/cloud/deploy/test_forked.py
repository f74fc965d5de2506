"""What ./deploy does is the same whether a fake is a call, a fork or a program, and which of them it gets."""

import json
import re
import subprocess
import types

import forked
import pytest
import within
from conftest import IMAGE, OLD, real
from test_cut_short import CASES, normal, state

# These are started once more as a shell does, which takes as long as all others together.
AS_PROGRAMS = {"pause", "keys draw"}
# What differs each time besides (test_cut_short.normal): keys that were drawn, and the time in the name of an image.
DRAWN = re.compile(r"[A-Za-z0-9_-]{43}\b|(?<=prod-)[0-9]{8}-[0-9]{6}")


def told(site, done) -> tuple:
    """The exit code, both streams and each call of a run with its words, its feed and its environment."""
    texts = (done.stdout, done.stderr, repr(site.calls()))
    return done.returncode, *(DRAWN.sub("DRAWN", normal(text.replace(str(site.home.parent), "SITE"))) for text in texts)


@pytest.mark.parametrize("case", CASES)
def test_a_verb_does_the_same_with_calls_and_with_processes(site, tmp_path, case):
    prepare, words, more = CASES[case]
    prepare(site)
    site.forget_calls()
    called, forks, programs = (site.copied(tmp_path / name) for name in ("called", "forks", "programs"))
    expected = told(called, called.deploy(*words, **more))
    assert expected[0] == 0 and len(called.calls()) > 1
    assert told(forks, forks.deploy(*words, **more, **{within.SWITCH: "processes"})) == expected
    assert state(forks) == state(called)
    if case in AS_PROGRAMS:
        assert told(programs, real(programs, *words)) == expected
        assert state(programs) == state(called)


@pytest.mark.parametrize("when", ["before", "after", "denied"])
def test_a_death_is_the_same_with_calls_and_with_processes(site, tmp_path, when):
    site.record("dev", IMAGE, OLD)
    site.put("kill.json", {"at": 8, "when": when})
    called, forks = (site.copied(tmp_path / name) for name in ("called", "forks"))
    expected = told(called, called.deploy("pause", "dev"))
    assert expected[0] == (5 if when == "denied" else -9)
    assert told(forks, forks.deploy("pause", "dev", **{within.SWITCH: "processes"})) == expected
    assert state(forks) == state(called) and len(called.calls()) == 8


OPTIONS = {
    "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8",
    "errors": "replace", "start_new_session": True,
}


@pytest.mark.parametrize(
    ("changed", "variables", "rules"),
    [
        ({}, {within.SWITCH: "processes"}, False),
        ({}, {}, True),
        ({"stderr": None}, {}, False),
        ({"stdout": subprocess.DEVNULL}, {}, False),
        ({"stdin": None}, {}, False),
        ({"cwd": "/"}, {}, False),
    ],
    ids=["asked for", "a rule of a test", "no stderr", "no output", "its own stdin", "an option more"],
)
def test_only_what_each_call_of_deploy_asks_for_is_answered_without_a_process(tmp_path, changed, variables, rules):
    home = {"FAKE_HOME": str(tmp_path)}
    assert within.may_be(home, OPTIONS)
    assert not within.may_be({}, OPTIONS)
    if rules:
        (tmp_path / "rules.json").write_text(json.dumps([]))
    assert not within.may_be(home | variables, OPTIONS | changed)


def test_an_edited_piece_of_deploy_is_run_as_it_was_edited(site):
    """What is compiled for all of them is taken for the very file alone."""
    site.change_piece("command_line.py", "def main(", "def main(words):\n    raise SystemExit(77)\n\n\ndef other(")
    assert site.deploy("image", "dev", "--image", IMAGE).returncode == 77


def test_an_edited_file_is_not_taken_for_the_one_that_was_compiled(tmp_path, monkeypatch):
    monkeypatch.setattr(forked.sys, "path", [str(tmp_path / "deploy.d"), *forked.sys.path])
    (tmp_path / "deploy.d").mkdir()
    piece = tmp_path / "deploy.d/piece.py"
    piece.write_text("A = 1\n")
    forked._CODE[forked._file(piece)] = compile("A = 2\n", str(piece), "exec")
    assert _loaded() == 2
    piece.write_text("A = 34\n")
    assert _loaded() is None


def _loaded():
    """Of the piece, by the finder; None where it leaves it to Python."""
    spec = forked._Pieces().find_spec("piece", None)
    if spec is None:
        return None
    module = types.ModuleType("piece")
    spec.loader.exec_module(module)
    return module.A

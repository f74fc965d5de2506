"""An instance of the records is deleted by nothing but the two applies that are meant for it.

`tofu test` has no way to expect that tofu itself refuses a plan, so the module's own tests cannot say this: what is
protected is taken out of the values here, with the real module, and tofu's words are read.
"""

import sys

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests/cloud"))

import planned  # noqa: E402 - the path comes first

B = 'b = { clone_of = "a", at = "2026-11-28T12:00:00.000Z" }'
RUN = """
run "{name}" {{
  variables {{
    active = "b"
    {values}
  }}
}}
"""


def words_of(directory, *applies: str) -> str:
    """What tofu says of these applies in turn, each with these values."""
    tofu = planned.Tofu(str(directory))
    tests = tofu.opentofu / "modules/records/tests"
    head = (tests / "records.tftest.hcl").read_text("utf-8").partition('\nrun "')[0]
    runs = [RUN.format(name=f"apply_{at}", values=values) for at, values in enumerate(applies)]
    (tests / "records.tftest.hcl").write_text(head + "".join(runs))
    tofu.run("modules/records", "get")
    return " ".join(tofu.run("modules/records", "test", "-no-color").split())


BOTH = f"instances = {{ a = {{}}, {B} }}"
LET_GO = f"instances = {{ a = {{ keep = false }}, {B} }}"


@pytest.mark.parametrize("released", ["", 'released = ["replica"]'])
def test_an_instance_that_is_only_taken_out_of_the_values_stays(tmp_path, released):
    said = words_of(tmp_path, BOTH, f"instances = {{ {B} }}\n    {released}")
    assert 'google_sql_database_instance.records["a"] has prevent_destroy set, but the plan calls for it' in said


def test_an_instance_that_was_let_go_and_released_is_removed(tmp_path):
    last = f'instances = {{ {B} }}\n    released = ["a"]\n    keep = false'
    said = words_of(tmp_path, BOTH, LET_GO, last)
    assert "3 passed, 0 failed" in said, said

"""`python -m cost`: docs/COST.md is what page.py prints, and the environments have the sizes that it prices."""

import difflib
import pathlib
import shutil
import sys
import tempfile

from . import model
from .page import page
from .sizes import ROOT, differences

ENVIRONMENTS = ROOT / "opentofu" / "environments"
# Text of an environment's values → what it is changed to: each must be found, or the comparison means nothing.
PLANTED = [
    ("prod/platform.tfvars", 'tier            = "db-custom-1-3840"', 'tier            = "db-custom-8-32768"'),
    ("prod/platform.tfvars", "replicas = 1", "replicas = 2"),
    ("staging/platform.tfvars", "ha              = false", "ha              = true"),
    ("dev/platform.tfvars", '"SOFTWARE"', '"HSM"'),
    ("prod/services.tfvars", "acquire   = { max = 4, min = 0 }", "acquire   = { max = 4, min = 1 }"),
]


def planted(file: str, before: str, after: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "environments"
        shutil.copytree(ENVIRONMENTS, copy)
        text = (copy / file).read_text()
        if before not in text:
            return [f"{file} has no {before!r} any more: change PLANTED of tests/cloud/cost/__main__.py"]
        (copy / file).write_text(text.replace(before, after))
        return [] if differences(copy) else [f"{after!r} in {file} is not noticed"]


def main() -> int:
    wrong = differences(ENVIRONMENTS)
    kept, printed = (ROOT / "docs" / "COST.md").read_text(), page()
    if kept != printed:
        told = difflib.unified_diff(kept.splitlines(), printed.splitlines(), "docs/COST.md", "printed", "", "", 0, "")
        wrong.append("docs/COST.md is not what tests/cloud/cost prints:\n" + "\n".join(list(told)[:12]))
    for change in PLANTED:
        wrong += planted(*change)
    for name, it in model.PRICES["prices"].items():
        before = it["dollars"]
        it["dollars"] = before * 2
        if page() == printed:
            wrong.append(f"the page does not depend on the price {name}")
        it["dollars"] = before
    for it in wrong:
        print(f"cost: NOT SO: {it}")
    print(f"cost: {len(printed.splitlines())} lines of docs/COST.md, the sizes of 3 environments, {len(PLANTED)} "
          f"planted sizes and {len(model.PRICES['prices'])} prices compared, {len(wrong)} differences")
    return 1 if wrong else 0


sys.exit(main())

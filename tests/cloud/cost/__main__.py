"""`python -m cost`: docs/COST.md is what page.py prints, and the environments have the sizes that it prices."""

import difflib
import sys

from .page import page
from .sizes import ROOT, differences

wrong = differences(ROOT / "opentofu" / "environments")
kept, printed = (ROOT / "docs" / "COST.md").read_text(), page()
if kept != printed:
    told = list(difflib.unified_diff(kept.splitlines(), printed.splitlines(), "docs/COST.md", "printed", lineterm="", n=0))
    wrong.append("docs/COST.md is not what tests/cloud/cost prints:\n" + "\n".join(told[:12]))
# A page that could not differ would prove nothing: another price must print another page.
from . import model  # noqa: E402

model.PRICES["prices"]["sql_vcpu"]["dollars"] += 1
if page() == printed:
    wrong.append("another price of PostgreSQL prints the same page")
for it in wrong:
    print(f"cost: NOT SO: {it}")
print(f"cost: {len(printed.splitlines())} lines of docs/COST.md and the sizes of 3 environments compared, "
      f"{len(wrong)} differences")
sys.exit(1 if wrong else 0)

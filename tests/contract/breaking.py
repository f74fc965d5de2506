"""Names every change from one OpenAPI document to another that could break a client, and refuses those that nobody allowed.

breaking.py BASE REVISION ALLOWED: exit 0, or 1 with what to do. ALLOWED is a list of {"operation", "change", "reason"}: an operation such as
"GET /api/v1/me", one of its changes by the name that is printed for it, and why it is meant. One that allows nothing is refused too: it
would allow a later change that nobody looked at.
"""

import json
import os
import subprocess
import sys


def changes(base, revision):
    """The breaking changes and likely ones, as (operation, change, sentence)."""
    command = [os.environ["OASDIFF"], "breaking", "--format", "json", base, revision]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"oasdiff could not compare {base} and {revision}: {run.stderr.strip()}")
    found = json.loads(run.stdout or "[]") or []
    # Changes of components are of no operation.
    return [(f"{it.get('operation', '')} {it.get('path', '')}".strip() or "(components)", it["id"], it["text"]) for it in found]


def judge(found, allowed):
    """What is wrong, as lines; none if every change is allowed and every allowance is used."""
    lines = []
    for entry in allowed:
        if set(entry) != {"operation", "change", "reason"} or len(entry["reason"].strip()) < 20:
            lines.append(f"allowed.json: {json.dumps(entry)} needs operation, change, and a reason that a reader understands")
    keys = {(entry.get("operation"), entry.get("change")) for entry in allowed}
    for operation, change, text in found:
        if (operation, change) not in keys:
            lines.append(f"{operation}: {text} [{change}]")
    for operation, change in sorted(keys - {(operation, change) for operation, change, _ in found}, key=str):
        lines.append(f"allowed.json: nothing breaks {operation} by {change} any more: take the entry out")
    return lines


def main(base, revision, allowed):
    with open(allowed, encoding="utf-8") as file:
        entries = json.load(file)
    found = changes(base, revision)
    wrong = judge(found, entries)
    for line in wrong:
        print(f"  {line}", file=sys.stderr)
    if wrong:
        print("These changes break clients of the released API. Make them in another way (docs/API.md, \"The document\"); or, if it must be,\n"
              "add each to tests/contract/allowed.json with its reason.", file=sys.stderr)
        return 1
    print(f"No breaking change{f' but {len(found)} that are allowed' if found else ''}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Judges what pip-audit and npm audit say, since neither's exit code tells "nothing is known" from "nobody could be asked".

advisories.py pip|npm < JSON: exit 0: everything was looked up and nothing is known · 1: something is known, printed · 2: not everything was
looked up. pip-audit ends with 0 where the index has no advisories and it skipped every package; npm ends with 1 for findings and errors alike.
"""

import json
import sys


def pip(report):
    """The exit code and lines for pip-audit's JSON. What is known counts even where something else was not looked up."""
    dependencies = report["dependencies"]
    known = [f"{it['name']} {it['version']}: {', '.join(vuln['id'] for vuln in it['vulns'])}" for it in dependencies if it.get("vulns")]
    if known:
        return 1, known
    asked = dependencies and not any("skip_reason" in it for it in dependencies)
    return (0 if asked else 2), []


def npm(report):
    """The same for npm's."""
    total = report["metadata"]["vulnerabilities"]["total"]
    return (1, [f"{name}: {it['severity']}" for name, it in report.get("vulnerabilities", {}).items()]) if total else (0, [])


def main(kind):
    try:
        code, lines = {"pip": pip, "npm": npm}[kind](json.load(sys.stdin))
    except (ValueError, KeyError, TypeError):
        return 2
    for line in lines:
        print(f"  {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

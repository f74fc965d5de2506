"""Holds a list of what something is made of (CycloneDX JSON) against what is locked.

check.py cargo SBOM PACKAGE < `cargo metadata --locked`   every crate that is linked into PACKAGE or builds it, and no other
check.py python SBOM < `pip freeze`                       every installed distribution
Exit 0, or 1 with what is missing or too much.
"""

import json
import re
import sys


def listed(sbom):
    """The components of an SBOM as name@version, nested ones too; refuses what is no CycloneDX or has a component without a version."""
    if sbom.get("bomFormat") != "CycloneDX":
        sys.exit("This is no CycloneDX document.")
    found = set()
    waiting = list(sbom.get("components", []))
    while waiting:
        component = waiting.pop()
        waiting.extend(component.get("components", []))
        found.add(f"{component['name']}@{component['version']}")
    return found


def linked(metadata, package):
    """What `cargo metadata` resolves for a package, itself left out: its dependencies and those of its build, never of its tests."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {it["id"]: it for it in metadata["packages"]}
    root = next(it["id"] for it in metadata["packages"] if it["name"] == package)
    seen, waiting = {root}, [root]
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            if all(kind["kind"] == "dev" for kind in dependency["dep_kinds"]) or dependency["pkg"] in seen:
                continue
            seen.add(dependency["pkg"])
            waiting.append(dependency["pkg"])
    return {f"{packages[it]['name']}@{packages[it]['version']}" for it in seen - {root}}


def plain(name):
    """A distribution's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(freeze):
    """The lines of `pip freeze` as name@version."""
    pairs = (line.split("==") for line in freeze.splitlines() if "==" in line)
    return {f"{plain(name)}@{version.strip()}" for name, version in pairs}


def compare(found, locked):
    """What is wrong, as lines."""
    lines = [f"locked, and not listed: {it}" for it in sorted(locked - found)]
    return lines + [f"listed, and not locked: {it}" for it in sorted(found - locked)]


def main(kind, path, *package):
    with open(path, encoding="utf-8") as file:
        found = listed(json.load(file))
    if kind == "cargo":
        locked = linked(json.load(sys.stdin), *package)
    else:
        found = {plain(it.split("@")[0]) + "@" + it.split("@")[1] for it in found}
        locked = installed(sys.stdin.read())
    if not locked:
        sys.exit("Nothing is locked: there is nothing to hold the list against.")
    wrong = compare(found, locked)
    for line in wrong:
        print(f"  {path}: {line}", file=sys.stderr)
    if wrong:
        return 1
    print(f"{path} lists all {len(locked)} of what is locked, and nothing else.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

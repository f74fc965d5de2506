"""Whether the environments have the sizes that docs/COST.md prices."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import hcl2

from . import model as m

ROOT = pathlib.Path(__file__).resolve().parents[3]
PRICED = ("tier", "ha", "node_type", "replicas", "protection_level")


def plain(value: Any) -> Any:
    """python-hcl2 keeps the quotes of texts."""
    if isinstance(value, dict):
        return {plain(name): plain(inner) for name, inner in value.items() if name != "__is_block__"}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def values(path: pathlib.Path) -> dict[str, Any]:
    with path.open() as file:
        return plain(hcl2.load(file))


def found(tree: Any, name: str) -> list[Any]:
    """Every value of that name, however deep."""
    if not isinstance(tree, dict):
        return []
    here = [tree[name]] if name in tree else []
    return here + [it for inner in tree.values() for it in found(inner, name)]


def defaults() -> dict[str, Any]:
    """What holds where an environment does not say: the defaults of the modules' variables."""
    known: dict[str, Any] = {}
    for module in ("records", "seats", "signer"):
        for block in values(ROOT / "opentofu" / "modules" / module / "variables.tf").get("variable", []):
            for name, body in block.items():
                if name in PRICED and "default" in body:
                    known[name] = body["default"]
    return known


def differences(environments: pathlib.Path) -> list[str]:
    """What is priced otherwise than it is: a sentence each."""
    wrong = []
    for name in ("dev", "staging", "prod"):
        path = environments / name / "platform.tfvars"
        if not path.exists():
            wrong.append(f"{path} is not there, so its sizes cannot be compared")
            continue
        tree, priced = values(path), m.CASES["sizes"][name]
        for which in PRICED:
            said = found(tree, which) or ([defaults()[which]] if which in defaults() else [])
            if said != [priced[which]]:
                wrong.append(f"{name}: {which} is {json.dumps(said)[1:-1] or 'nowhere'} in {path.name}, "
                             f"and COST prices {json.dumps(priced[which])}")
        services = values(environments / name / "services.tfvars")
        warm = [it["min"] for sizes in found(services, "sizes") for it in sizes.values() if it.get("min", 0)]
        if warm:
            wrong.append(f"{name} keeps {sum(warm)} instances warm, and COST prices none")
    return wrong

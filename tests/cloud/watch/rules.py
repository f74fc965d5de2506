"""What opentofu/modules/watch and metrics say, as data: tofu itself evaluates it, with values like those of prod."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import tempfile
from typing import Any

from tofu_program import program_and_settings

from .run_of_services import PROJECT, ROOT

MODULES = ROOT / "opentofu" / "modules"
DOCS = ROOT / "docs" / "DEPLOYING.md"

VALUES: dict[str, Any] = {
    "project": PROJECT,
    "domain": "licenses.example.com",
    "docs_url": "https://example.com/docs/DEPLOYING.md",
    "functions": {name: {"max": 4} for name in ("acquire", "heartbeat", "release", "register", "admin", "reaper", "notify")},
    "max_connections": 200,
    "replica": True,
    "deployers": ["services@licenses-prod.iam.gserviceaccount.com"],
    "channels": {"team": {"email": "team@example.com", "urgencies": ["page", "ticket"]}},
}


def rules(made: pathlib.Path) -> dict[str, Any]:
    """`local.rules` of both modules; `made` is what tests/cloud/tools/environment prints."""
    return rules_of("metrics", {"project": PROJECT}, made) | rules_of("watch", VALUES, made)


def rules_of(module: str, variables: dict[str, Any], made: pathlib.Path) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".tfvars.json") as values:
        json.dump(variables, values)
        values.flush()
        tofu, settings = program_and_settings(made)
        done = subprocess.run(
            [str(tofu), f"-chdir={MODULES / module}", "console", f"-var-file={values.name}"],
            input="jsonencode(local.rules)", capture_output=True, text=True,
            env={**settings, "TF_DATA_DIR": f"{values.name}.d"},
        )
    answer = [line for line in done.stdout.splitlines() if line.startswith('"')]
    if done.returncode != 0 or not answer:
        raise SystemExit(f"tofu could not say what the module says:\n{done.stdout}{done.stderr}")
    return json.loads(json.loads(answer[-1]))


def source(path: str) -> str:
    return (ROOT / path).read_text()


def metric_names() -> set[str]:
    """MetricName::ALL: the texts of the one table that makes it."""
    table = source("functions/src/edge/telemetry.rs").split("\nmetrics! {")[1].split("\n}")[0]
    return set(re.findall(r'^\s+\w+ = "([a-z_/]+)"', table, re.M))


def outcome_words() -> set[str]:
    """Every word that can be an outcome: the codes of problems, and what handlers label their answers with."""
    codes = source("core/src/error.rs").split("\ncodes! {")[1].split("\n}")[0]
    found = set(re.findall(r'= "([a-z_]+)",', codes)) | {"ok"}
    for path in sorted((ROOT / "functions" / "src").rglob("*.rs")):
        if "tests" in path.parts:
            continue
        text = path.read_text()
        found |= set(re.findall(r'(?:Label|MetricOutcome|acknowledged)\(\s*"([a-z_]+)"', text))
        # `let (status, label) = if … { (…, "granted") } else { (…, "renewed") }`, and `code.unwrap_or("valid")`.
        found |= {word for pair in re.findall(r"let \(status, label\) =(.*?);", text, re.S)
                  for word in re.findall(r'"([a-z_]+)"', pair)}
        found |= set(re.findall(r'Label\(code\.unwrap_or\("([a-z_]+)"\)', text))
    return found


def messages() -> str:
    """All code that may write a line, with texts that go on after a line's end joined."""
    crates = ("core", "functions", "local", "pubsub")
    files = sorted(path for crate in crates for path in (ROOT / crate / "src").rglob("*.rs"))
    return "\n".join(re.sub(r"\\\n\s*", "", path.read_text()) for path in files if "tests" not in path.parts)


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#{1,6} (.+?)\s*$", page, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

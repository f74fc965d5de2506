#!/usr/bin/env -S python3 -I -S
"""Stands for gcloud, tofu and the others in the tests of ./deploy: records each call and behaves enough like them.

What it remembers is below FAKE_HOME: calls.jsonl, a bucket store, a state serial for each root, and rules.json with the
faults of a test: {"match": regular expression over "program argument …", "code", "stdout", "stderr", "times", "wait"}.
"""

import json
import os
import pathlib
import re
import signal
import sys
import time

HOME = pathlib.Path(os.environ["FAKE_HOME"])
PROGRAM = pathlib.Path(sys.argv[0]).name
ARGUMENTS = sys.argv[1:]
LINE = " ".join([PROGRAM, *ARGUMENTS])


def main() -> int:
    feed = "" if sys.stdin.isatty() else sys.stdin.read()
    kept = {
        name: os.environ[name] for name in ("TF_DATA_DIR", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT") if name in os.environ
    }
    with (HOME / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"line": LINE, "arguments": ARGUMENTS, "stdin": feed, "env": kept}) + "\n")
    rule = taken_rule()
    if rule:
        if rule.get("wait"):
            return wait(rule)
        if rule.get("before"):
            PROGRAMS[PROGRAM](feed)
        sys.stdout.write(rule.get("stdout", ""))
        sys.stderr.write(rule.get("stderr", ""))
        return rule.get("code", 0)
    return PROGRAMS[PROGRAM](feed)


def taken_rule():
    path = HOME / "rules.json"
    rules = json.loads(path.read_text()) if path.exists() else []
    for rule in rules:
        if re.search(rule["match"], LINE) and rule.get("times", 1) > 0:
            rule["times"] = rule.get("times", 1) - 1
            path.write_text(json.dumps(rules))
            return rule
    return None


def wait(rule) -> int:
    """Runs until a signal, as an apply does that takes minutes; then ends in good order, as tofu does for SIGINT."""
    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append("SIGINT"))
    (HOME / "waiting").touch()
    deadline = time.monotonic() + 30
    while not stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    (HOME / "stopped-by").write_text(stopped[0] if stopped else "nothing")
    return rule.get("code", 1)


def read(name: str, default):
    path = HOME / name
    return json.loads(path.read_text()) if path.exists() else default


def value_of(flag: str, default=None):
    return next((one.split("=", 1)[1] for one in ARGUMENTS if one.startswith(f"{flag}=")), default)


def tofu(_feed: str) -> int:
    root = pathlib.Path(value_of("-chdir")).name
    words = ARGUMENTS[1:]
    serial_file = HOME / f"{root}.serial"
    serial = int(serial_file.read_text()) if serial_file.exists() else 0
    if words[0] == "plan" and "-refresh-only" in words:
        return 2 if root in read("drifted.json", []) else 0
    if words[0] == "plan":
        changes = read(f"{root}.changes.json", [])
        pathlib.Path(value_of("-out")).write_text(json.dumps({"serial": serial, "changes": changes}))
    elif words[0] == "show":
        changes = json.loads(pathlib.Path(words[-1]).read_text())["changes"]
        print(
            json.dumps(
                {
                    "resource_changes": [
                        {
                            "address": address,
                            "type": address.split(".")[-2],
                            "mode": "managed",
                            "change": {"actions": actions},
                        }
                        for address, actions in changes
                    ]
                }
            )
        )
    elif words[0] == "apply":
        if json.loads(pathlib.Path(words[-1]).read_text())["serial"] != serial:
            sys.stderr.write("Error: Saved plan is stale\n")
            return 1
        serial_file.write_text(str(serial + 1))
        if (pathlib.Path(value_of("-chdir")) / "backend_override.tf").exists():
            (pathlib.Path(value_of("-chdir")) / "terraform.tfstate").write_text("{}")
    elif words[0] == "output":
        print(json.dumps({name: {"value": value} for name, value in read(f"{root}.outputs.json", {}).items()}))
    elif words[0] == "state":
        print("\n".join(read(f"{root}.addresses.json", [])))
    return 0


def bucket(address: str) -> pathlib.Path:
    path = HOME / "buckets" / address.removeprefix("gs://")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def gcloud(feed: str) -> int:
    words = ARGUMENTS
    if words[:3] == ["config", "get-value", "project"]:
        print((HOME / "project").read_text())
    elif words[:3] == ["config", "set", "project"]:
        (HOME / "project").write_text(words[3])
    elif words[:3] == ["artifacts", "docker", "images"] and words[3] == "list":
        print("sha256:" + "c" * 64)
    elif words[:2] == ["storage", "cat"]:
        if not bucket(words[2]).exists():
            sys.stderr.write("ERROR: The following URLs matched no objects or files\n")
            return 1
        print(bucket(words[2]).read_text())
    elif words[:2] == ["storage", "cp"]:
        source, target = [word for word in words[2:] if not word.startswith("--")]
        source_text = feed if source == "-" else None
        source_path = bucket(source) if source.startswith("gs://") else pathlib.Path(source)
        if source_text is None and not source_path.exists():
            sys.stderr.write("ERROR: The following URLs matched no objects or files\n")
            return 1
        text = source_path.read_text() if source_text is None else source_text
        (bucket(target) if target.startswith("gs://") else pathlib.Path(target)).write_text(text)
    elif words[0] == "secrets":
        return secrets(words, feed)
    elif words[:3] == ["run", "services", "describe"]:
        print(read("serving.json", {}).get(words[3], ""))
    elif words[:2] == ["logging", "read"]:
        print(json.dumps([{"jsonPayload": {"outcome": "idle"}}]))
    elif words[:2] == ["builds", "submit"]:
        print("sha256:" + "b" * 64)
    elif words[:3] == ["container", "binauthz", "attestations"]:
        print(json.dumps([{"name": "attestation"}]))
    elif "--format=json" in words:
        print("[]")
    return 0


def secrets(words: list, feed: str) -> int:
    if words[1] != "versions":
        if words[1] == "list":
            print("\n".join(str(path) for path in HOME.glob(f"secret.{value_of('--filter')[6:-1]}.json")))
        elif words[1] == "create":
            (HOME / f"secret.{words[2]}.json").write_text("[]")
        return 0
    name = value_of("--secret") or words[3]
    path = HOME / f"secret.{name}.json"
    versions = json.loads(path.read_text()) if path.exists() else []
    if words[2] == "list":
        print(json.dumps([{"name": f"projects/1/secrets/{name}/versions/{at + 1}"} for at in range(len(versions))]))
    elif words[2] == "add":
        versions.append(feed)
        path.write_text(json.dumps(versions))
        print(f"projects/1/secrets/{name}/versions/{len(versions)}")
    elif words[2] == "access":
        sys.stdout.write(versions[-1 if words[3] == "latest" else int(words[3]) - 1])
    return 0


def dev(_feed: str) -> int:
    return 0


PROGRAMS = {"gcloud": gcloud, "tofu": tofu, "dev": dev}
sys.exit(main())

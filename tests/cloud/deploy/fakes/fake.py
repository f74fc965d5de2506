"""Stands for gcloud, tofu and the others in the tests of ./deploy: records each call and behaves enough like them.

What it remembers is below FAKE_HOME: calls, a bucket store, a state serial for each root, and rules.json with the
faults of a test: {"match": regular expression over "program argument …", "code", "stdout", "stderr", "times", "wait"}.
"""

import os
import sys

# A test starts dozens of these. json and re are imported where they are needed: most calls need neither, and the
# imports take longer than all the rest.
HOME = os.environ["FAKE_HOME"]
PROGRAM = os.path.basename(sys.argv[0])
ARGUMENTS = sys.argv[1:]
LINE = " ".join([PROGRAM, *ARGUMENTS])
KEPT = ("TF_DATA_DIR", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT")


def main() -> int:
    feed = "" if sys.stdin.isatty() else sys.stdin.read()
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    # One write, so that two fakes at once do not mix their lines.
    with open(at("calls"), "a", encoding="utf-8") as file:
        file.write(repr({"line": LINE, "arguments": ARGUMENTS, "stdin": feed, "env": kept}) + "\n")
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


def at(name: str) -> str:
    return os.path.join(HOME, name)


def text_of(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path: str, text: str):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(name: str, default):
    if not os.path.exists(at(name)):
        return default
    import json

    return json.loads(text_of(at(name)))


def show(value) -> str:
    import json

    return json.dumps(value)


def taken_rule():
    rules = read("rules.json", [])
    if not rules:
        return None
    import re

    for rule in rules:
        if re.search(rule["match"], LINE) and rule.get("times", 1) > 0:
            rule["times"] = rule.get("times", 1) - 1
            write(at("rules.json"), show(rules))
            return rule
    return None


def wait(rule) -> int:
    """Runs until a signal, as an apply does that takes minutes; then ends in good order, as tofu does for SIGINT."""
    import signal
    import time

    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append("SIGINT"))
    write(at("waiting"), "")
    deadline = time.monotonic() + 30
    while not stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    write(at("stopped-by"), stopped[0] if stopped else "nothing")
    return rule.get("code", 1)


def value_of(flag: str, default=None):
    return next((one.split("=", 1)[1] for one in ARGUMENTS if one.startswith(f"{flag}=")), default)


def tofu(_feed: str) -> int:
    directory = value_of("-chdir")
    root = os.path.basename(directory)
    words = ARGUMENTS[1:]
    serial_file = at(f"{root}.serial")
    serial = int(text_of(serial_file)) if os.path.exists(serial_file) else 0
    if words[0] == "plan" and "-refresh-only" in words:
        return 2 if root in read("drifted.json", []) else 0
    if words[0] == "plan":
        write(value_of("-out"), show({"serial": serial, "changes": read(f"{root}.changes.json", [])}))
    elif words[0] == "show":
        changes = read(words[-1], {})["changes"]
        print(show({"resource_changes": [change_of(*one) for one in changes]}))
    elif words[0] == "apply":
        if read(words[-1], {})["serial"] != serial:
            sys.stderr.write("Error: Saved plan is stale\n")
            return 1
        write(serial_file, str(serial + 1))
        if os.path.exists(os.path.join(directory, "backend_override.tf")):
            write(os.path.join(directory, "terraform.tfstate"), "{}")
    elif words[0] == "output":
        print(show({name: {"value": value} for name, value in read(f"{root}.outputs.json", {}).items()}))
    elif words[0] == "state":
        print("\n".join(read(f"{root}.addresses.json", [])))
    return 0


def change_of(address: str, actions: list) -> dict:
    kind = address.split(".")[-2]
    return {"address": address, "type": kind, "mode": "managed", "change": {"actions": actions}}


def bucket(address: str) -> str:
    return at(f"buckets/{address.removeprefix('gs://')}")


def gcloud(feed: str) -> int:
    words = ARGUMENTS
    if words[:3] == ["config", "get-value", "project"]:
        print(text_of(at("project")))
    elif words[:3] == ["config", "set", "project"]:
        write(at("project"), words[3])
    elif words[:3] == ["artifacts", "docker", "images"] and words[3] == "list":
        print("sha256:" + "c" * 64)
    elif words[:2] == ["storage", "cat"]:
        if not os.path.exists(bucket(words[2])):
            return no_object()
        print(text_of(bucket(words[2])))
    elif words[:2] == ["storage", "cp"]:
        source, target = [word for word in words[2:] if not word.startswith("--")]
        path = bucket(source) if source.startswith("gs://") else source
        if source != "-" and not os.path.exists(path):
            return no_object()
        write(bucket(target) if target.startswith("gs://") else target, feed if source == "-" else text_of(path))
    elif words[0] == "secrets":
        return secrets(words, feed)
    elif words[:3] == ["run", "services", "describe"]:
        print(read("serving.json", {}).get(words[3], ""))
    elif words[:2] == ["logging", "read"]:
        print('[{"jsonPayload": {"outcome": "idle"}}]')
    elif words[:2] == ["builds", "submit"]:
        print("sha256:" + "b" * 64)
    elif words[:3] == ["container", "binauthz", "attestations"]:
        print('[{"name": "attestation"}]')
    elif "--format=json" in words:
        print("[]")
    return 0


def no_object() -> int:
    sys.stderr.write("ERROR: The following URLs matched no objects or files\n")
    return 1


def secrets(words: list, feed: str) -> int:
    if words[1] != "versions":
        if words[1] == "list":
            name = f"secret.{value_of('--filter')[6:-1]}.json"
            print(at(name) if os.path.exists(at(name)) else "")
        elif words[1] == "create":
            write(at(f"secret.{words[2]}.json"), "[]")
        return 0
    name = value_of("--secret") or words[3]
    versions = read(f"secret.{name}.json", [])
    if words[2] == "list":
        print(show([{"name": f"projects/1/secrets/{name}/versions/{number + 1}"} for number in range(len(versions))]))
    elif words[2] == "add":
        versions.append(feed)
        write(at(f"secret.{name}.json"), show(versions))
        print(f"projects/1/secrets/{name}/versions/{len(versions)}")
    elif words[2] == "access":
        sys.stdout.write(versions[-1 if words[3] == "latest" else int(words[3]) - 1])
    return 0


def dev(_feed: str) -> int:
    return 0


PROGRAMS = {"gcloud": gcloud, "tofu": tofu, "dev": dev}

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
LOCK = "# What tofu writes of the provider.\n"
KEPT = ("TF_DATA_DIR", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT")
# Whose process ./deploy is: forked.py says another one where there is no process between.
DEPLOY = os.getppid


def main() -> int:
    feed = "" if sys.stdin.isatty() else sys.stdin.read()
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    # One write, so that two fakes at once do not mix their lines.
    with open(at("calls"), "a", encoding="utf-8") as file:
        file.write(repr({"line": LINE, "arguments": ARGUMENTS, "stdin": feed, "env": kept}) + "\n")
    told = killer()
    if told == "before":
        return 137
    note_state()
    code = answered(feed)
    note_state()
    if told == "after":
        os.kill(DEPLOY(), 9)
    return code


def note_state():
    """Where a test asks for it (the file `states`), what there is in the cloud and in the clone at this moment."""
    if not os.path.exists(at("states")):
        return
    import hashlib

    digest = hashlib.sha256()
    for top in (HOME, os.path.join(os.path.dirname(HOME), "clone")):
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(set(folders) - {".git", "deploy.d"})
            for name in sorted(set(names) - {"states", "calls"}):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    digest.update(path.encode() + b"\0" + file.read() + b"\0")
    with open(at("states"), "a", encoding="utf-8") as file:
        file.write(digest.hexdigest() + "\n")


def killer():
    """Whether ./deploy dies with this call, before or after its effect. kill.json: {"at": its number, "when": …}."""
    kill = read("kill.json", None)
    if not kill or len(text_of(at("calls")).splitlines()) != kill["at"]:
        return None
    if kill["when"] == "denied":
        sys.stderr.write("ERROR: 403 forbidden: permission_denied\n")
        sys.exit(1)
    if kill["when"] == "before":
        os.kill(DEPLOY(), 9)
    return kill["when"]


def answered(feed: str) -> int:
    rule = taken_rule()
    if rule:
        if rule.get("wait"):
            return wait(rule)
        for address, text in rule.get("meanwhile", {}).items():
            store(bucket(address), text)
        if rule.get("before"):
            PROGRAMS[PROGRAM](feed)
        return answer(rule)
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


def answer(rule) -> int:
    """What the rule says, on both streams; as bytes where it is no text."""
    for stream, said, raw in ((sys.stdout, "stdout", "hex"), (sys.stderr, "stderr", "error_hex")):
        text = rule.get(said, "").encode() + bytes.fromhex(rule.get(raw, ""))
        stream.buffer.write(text * rule.get("repeat", 1))
        stream.flush()
    return rule.get("code", 0)


def wait(rule) -> int:
    """Runs until a signal, as an apply does that takes minutes; then ends in good order, as tofu does for SIGINT."""
    import signal
    import time

    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append("SIGINT"))
    write(at("waiting"), "")
    deadline = time.monotonic() + rule.get("patience", 30)
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
    values = sorted(word for word in words if word.startswith("-var="))
    if words[0] == "plan" and "-detailed-exitcode" in words:
        return 0 if read(f"{root}.applied.json", None) == values else 2
    if words[0] == "plan":
        done = read(f"{root}.applied.json", None) == values
        drifted = root in read("drifted.json", [])
        changes = [] if done else read(f"{root}.changes.json", [])
        plan = {"serial": serial, "changes": changes, "values": values, "drifted": drifted}
        write(value_of("-out"), show(plan))
    elif words[0] == "show":
        plan = read(words[-1], {})
        # drifted.json: the roots in which somebody changed something past tofu.
        changes, moved = [change_of(*one) for one in plan["changes"]], []
        if plan.get("drifted"):
            by_hand = (f"module.{root}.google_monitoring_dashboard.board", ["update"])
            moved = [change_of(*by_hand, before={"text": "as applied"}, after={"text": "by hand"})]
            changes.append(change_of(*by_hand, before={"text": "by hand"}, after={"text": "as applied"}))
        print(show({"format_version": "1.2", "resource_changes": changes, "resource_drift": moved}))
    elif words[0] == "apply":
        if read(words[-1], {})["serial"] != serial:
            sys.stderr.write("Error: Saved plan is stale\n")
            return 1
        # As tofu: where nothing is to do, the state stays what it is.
        if read(f"{root}.applied.json", None) != read(words[-1], {})["values"]:
            write(serial_file, str(serial + 1))
            write(at(f"{root}.applied.json"), show(read(words[-1], {})["values"]))
        if os.path.exists(os.path.join(directory, "backend_override.tf")):
            write(os.path.join(directory, "terraform.tfstate"), "{}")
    elif words[:2] == ["providers", "lock"]:
        write(os.path.join(directory, ".terraform.lock.hcl"), LOCK)
    elif words[0] == "output":
        print(show({name: {"value": value} for name, value in read(f"{root}.outputs.json", {}).items()}))
    elif words[:2] == ["state", "rm"]:
        left = [one for one in read(f"{root}.addresses.json", []) if one not in words[2:]]
        write(at(f"{root}.addresses.json"), show(left))
        write(serial_file, str(serial + 1))
    elif words[0] == "state":
        print("\n".join(read(f"{root}.addresses.json", [])))
    return 0


def change_of(address: str, actions: list, **values) -> dict:
    kind = address.split(".")[-2]
    return {"address": address, "type": kind, "mode": "managed", "change": {"actions": actions, **values}}


def bucket(address: str) -> str:
    return at(f"buckets/{address.removeprefix('gs://')}")


def generation(path: str) -> str:
    """How often an object was written; 0 where there is none, as the condition of a write says it."""
    if not os.path.exists(path):
        return "0"
    kept = f"{at('generations')}/{os.path.relpath(path, HOME)}"
    return text_of(kept) if os.path.exists(kept) else "1"


def store(path: str, text: str):
    following = str(int(generation(path)) + 1)
    write(path, text)
    write(f"{at('generations')}/{os.path.relpath(path, HOME)}", following)


def google_time() -> str:
    import time

    shown = at("google-time")
    return text_of(shown) if os.path.exists(shown) else time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())


def objects(words: list, feed: str) -> int:
    """gcloud storage: an object is read as it is now, and written under the condition that it is as it was."""
    if words[:2] == ["objects", "describe"]:
        path = bucket(words[2])
        if not os.path.exists(path):
            return no_object()
        print(f"{generation(path)}\t{google_time()}")
    elif words[0] == "cat":
        address, _, wanted = words[1].partition("#")
        if not os.path.exists(bucket(address)) or (wanted and wanted != generation(bucket(address))):
            return no_object()
        print(text_of(bucket(address)))
    elif words[0] == "cp":
        source, target = [word for word in words[1:] if not word.startswith("--")]
        path = bucket(source) if source.startswith("gs://") else source
        if source != "-" and not os.path.exists(path):
            return no_object()
        text = feed if source == "-" else text_of(path)
        if not target.startswith("gs://"):
            write(target, text)
            return 0
        if value_of("--if-generation-match", generation(bucket(target))) != generation(bucket(target)):
            sys.stderr.write("ERROR: HTTPError 412: At least one of the pre-conditions you specified did not hold.\n")
            return 1
        store(bucket(target), text)
    return 0


def builds(words: list) -> int:
    """gcloud builds: a pipeline that was started waits, so that it is found by who would start it once more."""
    known = read("builds.json", [])
    if words[0] == "list":
        print(show(known))
    elif words[0] == "submit":
        address = LINE.rpartition("_ADDRESS=")[2].split()[0]
        if os.path.exists(at("images.json")):
            write(at("images.json"), show([*read("images.json", []), address]))
        print("sha256:" + "b" * 64)
    elif words[:2] == ["triggers", "run"]:
        given = (value_of("--substitutions") or "").split(",")
        said = dict(one.split("=", 1) for one in given if one)
        said |= {"TRIGGER_NAME": words[2], "COMMIT_SHA": value_of("--sha")}
        write(at("builds.json"), show([{"id": f"b{len(known)}", "status": "QUEUED", "substitutions": said}, *known]))
    return 0


def gcloud(feed: str) -> int:
    words = ARGUMENTS
    if words[:3] == ["config", "get-value", "project"]:
        print(text_of(at("project")))
    elif words[:3] == ["config", "set", "project"]:
        write(at("project"), words[3])
    elif words[:3] == ["artifacts", "docker", "images"] and words[3] == "list":
        # images.json: what the registry has, where it does not have everything.
        known = read("images.json", [words[4]])
        print("sha256:" + "c" * 64 if words[4] in known else "")
    elif words[:3] == ["storage", "buckets", "describe"]:
        # no-bucket.json: it is made by the first apply of bootstrap.
        if os.path.exists(at("no-bucket.json")) and not os.path.exists(at("bootstrap.serial")):
            sys.stderr.write(f"ERROR: (gcloud.storage.buckets.describe) {words[3]} not found: 404.\n")
            return 1
    elif words[0] == "storage" and words[1] in ("cat", "cp", "objects"):
        return objects(words[1:], feed)
    elif words[0] == "builds" and words[1] in ("list", "submit", "triggers"):
        return builds(words[1:])
    elif words[0] == "secrets":
        return secrets(words, feed)
    elif words[:3] == ["run", "services", "describe"]:
        print(read("serving.json", {}).get(words[3], ""))
    elif words[:3] == ["certificate-manager", "certificates", "describe"]:
        states = read("certificate.json", ["ACTIVE"])
        write(at("certificate.json"), show(states[1:] or states))
        print(states[0])
    elif words[:2] == ["logging", "read"]:
        print('[{"jsonPayload": {"outcome": "idle"}}]')
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
        if words[1] == "list" and value_of("--filter"):
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

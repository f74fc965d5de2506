"""Runs schemathesis over a license-local of its own: no server error, and no answer that openapi.json does not describe.

fuzz.py ROOT: once as the owner of a new organization, once as the vendor's staff. Bounded: CONTRACT_SECONDS (150) for both together. The same
CONTRACT_SEED (1 unless set) sends the same requests; another one looks elsewhere.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
# What is checked of every answer. Left out: whether everything the document forbids is refused (fields are checked in our own tests, one by
# one, and unknown headers and query parameters of most operations are passed over on purpose), and whether everything it allows is accepted
# (a license key of the right form that no license has is refused, say).
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
          "response_schema_conformance", "unsupported_method", "allow_header_conformance"]
CONFIG = """
[parameters]
"path.organization" = "{organization}"

[output.sanitization]
enabled = true
"""


def post(url, body, bearer=None):
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return json.load(answer)


class Machine:
    """A license-local with its data in a folder of its own, on free ports, without limits on rates."""

    def __init__(self, root, folder):
        rates = {f"RATE_{name}": "off" for name in ("ACQUIRE", "HEARTBEAT", "REGISTER", "UNKNOWN_KEYS", "ADMIN")}
        self.log = open(os.path.join(folder, "local.log"), "w+", encoding="utf-8")
        data = os.path.join(folder, "data")
        command = [os.path.join(root, "target/debug/license-local"), "--port", "0", "--data", data]
        environment = {**os.environ, **rates, "RUST_LOG": "info", "LOG_FORMAT": "text"}
        self.process = subprocess.Popen(command, env=environment, stdout=self.log, stderr=subprocess.STDOUT)
        self.found = os.path.join(data, "endpoints.json")

    def endpoints(self):
        until = time.monotonic() + 300
        while not os.path.exists(self.found):
            if self.process.poll() is not None or time.monotonic() > until:
                self.log.seek(0)
                sys.exit(f"license-local did not start: {self.log.read()}")
            time.sleep(0.05)
        with open(self.found, encoding="utf-8") as file:
            return json.load(file)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def unanswered(root, log):
    """The operations that no request had a success of, by the server's own log: their answers were not looked at."""
    with open(os.path.join(root, "openapi.json"), encoding="utf-8") as file:
        paths = json.load(file)["paths"]
    operations = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    with open(log, encoding="utf-8", errors="replace") as file:
        # A success of health is not logged.
        seen = {found[1] for line in file if (found := re.search(r"request: ([A-Z]+ \S+) 2\d\d ", line))} | {"GET /health/live", "GET /health/ready", "GET /health/started"}
    return sorted(operations - seen)


def fuzz(who, root, folder, front, token, registered, key, seconds, again):
    """True if nothing was found. `again` is how another token is had when one of the requests voided the one before."""
    print(f"As {who}, {seconds} s", flush=True)
    config = os.path.join(folder, "schemathesis.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(organization=registered["organization"]["id"]))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", os.path.join(root, "openapi.json"), "--url", front,
        "--checks", ",".join(CHECKS), "--max-time", str(seconds), "--seed", os.environ.get("CONTRACT_SEED", "1"), "--workers", "1",
        "--generation-database", "none", "--request-timeout", "10", "--no-color",
        "--warnings", "off", "--suppress-health-check", "all",
    ]
    known = {"CONTRACT_FRONT": front, "CONTRACT_TOKEN": token, "CONTRACT_KEYS": f"{registered['license']['key']} {key}",
             "CONTRACT_LICENSE": registered["license"]["id"], "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": HERE, "NO_PROXY": "*",
             "CONTRACT_AGAIN": json.dumps(again)}
    return subprocess.run(command, cwd=folder, env={**os.environ, **known}, check=False).returncode == 0


def main(root):
    seconds = int(os.environ.get("CONTRACT_SECONDS", "150"))
    # PostgreSQL's user must get to the data: not below a home directory, and open to be walked through.
    folder = tempfile.mkdtemp(prefix="license-contract-")
    os.chmod(folder, 0o755)
    machine = Machine(root, folder)
    try:
        at = machine.endpoints()
        person = {"email": "owner@example.com", "name": "Owner", "provider": "google.com"}
        owner = post(f"{at['issuer']}/token", person)["id_token"]
        with open(os.path.join(folder, "data", "staff.secret"), encoding="utf-8") as file:
            secret = file.read().strip()
        vendor = {"email": "staff@example.com", "staff": True}
        staff = post(f"{at['issuer']}/token", vendor, secret)["id_token"]
        registered = post(f"{at['front']}/api/v1/auth/register", {}, owner)
        # Once used, its key is not drawn anew when the owner registers again.
        first = {"license_key": registered["license"]["key"], "hardware_id": "contract-ids", "attempt": str(uuid.uuid4())}
        post(f"{at['front']}/api/v1/licenses/acquire", first)
        with_all = (root, folder, at["front"])
        good = fuzz("the owner of an organization", *with_all, owner, registered, at["license_key"], seconds * 2 // 3,
                    {"url": f"{at['issuer']}/token", "person": person, "secret": ""})
        good = fuzz("the vendor's staff", *with_all, staff, registered, at["license_key"], seconds // 3,
                    {"url": f"{at['issuer']}/token", "person": vendor, "secret": secret}) and good
        if machine.process.poll() is not None:
            sys.exit("license-local ended while it was asked")
    finally:
        machine.stop()
    for operation in unanswered(root, machine.log.name):
        print(f"  never answered with success: {operation}")
    if good:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"What the server said meanwhile: {folder}/local.log", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

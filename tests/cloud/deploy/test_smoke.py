"""The smoke test against a real server: license-local, as it stands and as an environment of the pipeline.

The binary is LICENSE_LOCAL, or that of this clone, which tests/cloud/parts/smoke builds.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import pytest
from conftest import IMAGE, OLD, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "deploy.d"))
BINARY = pathlib.Path(os.environ.get("LICENSE_LOCAL") or REPOSITORY / "target/debug/license-local")


def free_ports(count: int) -> int:
    """The first of a row of ports that nobody listens on at this moment."""
    for first in range(21000, 60000, 97):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for at, one in enumerate(sockets):
                one.bind(("127.0.0.1", first + at))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no row of free ports")


class Server:
    """A license-local with a data directory and lines of its own."""

    def __init__(self, directory: pathlib.Path, **variables):
        assert BINARY.exists(), f"{BINARY} is not there: build it by cargo build --bins"
        self.data = directory / "data"
        self.lines = directory / "lines"
        settings = {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "REAPER_PERIOD_SECONDS": "2", **variables}
        with self.lines.open("w") as output:
            self.process = subprocess.Popen(
                [BINARY, "--data", self.data, "--port", str(free_ports(10))],
                env={**os.environ, **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 300
        while not (self.data / "endpoints.json").exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.lines.read_text()
            time.sleep(0.05)
        self.endpoints = json.loads((self.data / "endpoints.json").read_text())
        self.front = self.endpoints["front"]

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="license-smoke-", ignore_cleanup_errors=True) as name:
        # Under root the stores run as an account of their own, which must reach its data.
        pathlib.Path(name).chmod(0o711)
        one = Server(pathlib.Path(name))
        yield one
        one.stop()


def smoke(server, *words, address=None):
    return subprocess.run(
        [REPOSITORY / "deploy", "smoke", address or server.front, "--data", server.data, *words],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_check_passes_and_what_only_the_cloud_has_is_named(server):
    done = smoke(server, "--lines", server.lines)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^  ok  (\w+)", done.stderr, flags=re.MULTILINE)
    assert found == ["health", "keys", "seat", "forged", "push", "tick"]
    assert "Left out, because only the cloud has it: the image of each service" in done.stderr
    without = smoke(server)
    assert without.returncode == 0 and "the tick" in without.stderr.splitlines()[-1]


def test_a_root_key_that_is_not_pinned_is_red(server, tmp_path):
    other = tmp_path / "data"
    other.mkdir()
    for name in ("endpoints.json", "license-key"):
        (other / name).write_text((server.data / name).read_text())
    made = subprocess.run(["openssl", "genrsa", "4096"], capture_output=True, check=True)
    (other / "root.pem").write_bytes(made.stdout)
    done = subprocess.run(
        [REPOSITORY / "deploy", "smoke", server.front, "--data", other], capture_output=True, text=True, check=False
    )
    assert done.returncode == 14 and "is pinned" in done.stderr


def test_a_service_that_believes_invented_addresses_is_red(server):
    """Through the functions on their own, which believe as many proxies as they are told."""
    import signed_token
    from smoke import SmokeTest, read_local

    target = read_local(server.data)
    assert "429" in SmokeTest(target).forged_address()
    believing = subprocess.Popen(
        [BINARY.parent / "acquire"],
        env={**os.environ, **variables_of(server), "TRUSTED_PROXIES": "1", "PORT": str(port := free_ports(1))},
        stdout=subprocess.DEVNULL,
    )
    try:
        target.front = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{target.front}/health/ready", timeout=5)
                break
            except OSError:
                assert time.monotonic() < deadline and believing.poll() is None
                time.sleep(0.05)
        with pytest.raises(Exception, match="TRUSTED_PROXIES is too high"):
            SmokeTest(target).forged_address()
    finally:
        believing.terminate()
        believing.wait(timeout=30)
    assert signed_token


def variables_of(server) -> dict:
    """What license-local wrote for functions that are started beside it."""
    pairs = re.findall(r"^(?:export )?(\w+)='?([^'\n]*)'?$", (server.data / "env").read_text(), flags=re.MULTILINE)
    return dict(pairs)


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', '{"keys": [{"n": "AQAB", "e": "AQAB"}]}', "-----BEGIN"])
def test_a_file_that_pins_no_root_key_is_told_apart_from_a_red_test(site, text):
    red_environment(site)
    (site.clone / "opentofu/environments/dev/roots.json").write_text(text)
    done = site.deploy("smoke", "dev", CANARY_LICENSE_KEY="CODI-X")
    assert done.returncode == 2 and "roots.json" in done.stderr, done.stderr
    assert not [line for line in site.lines("tofu") if " apply " in line]


def test_a_server_that_is_not_there_is_red(tmp_path):
    done = subprocess.run(
        [REPOSITORY / "deploy", "smoke", "http://127.0.0.1:1", "--data", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3 and "./dev run" in done.stderr


# --- As an environment of the pipeline -----------------------------------------------------------------------------


def as_environment(site, server, **record):
    """Let the fakes describe the real server as if services had been applied."""
    keys = urllib.request.urlopen(f"{server.front}/.well-known/license-keys").read()
    (site.clone / "opentofu/environments/dev/roots.json").write_bytes(keys)
    site.put(
        "services.outputs.json",
        {
            "public_url": server.front,
            "urls": {name: url for name, url in server.endpoints.items() if name in FUNCTIONS},
            "environment": {"acquire": {"TOKEN_ISSUER": server.front}},
            "revisions": {name: f"{name}-00008" for name in FUNCTIONS},
        },
    )
    site.put("secret.canary-license-key.json", [(server.data / "license-key").read_text()])
    site.put("serving.json", dict.fromkeys(FUNCTIONS, IMAGE))
    site.record("dev", OLD, **record)
    site.planned()
    for step in ("apply-platform", "migrate", "apply-services"):
        site.ok(step, "dev")
    site.forget_calls()


FUNCTIONS = list(json.loads((REPOSITORY / "opentofu/functions.json").read_text())["functions"])


def test_a_green_smoke_test_lets_the_release_be_promoted(site, server):
    as_environment(site, server)
    done = site.ok("smoke", "dev")
    assert "8 checks" not in done.stderr and "7 checks passed" in done.stderr
    assert not [line for line in site.lines("tofu") if " apply " in line]
    key = (server.data / "license-key").read_text().strip()
    assert key not in done.stderr and not [call for call in site.calls() if key in call["line"]]
    site.ok("promote", "dev")


def test_another_image_than_was_deployed_is_red(site, server):
    as_environment(site, server)
    site.put("serving.json", {**dict.fromkeys(FUNCTIONS, IMAGE), "release": OLD})
    assert f"release runs {OLD}" in site.refused(14, "smoke", "dev")


def as_canary(site, server, *seen):
    """A new release with a tenth of the requests; what the log says of its revisions, one answer after the other."""
    (site.clone / "opentofu/environments/dev/services.tfvars").write_text("canary_percent = 10\n")
    site.git("commit", "--quiet", "--all", "--message", "canary")
    as_environment(site, server, revisions={name: f"{name}-00007" for name in FUNCTIONS})
    site.change_piece("canary.py", "PACE_SECONDS = 1", "PACE_SECONDS = 0.01")
    site.change_piece("canary.py", "LAG_SECONDS = 60", "LAG_SECONDS = 0.1")
    for names in seen:
        lines = [{"resource": {"labels": {"service_name": name}}} for name in names]
        site.fault("logging read .*revision_name", stdout=json.dumps(lines))


def test_a_canary_is_green_when_each_of_its_revisions_has_answered(site, server):
    as_canary(site, server, ["acquire"], ["release"], ["acquire", "heartbeat", "release"])
    done = site.ok("smoke", "dev")
    assert "canary: the new revisions of acquire, heartbeat, release answered" in done.stderr
    asked = site.lines("gcloud logging read resource.type=\"cloud_run_revision\" resource.labels.revision_name")
    assert len(asked) == 3
    assert '("acquire-00008" OR "heartbeat-00008" OR "release-00008") ' in asked[0]
    # Only what this test asked counts, and not what customers did.
    marker = re.search(r'jsonPayload.request_id="(deploy-smoke-\w+)"', asked[0]).group(1)
    assert f'"request_id":"{marker}"' in server.lines.read_text()


def test_a_canary_that_answered_nothing_of_the_smoke_test_is_red(site, server):
    """Nine of ten requests meet the release before: they say nothing of this one."""
    as_canary(site, server, *[["acquire", "release"]] * 30)
    words = site.refused(14, "smoke", "dev")
    assert "heartbeat" in words and f"{OLD} serves dev again" in words


def red_environment(site):
    """An environment whose front does not answer."""
    (site.clone / "opentofu/environments/dev/roots.json").write_text(
        json.dumps({"keys": [{"n": "w" + "A" * 682, "e": "AQAB"}]})
    )
    nowhere = "http://127.0.0.1:1"
    site.put(
        "services.outputs.json",
        {"public_url": nowhere, "urls": {"acquire": nowhere}, "environment": {"acquire": {"TOKEN_ISSUER": nowhere}}},
    )
    site.planned()
    for step in ("apply-platform", "migrate", "apply-services"):
        site.ok(step, "dev", CANARY_LICENSE_KEY="CODI-X")
    site.forget_calls()


def test_a_red_smoke_test_puts_the_image_before_back_and_the_build_is_red(site):
    site.record("dev", OLD)
    red_environment(site)
    words = site.refused(14, "smoke", "dev", CANARY_LICENSE_KEY="CODI-X")
    assert f"{OLD} serves dev again" in words and "does not answer" in words
    changing = [line for line in site.lines("tofu") if " plan " in line or " apply " in line]
    assert len(changing) == 2 and f"-var=image={OLD}" in changing[0] and "opentofu/services apply" in changing[1]
    assert "smoke" in site.refused(17, "promote", "dev")


def test_a_red_first_deploy_has_nothing_to_put_back(site):
    red_environment(site)
    assert "No earlier image is known" in site.refused(15, "smoke", "dev", CANARY_LICENSE_KEY="CODI-X")
    assert not [line for line in site.lines("tofu") if " apply " in line]


def test_an_image_that_cannot_be_put_back_says_what_to_type(site):
    site.record("dev", OLD)
    red_environment(site)
    site.fault("opentofu/services apply", code=1, stderr="Error: network\n")
    assert f"./deploy rollback dev --to {OLD}" in site.refused(15, "smoke", "dev", CANARY_LICENSE_KEY="CODI-X")


def test_a_missing_right_of_the_smoke_test_puts_nothing_back(site):
    """What was deployed may be well: only the test could not look."""
    site.record("dev", OLD)
    red_environment(site)
    site.fault("secrets versions access", code=1, stderr="ERROR: PERMISSION_DENIED\n")
    site.refused(5, "smoke", "dev")
    assert not [line for line in site.lines("tofu") if " apply " in line]

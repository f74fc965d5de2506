"""docs/DEPLOYING.md: its commands run as they stand against the fakes, in order, and it knows every alert."""

import http.server
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request

import forked
import pytest
import yaml
from conftest import IMAGE, OLD, REPOSITORY

sys.path.append(str(REPOSITORY / "tests/pages"))
import blocks as page_blocks  # noqa: E402 - it stands beside the tests of the other pages

PAGE = (REPOSITORY / "docs/DEPLOYING.md").read_text("utf-8")
ALERTS = yaml.safe_load((REPOSITORY / "opentofu/modules/watch/alerts.yaml").read_text("utf-8"))
DEPLOYED = ["apply platform", "migrate", "apply services"]


def sections() -> dict:
    return page_blocks.sections(PAGE)


blocks = page_blocks.blocks


def done(site) -> list:
    """What was changed in the cloud, in order."""
    kinds = (
        (r"tofu .*opentofu/(\w+) apply", "apply {}"),
        (r"tofu .*opentofu/(\w+) destroy", "destroy {}"),
        (r"tofu .*opentofu/(\w+) state rm", "forget {}"),
        (r"sql instances promote-replica ([\w-]+)", "promote {}"),
        (r"jobs execute migrate .*--args=after-restore", "after-restore"),
        (r"jobs execute migrate", "migrate"),
        (r"triggers run deploy-(\w+)", "start {}"),
        (r"secrets versions add ([a-z-]+)", "add {}"),
        (r"tofu .*opentofu/(\w+) providers lock", "pin {}"),
        (r"builds submit .*(image|steps).yaml", "build {}"),
        (r"beta services identity create .*--project=\w+-(\w+)", "agent {}"),
    )
    found = []
    for line in site.lines():
        for pattern, text in kinds:
            match = re.search(pattern, line)
            if match:
                found.append(text.format(*match.groups()))
                break
    return found


# A line that the shell only splits into words.
PLAIN = re.compile(r'\./deploy(?: (?:[\w./=-]+|"\$(?:IMAGE|PLAN)"))+')


def run_line(site, line: str) -> subprocess.CompletedProcess:
    """As a shell runs it; ./deploy is forked where the shell would do nothing but start it (test_forked.py)."""
    if not PLAIN.fullmatch(line):
        return run_block(site, line)
    given = {"$IMAGE": IMAGE, "$PLAN": "p1"}
    words = [given.get(word, word.replace("example-", "acme-")) for word in shlex.split(line)[1:]]
    return site.deploy(*words, project=(site.home / "project").read_text(), IMAGE=IMAGE, PLAN="p1")


def run_block(site, block: str, **variables) -> subprocess.CompletedProcess:
    text = block.replace("example-", "acme-")
    environment = site.environment((site.home / "project").read_text(), IMAGE=IMAGE, PLAN="p1", **variables)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=site.clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def restore(site, at):
    if at == 4:
        leases_are_over(site, "prod")


def drill(site, at):
    if at == 1:
        leases_are_over(site, "staging")


def mail_server(site, _at):
    (site.clone / "FILE").write_text("smtps://someone:password@mail.example.com\n", encoding="utf-8")


def leases_are_over(site, name):
    """Of before the pause."""
    record = site.read_record(name)
    site.record(name, IMAGE, OLD, paused="2026-11-28T00:00:00+00:00", restored=record["restored"])


def pinned_plan(site):
    """The plan that a person copies from what `plan` printed last."""
    plans = sorted((site.home / "buckets/acme-build-plans/prod").glob("*"), key=lambda path: path.stat().st_mtime)
    if plans and plans[-1].name != "p1":
        shutil.rmtree(plans[-1].parent / "p1", ignore_errors=True)
        plans[-1].rename(plans[-1].parent / "p1")


# What there is in a region, as the state has it, and what is left of it that is in none.
REGIONAL = {
    "platform": [
        "google_cloud_run_v2_job.migrate",
        "module.seats.google_memorystore_instance.seats",
        "module.network.google_compute_subnetwork.functions",
        "module.network.google_network_connectivity_service_connection_policy.seats",
        'module.records.google_sql_database_instance.records["a"]',
        'module.records.google_sql_database.records["a"]',
        'module.records.google_sql_user.user["a acquire"]',
    ],
    "services": [
        'module.function["acquire"].google_cloud_run_v2_service.function',
        'module.front.google_compute_region_network_endpoint_group.function["acquire"]',
        "module.push.google_cloud_scheduler_job.tick",
    ],
}
EVERYWHERE = {
    "platform": [
        "module.network.google_compute_network.network",
        'module.records.google_sql_database_instance.replica["replica"]',
    ],
    "services": ['module.front.google_compute_backend_service.function["acquire"]'],
}
LOST = [
    "promote records-a-us-east1", *["forget services"] * 2, *["forget platform"] * 6, *["apply platform"] * 2,
    "migrate", "apply services", "after-restore", "apply services",
]


def lost_region(site, at):
    if at == 4:
        leases_are_over(site, "prod")
    if at == 0:
        for root, regional in REGIONAL.items():
            site.put(f"{root}.addresses.json", regional + EVERYWHERE[root])
    if at == 2:
        for root, left in EVERYWHERE.items():
            assert json.loads((site.home / f"{root}.addresses.json").read_text()) == left
        # The values name another region: a plan has something to do.
        (site.home / "platform.applied.json").unlink(missing_ok=True)


REPLACED = ["add handle-key-previous", "add handle-key", "add handle-key-previous", "start prod", "start prod"]
# Section → the environment that serves when it begins, what it changes in order, and what happens between its blocks.
EXPECTED = {
    "Deploy": ("prod", ["start staging", "start prod", "start prod"], None),
    "Roll back": ("prod", ["start prod"], None),
    "Pause": ("prod", ["apply services"] * 2, None),
    "Restore": ("prod", ["apply services", "start prod", "start prod", "after-restore", "apply services"], restore),
    "A region is lost": ("prod", LOST, lost_region),
    "Keys replaced": ("prod", REPLACED, None),
    "Mail": ("prod", ["add mail-url"], mail_server),
    "Drill": ("staging", ["start staging", "apply services", "after-restore", "apply services"], drill),
    "Teardown": ("dev", ["destroy services"], None),
}


@pytest.mark.parametrize("section", EXPECTED)
def test_the_commands_of_a_section_do_what_it_says(site, section):
    name, expected, between = EXPECTED[section]
    (site.home / "project").write_text(f"acme-{name}")
    site.record(name, IMAGE, OLD)
    if section == "Keys replaced":
        site.ok("keys", "prod")
        site.forget_calls()
    for at, block in enumerate(blocks(sections()[section])):
        if between:
            between(site, at)
        # Line by line, as a person types them: a plan is copied from one line into the next.
        for line in block.splitlines():
            ran = run_line(site, line)
            assert ran.returncode == 0, f"{line}\n{ran.stderr}"
            pinned_plan(site)
    assert done(site) == expected
    assert not site.read_record(name)["paused"], f"{section} leaves {name} paused"


class Front:
    """The environment's domain, which leads nowhere before its DNS records are written."""

    def __init__(self, site):
        self.site = site
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.server = None
        # One for a certificate that Google has just begun with.
        site.put("certificate.json", ["PROVISIONING", "ACTIVE"])

    def outputs(self):
        records = {
            "domain": {"name": "acme.example.com", "type": "A", "data": "192.0.2.7"},
            "hosts": {"name": "*.acme.example.com", "type": "A", "data": "192.0.2.7"},
            "authorization": {"name": "_acme-challenge.acme.example.com.", "type": "CNAME", "data": "x.example."},
        }
        self.site.put(
            "services.outputs.json",
            {"public_url": self.url, "front": {"address": "192.0.2.7", "dns_records": records}, "revisions": {}},
        )

    def write_records(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"keys": []}')

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.url}/.well-known/license-keys").status == 200
        except OSError:
            return False


# What each block changes.
FIRST_DAY = [
    [],
    ["pin bootstrap", "pin platform", "pin services"],
    ["apply bootstrap", "build steps", "build steps", "apply bootstrap"],
    ["build image", "apply platform", "add handle-key", "add license-pepper", "add webhook-key"],
    ["apply bootstrap"] * 2,
    DEPLOYED,
    [],
    [],
    [],
]
FIRST_DAY_OF_PROD = [
    ["apply platform", "add handle-key", "add license-pepper", "add webhook-key"],
    ["apply platform"],
    DEPLOYED,
    [],
    [],
]


def first_day(site, name: str, text: str, expected: list):
    """In the order in which it is written: whatever asks the front comes after the DNS records."""
    front = Front(site)
    site.change_piece("front.py", "PAUSE_SECONDS = 10", "PAUSE_SECONDS = 0.01")
    (site.home / "project").write_text("")
    site.put("platform.outputs.json", {})
    site.put("services.outputs.json", {})
    asked = []
    for at, block in enumerate(blocks(text)):
        # A person commits what a step says: a strict environment is deployed from commits only.
        site.git("add", "--all")
        site.git("commit", "--quiet", "--allow-empty", "--message", f"step {at}")
        versions = (site.home / "secret.handle-key.json").exists()
        site.forget_calls()
        for line in block.splitlines():
            if "smoke" in line or " canary" in line:
                # What the smoke test itself does is tried on a real server in test_smoke.py.
                assert front.answers(), f"{line}: the domain leads nowhere yet"
                asked.append(line)
                image = json.loads((site.clone / f".deploy/{name}/image.json").read_text())["digest"]
                (site.clone / f".deploy/{name}/smoke.json").write_text(json.dumps({"image": image}))
                continue
            if "front" in line and "--wait" in line:
                assert not front.answers()
                front.write_records()
            ran = run_block(site, line)
            assert ran.returncode == 0, f"{line}\n{ran.stderr}"
            pinned_plan(site)
            if line.endswith(f"front {name}"):
                assert "_acme-challenge.acme.example.com.  CNAME  x.example." in ran.stdout
            if "apply-platform" in line:
                # It hands over the numbers of the secrets that were committed.
                handed_over = {"project": f"acme-{name}", "secrets": {"HANDLE_KEY": "1"} if versions else {}}
                site.put("platform.outputs.json", {"platform": handed_over})
            if "apply-services" in line:
                front.outputs()
        assert [one for one in done(site) if not one.startswith("agent")] == expected[at], block
    assert len(asked) == 2 and site.read_record(name)["releases"][0]["good"]
    front.server.shutdown()
    front.server.server_close()


@pytest.mark.parametrize("name", ["dev", "staging"])
def test_the_first_day_makes_an_environment_out_of_nothing(site, name):
    for root in ("bootstrap", "platform", "services"):
        (site.clone / f"opentofu/{root}/.terraform.lock.hcl").unlink(missing_ok=True)
    site.put("no-bucket.json", True)
    site.put("images.json", [])
    first_day(site, name, sections()["First day"].replace("dev", name), FIRST_DAY)


def test_the_first_day_of_prod_applies_plans_that_were_saved_and_fetched(site):
    first_day(site, "prod", sections()["First day of prod"], FIRST_DAY_OF_PROD)


def test_every_block_of_commands_is_run_by_a_test():
    with_blocks = {name for name, text in sections().items() if blocks(text)}
    assert with_blocks == {*EXPECTED, "First day", "First day of prod"}


def test_every_verb_that_is_named_exists():
    shown = subprocess.run([REPOSITORY / "deploy", "--help"], capture_output=True, text=True, check=True).stdout
    listed = {word.rstrip(",") for line in shown.splitlines() if line.startswith("  ") for word in line.split()[:2]}
    named = set(re.findall(r"\./deploy ([a-z-]+)", PAGE))
    assert len(named) > 12 and named <= listed
    for verb in named:
        shown = forked.run(REPOSITORY / "deploy", [verb, "--help"], env=dict(os.environ), feed="")
        assert shown.returncode == 0 and verb in shown.stdout


def test_the_table_of_exit_codes_says_what_deploy_says():
    shown = subprocess.run([REPOSITORY / "deploy", "--help"], capture_output=True, text=True, check=True).stdout
    codes = set(re.findall(r"^ *(\d+)  ", shown, flags=re.MULTILINE))
    named = [code for row in re.findall(r"^\| exit ([\d, ]+) \|", PAGE, flags=re.MULTILINE) for code in row.split(", ")]
    assert sorted(named) == sorted(codes - {"0"}), "each code that is not 0 stands in one row"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_its_heading_with_what_to_look_at_and_what_to_do(alert):
    row = ALERTS[alert]
    below = re.search(rf"^### {re.escape(row['title'])}\n\n(.*?)(?=\n### |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert below, f"no heading {row['title']!r}"
    assert (
        " ".join(below.group(1).split())
        == f"*Look:* {' '.join(row['look'].split())} *Do:* {' '.join(row['do'].split())}"
    )


def test_the_page_has_no_alert_that_there_is_not():
    headings = re.findall(r"^### (.+)$", PAGE, flags=re.MULTILINE)
    assert headings == [row["title"] for row in ALERTS.values()]

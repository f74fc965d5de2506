"""Every gcloud that the steps of the pipeline run is allowed to the account that runs it.

The pipeline runs as deploy-ENVIRONMENT@, and the builds that it submits as image-build@. A right that is missing is
seen in Google alone, and there in the middle of a release. The tables say which right each needs, by which role it is
had, and where that role is given; they were taken from Google's list of what each role may do (November 2026).
test_rights.py says the same of what tofu changes.
"""

import ast
import re

import pytest
from conftest import REPOSITORY
from test_rights import PIPELINE, listed, text_of

# What only people start, with their own rights: bootstrap, the wait for DNS, keys, inventory, what follows a restore.
BY_PEOPLE = {"bootstrap", "firstday", "front", "inventory", "license_keys", "recovery", "secret_values"}
# Words of gcloud to what they need: the permission, the role that has it (or "own": a role of ours that names it), and
# where it is given: a list of locals.tf, or a resource of a file.
WORDS = {
    "artifacts docker images describe": [
        ("artifactregistry.versions.get", "roles/artifactregistry.reader", "registry.tf reader"),
        ("containeranalysis.occurrences.list", "roles/containeranalysis.occurrences.viewer", "build_roles"),
    ],
    "artifacts docker tags add": [
        ("artifactregistry.versions.get", "roles/artifactregistry.reader", "registry.tf reader"),
        ("artifactregistry.tags.create", "own", "rights.tf release_tags"),
        ("artifactregistry.tags.get", "own", "rights.tf release_tags"),
        ("artifactregistry.tags.update", "own", "rights.tf release_tags"),
    ],
    "builds list": [("cloudbuild.builds.list", "roles/cloudbuild.builds.editor", "build_roles")],
    "builds submit": [
        ("cloudbuild.builds.create", "roles/cloudbuild.builds.editor", "build_roles"),
        ("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser", "accounts.tf builder"),
        ("serviceusage.services.use", "roles/serviceusage.serviceUsageConsumer", "submitter_roles"),
        ("storage.buckets.get", "roles/storage.legacyBucketReader", "buckets.tf submitter"),
        ("storage.objects.create", "roles/storage.objectAdmin", "buckets.tf submitter"),
    ],
    # Whether a trigger whose builds have an account of their own needs more is asked in the module's README.
    "builds triggers run": [("cloudbuild.builds.create", "roles/cloudbuild.builds.editor", "build_roles")],
    "config get-value project": [],
    "container binauthz attestations list": [
        ("binaryauthorization.attestors.get", "roles/binaryauthorization.attestorsViewer", "build_roles"),
        ("containeranalysis.notes.listOccurrences", "roles/containeranalysis.notes.occurrences.viewer", "build_roles"),
    ],
    "logging read": [("logging.logEntries.list", "roles/logging.viewer", "deployer_roles")],
    "run jobs execute": [
        ("run.jobs.run", "roles/run.invoker", "platform/migrate.tf deployer"),
        ("run.executions.get", "own", "rights.tf services"),
    ],
    "run services describe": [("run.services.get", "own", "rights.tf services")],
    # `./deploy keys` gives the right to this one secret, when it makes it.
    "secrets versions access": [
        ("secretmanager.versions.access", "roles/secretmanager.secretAccessor", "deploy.d/secret_values.py"),
    ],
    "storage cat": [("storage.objects.get", "roles/storage.objectViewer", "buckets.tf reader")],
    "storage cp": [
        ("storage.objects.create", "roles/storage.objectAdmin", "buckets.tf writer"),
        ("storage.objects.get", "roles/storage.objectViewer", "buckets.tf reader"),
    ],
    "storage objects describe": [("storage.objects.get", "roles/storage.objectViewer", "buckets.tf reader")],
}
# What the builds of .ci/ do as image-build@, in the same form.
IMAGE_BUILD = {
    "pushes the image": [
        ("artifactregistry.repositories.uploadArtifacts", "roles/artifactregistry.writer", "registry.tf writer"),
    ],
    "pulls the images of its steps": [
        ("artifactregistry.repositories.downloadArtifacts", "roles/artifactregistry.writer", "registry.tf writer"),
    ],
    "writes the list of what the image is made of": [
        ("storage.objects.create", "roles/storage.objectCreator", "buckets.tf builder"),
    ],
    "reads what was submitted": [("storage.objects.get", "roles/storage.objectViewer", "buckets.tf builder_source")],
    "writes its lines": [("logging.logEntries.create", "roles/logging.logWriter", "build_roles")],
}


def words_of(source: str) -> set:
    """The words of each gcloud in a file, up to its first option or value."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.List) or not node.elts or getattr(node.elts[0], "value", "") != "gcloud":
            continue
        words = []
        for one in node.elts[1:]:
            value = getattr(one, "value", None)
            if not isinstance(one, ast.Constant) or not isinstance(value, str) or not re.match(r"[a-z]", value):
                break
            words.append(value)
        found.add(" ".join(words))
    return found


def words_of_the_steps() -> set:
    files = [path for path in (REPOSITORY / "deploy.d").glob("*.py") if path.stem not in BY_PEOPLE]
    return {words for path in files for words in words_of(path.read_text("utf-8"))}


def row_of(words: str) -> str | None:
    """The longest row that these words begin with: behind it stand values such as the name of a job."""
    rows = [row for row in WORDS if f"{words} ".startswith(f"{row} ")]
    return max(rows, key=len) if rows else None


def path_of(place: str) -> str:
    """The file that a place is in: a list of locals.tf, a resource of a file, or a file."""
    name = place.partition(" ")[0]
    if name.startswith("deploy.d/"):
        return name
    return f"opentofu/{name}" if "/" in name else f"{PIPELINE}/{name if '.' in name else 'locals.tf'}"


def given_at(place: str, texts: dict) -> set:
    """The roles, and the rights of roles of our own, that stand at a place."""
    name, _, resource = place.partition(" ")
    text = texts[path_of(place)]
    if "." not in name:
        return listed(text, name)
    blocks = re.findall(rf'^resource "\w+" "{resource}" \{{(.*?)^}}', text, re.M | re.S) if resource else [text]
    return {word for block in blocks for word in re.findall(r"[a-zA-Z/]+(?:\.\w+)+", block)}


def files() -> dict:
    places = {place for table in (WORDS, IMAGE_BUILD) for rows in table.values() for *_, place in rows}
    return {path: text_of(path) for path in map(path_of, places)}


def faults(table: dict, texts: dict) -> list:
    return [
        f"{words} needs {permission}: {wanted} is not in {place}"
        for words, rows in table.items()
        for permission, role, place in rows
        for wanted in [permission if role == "own" else role]
        if wanted not in given_at(place, texts)
    ]


def test_every_gcloud_of_the_steps_is_in_the_table():
    found = words_of_the_steps()
    assert sorted(words for words in found if row_of(words) is None) == []
    assert sorted(set(WORDS) - {row_of(words) for words in found}) == []


def test_who_deploys_may_run_every_gcloud_of_the_steps():
    assert faults(WORDS, files()) == []


def test_who_builds_the_image_may_do_what_its_builds_do():
    assert faults(IMAGE_BUILD, files()) == []


@pytest.mark.parametrize("table", [WORDS, IMAGE_BUILD])
def test_each_right_that_is_taken_away_is_named(table):
    texts = files()
    for words, rows in table.items():
        for permission, role, _ in rows:
            wanted = permission if role == "own" else role
            without = {path: text.replace(wanted, "nothing") for path, text in texts.items()}
            assert f"{words} needs {permission}" in " ".join(faults({words: rows}, without)), (words, permission)


def test_a_gcloud_that_is_new_is_seen():
    assert words_of('runner.run(["gcloud", "run", "jobs", "execute", "migrate", "--wait", f"--project={x}"])') == {
        "run jobs execute migrate"
    }
    assert row_of("run jobs execute migrate") == "run jobs execute"
    assert row_of("sql instances delete") is None


def test_who_builds_the_image_overwrites_nothing():
    """objectCreator makes objects and replaces none, so each build writes to a place of its own."""
    text = text_of(".ci/image.yaml")
    places = re.findall(r"^\s+location: (gs://\S+)", text, re.M)
    assert places
    assert [place for place in places if "$BUILD_ID" not in place] == []

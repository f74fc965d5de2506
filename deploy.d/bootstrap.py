"""`./deploy bootstrap`: what exists once for all environments. Everything that is there already is left as it is."""

import json

from environments import NAMES, ROOT, Build, Environment, opentofu
from failures import Failure
from plan_review import PlanReview
from programs import explain
from releases import NO_OBJECT
from steps import write_file
from streams import say
from tofu import as_locked, read_json, shown_plan

STEP_IMAGES = ("builder", "cloud")
# Until the bucket of states exists, the state of what makes it lies beside it. tofu reads files of this name last.
LOCAL_BACKEND = 'terraform {\n  backend "local" {}\n}\n'
# The interfaces that are asked for in the project that builds: by the first apply, and by gcloud in the pipeline, which
# counts what it asks of another project for the one that it is set to. Switching one on costs nothing.
BUILD_SERVICES = (
    "artifactregistry",
    "binaryauthorization",
    "cloudbuild",
    "cloudkms",
    "cloudresourcemanager",
    "containeranalysis",
    "iam",
    "iamcredentials",
    "logging",
    "run",
    "secretmanager",
    "serviceusage",
    "sqladmin",
    "storage",
)
# Google's own accounts in each environment that are given rights: the first two by the first apply, which would be
# refused where they are not there yet; Google makes them only when they are asked for.
AGENTS = ("run", "binaryauthorization", "pubsub", "sqladmin")


def bootstrap(runner, *, rebuild: bool = False):
    """Make it, in the order in which the parts need each other. `rebuild`: the images of the steps anew too."""
    build = Build()
    found = runner.run(["gcloud", "config", "get-value", "project"], capture=True).output.strip()
    if found != build.project:
        raise Failure(
            "project",
            f"gcloud is set to the project {found or '(none)'}, and what is built belongs to {build.project}. If "
            f"it does not exist: gcloud projects create {build.project}, and link it to the billing account. Then: "
            f"gcloud config set project {build.project}",
        )
    _make_agents(runner, build)
    root = BootstrapRoot(runner, build)
    local = root.is_local
    if not local:
        # The file is on the machine of the first run alone. Without it, this apply would take the images from the
        # triggers, and a run that was cut short then would leave them without.
        _pin(root, {name: step_image(runner, build, name) for name in STEP_IMAGES})
    root.apply(local)
    root.move_state()
    pinned = {name: step_image(runner, build, name, make=True, anew=rebuild) for name in STEP_IMAGES}
    _pin(root, pinned)
    say("The images of the steps are pinned: " + ", ".join(pinned.values()))
    # Once more: the triggers get the digests.
    root.apply(root.is_local)
    say('Done. What only a person can do stands in docs/DEPLOYING.md, "First day": the connection to GitHub, and DNS.')


def _make_agents(runner, build: Build):
    _enable(runner, build.project, BUILD_SERVICES)
    # Cloud Storage has a way of its own to be asked for its account.
    runner.run(["gcloud", "storage", "service-agent", f"--project={build.project}"], capture=True)
    for name in NAMES:
        project = Environment(name).project
        _enable(runner, project, AGENTS)
        for service in AGENTS:
            whose = [f"--service={service}.googleapis.com", f"--project={project}"]
            runner.run(["gcloud", "beta", "services", "identity", "create", *whose], capture=True)


def _enable(runner, project: str, services: tuple):
    names = [f"{service}.googleapis.com" for service in services]
    runner.run(["gcloud", "services", "enable", *names, f"--project={project}"], capture=True)


def _pin(root, images: dict):
    known = {name: image for name, image in images.items() if image}
    if known:
        write_file(root.directory / "steps.auto.tfvars.json", json.dumps({"steps": known}, indent=2) + "\n")


class BootstrapRoot:
    """The root bootstrap, which keeps its own state in a bucket that it makes itself."""

    def __init__(self, runner, build: Build):
        self.runner = runner
        self.directory = opentofu() / "bootstrap"
        self.bucket = f"{build.project}-state"
        self.override = self.directory / "backend_override.tf"
        self.local_state = self.directory / "terraform.tfstate"
        self.moved_state = self.directory / "terraform.tfstate.moved"
        self.project = build.project

    def _tofu(self, *arguments, **options):
        return self.runner.run(["tofu", f"-chdir={self.directory}", *arguments], **options)

    def _bucket_exists(self) -> bool:
        """Whether the bucket of states is there. No answer (no network, no right) is no answer, and not a no.

        A run that took it for a no would plan from an empty state, and move that state over the real one.
        """
        question = ["gcloud", "storage", "buckets", "describe", f"gs://{self.bucket}", f"--project={self.project}"]
        done = self.runner.run(question, capture=True, allowed=(0, 1))
        if done.code == 0:
            return True
        if not NO_OBJECT.search(done.words):
            raise explain(question, done.code, done.words)
        if self.moved_state.exists():
            raise Failure(
                "wait",
                f"The state of bootstrap was moved into gs://{self.bucket}, and that bucket is not there. Is this the "
                f"project that you mean ({self.project})? What was moved is kept in {self.moved_state}.",
            )
        return False

    @property
    def is_local(self) -> bool:
        """Whether the state was not moved yet: a run that was cut short goes on from there."""
        return self.local_state.exists() or not self._bucket_exists()

    def apply(self, local: bool):
        init = ("init", "-input=false", "-no-color", "-reconfigure", *as_locked(self.directory, demanded=False))
        if local:
            write_file(self.override, LOCAL_BACKEND)
            self._tofu(*init, capture=True)
        else:
            self.override.unlink(missing_ok=True)
            self._tofu(*init, self._backend, capture=True)
        plan = ROOT / ".deploy" / "bootstrap.plan"
        plan.parent.mkdir(exist_ok=True)
        self._tofu("plan", "-input=false", "-no-color", "-var-file=bootstrap.tfvars", f"-out={plan}")
        shown = read_json(self._tofu("show", "-json", str(plan), capture=True).output, shown_plan)
        review = PlanReview(shown)
        deleted = [address for address, (_, actions) in review.changes.items() if "delete" in actions]
        if deleted:
            raise Failure("deletes", f"The plan of bootstrap deletes {', '.join(deleted)}. Nothing was applied.")
        self._tofu("apply", "-input=false", "-no-color", str(plan))

    @property
    def _backend(self) -> str:
        return f"-backend-config=bucket={self.bucket}"

    def move_state(self):
        """Move the state into its bucket, once. What lay beside the code is kept as a backup."""
        if not self.local_state.exists():
            return
        self.override.unlink(missing_ok=True)
        self._tofu("init", "-input=false", "-no-color", "-migrate-state", "-force-copy", self._backend, capture=True)
        # Renamed last: a run that was cut short before copies the same state again.
        self.local_state.rename(self.moved_state)
        say(f"The state of bootstrap is in gs://{self.bucket} now.")


def step_image(runner, build: Build, name: str, *, make: bool = False, anew: bool = False) -> str | None:
    """An image that steps of the pipeline run in, by its digest; None where the registry has none.

    With `make` it is built then, and with `anew` in any case.
    """
    address = f"{build.images}/{name}"
    question = [
        "gcloud",
        "artifacts",
        "docker",
        "images",
        "list",
        address,
        "--sort-by=~UPDATE_TIME",
        "--limit=1",
        "--format=value(DIGEST)",
    ]
    digest = "" if anew else runner.run(question, capture=True).output.strip()
    if not digest and not make:
        return None
    if not digest:
        runner.run(
            [
                "gcloud",
                "builds",
                "submit",
                str(ROOT),
                f"--config={ROOT}/.ci/steps.yaml",
                f"--project={build.project}",
                f"--region={build.region}",
                f"--gcs-source-staging-dir={build.source}",
                f"--substitutions=_TARGET={name},_ADDRESS={address}",
            ]
        )
        digest = runner.run(question, capture=True).output.strip()
    if not digest.startswith("sha256:"):
        raise Failure("image", f"The registry names no digest for {address}, but {digest!r}.")
    return f"{address}@{digest}"

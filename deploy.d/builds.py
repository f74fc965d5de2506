"""Starts what runs in the cloud: the job migrate, and the pipeline of an environment."""

from environments import Environment
from failures import Failure
from streams import say

# Applies nothing but a plan that was saved, looked at and approved.
APPROVED = ("prod",)
# What tells one run of the pipeline from another, with what it is where nobody says it (cloudbuild.yaml).
TELLING = {"_IMAGE": "", "_ONLY": "", "_CANARY": "", "_ACCEPT_DRIFT": "", "_PROMOTE": "yes"}
UNDER_WAY = ("PENDING", "QUEUED", "WORKING")
BUILDS = [{"id": str, "status": str}]


def execute_job(runner, environment: Environment, *arguments):
    """Run the job migrate and wait for its end. Its lines are in Cloud Logging; the message says how to read them."""
    name = ["--args=" + ",".join(arguments)] if arguments else []
    try:
        runner.run(
            [
                "gcloud",
                "run",
                "jobs",
                "execute",
                "migrate",
                "--wait",
                f"--project={environment.project}",
                f"--region={environment.region}",
                *name,
            ]
        )
    except Failure as failure:
        if failure.kind != "failed":
            raise
        raise Failure(
            "migrate",
            "The job migrate failed; the services were not touched and the earlier image serves. What it said: gcloud "
            'logging read \'resource.type="cloud_run_job" resource.labels.job_name="migrate"\' --freshness=1h '
            f"--project={environment.project}. It may be started again as soon as the cause is gone: ./deploy migrate "
            f"{environment.name}",
        ) from failure


def is_under_way(runner, environment: Environment, commit_id: str, **substitutions) -> bool:
    """Whether the same pipeline waits or runs already: then a run of this that was cut short has started it."""
    wanted = {
        "TRIGGER_NAME": f"deploy-{environment.name}",
        "COMMIT_SHA": commit_id,
        **TELLING,
        **_values(substitutions),
    }
    question = [
        "gcloud",
        "builds",
        "list",
        f"--project={environment.build.project}",
        f"--region={environment.build.region}",
        "--limit=50",
        "--format=json",
    ]
    for build in runner.ask(question, BUILDS, empty=[]):
        said = {**TELLING, **build.get("substitutions", {})}
        if build["status"] in UNDER_WAY and all(said.get(name) == value for name, value in wanted.items()):
            say(f"The pipeline of {environment.name} was started already: the build {build['id']}.")
            return True
    return False


def _values(substitutions: dict) -> dict:
    return {f"_{name.upper()}": value for name, value in substitutions.items() if value}


def start(runner, environment: Environment, commit_id: str, **substitutions):
    """Start the pipeline of an environment, which is a trigger of Cloud Build."""
    values = _values(substitutions)
    text = [f"--substitutions={','.join(f'{name}={value}' for name, value in values.items())}"] if values else []
    runner.run(
        [
            "gcloud",
            "builds",
            "triggers",
            "run",
            f"deploy-{environment.name}",
            f"--project={environment.build.project}",
            f"--region={environment.build.region}",
            f"--sha={commit_id}",
            *text,
        ],
        capture=True,
    )
    waits = " It waits for an approval in Cloud Build." if environment.name in APPROVED else ""
    say(f"The pipeline of {environment.name} was started.{waits}")

"""`./deploy smoke`: where the target comes from, what only the cloud has, and what follows a red test."""

import datetime
import os
import pathlib

import signed_token
from canary import CanaryWatch, new_revisions
from environments import NAMES, Environment, functions
from failures import Failure, failure_of
from pipeline import Deploy
from plan_review import PlanReview
from reading import fits
from releases import ReleaseRecord
from secret_values import CANARY_KEY, secret_id
from smoke import SmokeTarget, SmokeTest, await_tick, read_local, ticks_in
from streams import say
from tofu import hand_over

# What the root services says of itself when it was applied.
SERVED = {
    "environment": {"acquire": {"TOKEN_ISSUER": str}},
    "public_url": (str, type(None)),
    "urls": {...: str},
}
LEFT_OUT = "the image of each service, the ingress of the reaper"


def smoke(runner, target: str, *, data: str, lines: str | None):
    """Test an environment by its name, or a server on this machine by its address."""
    if target in NAMES:
        smoke_environment(runner, target)
    else:
        smoke_local(target, pathlib.Path(data), pathlib.Path(lines) if lines else None)


def smoke_local(address: str, data: pathlib.Path, lines: pathlib.Path | None):
    """Test a license-local, or the same services in any other form that writes endpoints.json."""
    target = read_local(data)
    if address.rstrip("/") != target.front:
        raise Failure(
            "usage", f"{data} describes the server at {target.front}, and not {address}. Give its own --data."
        )
    offset = lines.stat().st_size if lines else 0
    test = SmokeTest(target)
    test.run()
    if lines:
        test.passed_check(lambda: await_tick(lambda: ticks_in(lines, offset), str(lines)))
    left_out = LEFT_OUT if lines else f"{LEFT_OUT}, the tick (give the server's lines with --lines FILE)"
    say(f"{test.passed} checks passed. Left out, because only the cloud has it: {left_out}.")


def smoke_environment(runner, name: str):
    """Test an environment after a deploy. Where the test fails, the image that served before serves again."""
    deploy = Deploy(runner, name)
    record = ReleaseRecord(runner, deploy.environment)
    if record.paused:
        say(f"{name} is paused since {record.paused}: nothing answers, so nothing was tested.")
        deploy.steps.write("smoke", {"image": deploy.image()})
        return
    image = deploy.image()
    if (deploy.steps.read("plan") or {}).get("only") == "platform":
        say("Only the platform was deployed, and the services are as they were tested before: nothing was tested.")
        return
    try:
        _test(runner, deploy, image, record)
    except Failure as failure:
        if failure.kind != "smoke":
            raise
        _put_back(deploy, record, image, failure)
    deploy.steps.write("smoke", {"image": image})


def _test(runner, deploy: Deploy, image: str, record: ReleaseRecord):
    environment = deploy.environment
    deploy.services.init()
    outputs = deploy.services.outputs()
    hidden = tuple(function for function, row in functions().items() if row["ingress"] == "internal")
    if not fits(outputs, SERVED):
        raise Failure(
            "wait", f"Nothing serves in {environment.name} yet. First: ./deploy apply-services {environment.name}"
        )
    acquire = outputs["environment"]["acquire"]
    target = SmokeTarget(
        front=outputs["public_url"],
        functions=outputs["urls"],
        roots=signed_token.RootKeys(environment.files / "roots.json"),
        license_key=_canary_key(runner, environment),
        issuer=acquire["TOKEN_ISSUER"],
        wrong_keys=int(acquire.get("RATE_UNKNOWN_KEYS", "10").split("/")[0]) + 1,
        hidden=hidden,
    )
    test = SmokeTest(target)
    test.run()
    # By the clock of the server, as its token says: this machine's may stand wrong.
    began = datetime.datetime.fromtimestamp(test.server_time, datetime.timezone.utc).isoformat(timespec="seconds")
    test.passed_check(lambda: await_tick(lambda: _ticks(runner, environment, began), "Cloud Logging"))
    percent = (deploy.steps.read("plan") or {}).get("canary", 0)
    fresh = new_revisions(outputs.get("revisions", {}), record.revisions) if percent else {}
    if fresh:
        watch = CanaryWatch(runner, environment, fresh, test.marker, began)
        test.passed_check(lambda: watch.run(test.seat, percent))
    for function in functions():
        found = _describe(runner, environment, function)
        if found != image:
            raise Failure("smoke", f"{function} runs {found} and not {image}.")
    test.passed_check(lambda: f"images: every service runs {image}")
    say(f"{test.passed} checks passed.")


def _canary_key(runner, environment: Environment) -> str:
    """The key of the license that exists for this test. It never stands in argv or in a line."""
    given = os.environ.get(CANARY_KEY)
    if given:
        return given.strip()
    return runner.run(
        [
            "gcloud",
            "secrets",
            "versions",
            "access",
            "latest",
            f"--secret={secret_id(CANARY_KEY)}",
            f"--project={environment.project}",
        ],
        capture=True,
    ).output.strip()


def _ticks(runner, environment: Environment, began: str) -> list:
    query = (
        'resource.type="cloud_run_revision" resource.labels.service_name="reaper" '
        f'jsonPayload.metric="reaper/tick_requests" httpRequest.status<300 timestamp>="{began}"'
    )
    question = ["gcloud", "logging", "read", query, f"--project={environment.project}", "--limit=1", "--format=json"]
    return [entry.get("jsonPayload", {}) for entry in runner.ask(question, [dict], empty=[])]


def _describe(runner, environment: Environment, function: str) -> str:
    return runner.run(
        [
            "gcloud",
            "run",
            "services",
            "describe",
            function,
            f"--project={environment.project}",
            f"--region={environment.services_region}",
            "--format=value(spec.template.spec.containers[0].image)",
        ],
        capture=True,
    ).output.strip()


def _put_back(deploy: Deploy, record: ReleaseRecord, image: str, failure: Failure):
    """Apply the image that served before, and say that the deploy failed."""
    name = deploy.environment.name
    previous = record.serving
    if previous is None or previous == image:
        raise Failure(
            "restore", f"The smoke test failed: {failure} No earlier image is known, so what was deployed still serves."
        ) from failure
    say(f"The smoke test failed: {failure}\nPutting back {previous}.")
    try:
        hand_over(deploy.platform, deploy.services)
        PlanReview(deploy.services.plan(deploy.variables(previous, record))).refuse_deletes("services")
        deploy.services.apply()
        if record.canary:
            record.end_canary()
            record.save()
    except (Failure, OSError) as second:
        raise Failure(
            "restore",
            f"The smoke test failed: {failure}\nThe earlier image could not be put back: {failure_of(second)}\n"
            f"Try it by hand: ./deploy rollback {name} --to {previous}",
        ) from second
    raise Failure(
        "smoke", f"The smoke test failed, and {previous} serves {name} again. What failed: {failure}"
    ) from failure

"""What is done when something is wrong: roll back, pause, resume, after a restore, a lock that was left, teardown."""

import datetime

from builds import execute_job, is_under_way, start
from environments import DIGEST, STRICT, check_edited, commit
from failures import Failure
from pipeline import Deploy
from plan_review import PlanReview
from releases import ReleaseRecord, moment, now
from streams import say
from tofu import hand_over

# What the record says of a restore between the start of the job and its end.
BEGUN = "begun"
# Whether functions may have run on after the time that the record says of a pause.
UNFINISHED = "pausing"


def rollback(runner, name: str, to: str | None):
    """Start the pipeline with an earlier image. It works with the newer schema, because migrations only add."""
    deploy = Deploy(runner, name)
    environment = deploy.environment
    check_edited(runner, environment)
    record = ReleaseRecord(runner, environment)
    canary = record.canary
    target = to or _earlier(record, canary)
    if target is None:
        raise Failure(
            "wait", f"No earlier good image of {name} is known. Name one: ./deploy rollback {name} --to DIGEST"
        )
    if not DIGEST.match(target):
        raise Failure("image", f"{target} is no image by its digest. ./deploy inventory {name} lists them in full.")
    say(f"Rolling back {name} to {target}.")
    if not canary and record.latest and record.latest != target:
        # Written down first: a second run after one that was cut short finds the same target.
        record.mark_bad(record.latest)
        record.save()
    values = {"image": target, "promote": "no", "accept_drift": "yes", "canary": "0"}
    commit_id = commit(runner)
    if is_under_way(runner, environment, commit_id, **values):
        return
    plan = deploy.plan(image=target, accept_drift=True, canary=0) if deploy.approves else None
    start(runner, environment, commit_id, plan=plan, **values)


def _earlier(record: ReleaseRecord, canary) -> str | None:
    if canary:
        return record.serving
    # The latest one is already marked where an earlier run of this got that far.
    if record.releases and not record.releases[0]["good"]:
        return record.serving
    return record.previous["digest"] if record.previous else None


def pause(runner, name: str, *, lost: bool = False):
    """Stop every function and the clock. Seats stay with their holders for as long as their leases and grace last.

    `lost`: their region is, so that nothing can be stopped there and nothing runs; what is deployed elsewhere is
    paused.
    """
    deploy = Deploy(runner, name)
    if not lost:
        _set_paused(deploy, True)
        return
    record = ReleaseRecord(runner, deploy.environment)
    _refuse_unserved(name, record)
    record.value.pop(UNFINISHED, None)
    record.end_canary()
    record.value["paused"] = record.google_now().isoformat(timespec="seconds")
    record.save()
    say(
        f"{name} is written down as paused, and nothing was stopped. What is deployed from now on stands still until: "
        f"./deploy resume {name}"
    )


def _refuse_unserved(name: str, record: ReleaseRecord):
    if record.serving is None:
        raise Failure("wait", f"Nothing was ever put into service in {name}, so there is nothing to pause or resume.")


def resume(runner, name: str):
    """Start every function and the clock again."""
    deploy = Deploy(runner, name)
    record = ReleaseRecord(runner, deploy.environment)
    restored = record.value.get("restored")
    if restored == BEGUN:
        raise Failure(
            "wait",
            f"after-restore was begun and has not ended, so a seat could be given twice. Run it again, which does no "
            f"harm: ./deploy after-restore {name}",
        )
    if record.paused and restored:
        _refuse_unfinished(name, record)
        free = moment(record.paused) + datetime.timedelta(seconds=deploy.environment.seat_ttl)
        if record.google_now() < free:
            raise Failure(
                "wait",
                f"The data was restored, and clients still believe in leases of before the pause until "
                f"{free.astimezone(datetime.timezone.utc):%Y-%m-%d %H:%M:%S} UTC by Google's clock. Start again then "
                f"(OPERATING, section 4): ./deploy resume {name}",
            )
    _set_paused(deploy, False)


def _refuse_unfinished(name: str, record: ReleaseRecord):
    if record.value.get(UNFINISHED):
        raise Failure(
            "wait",
            f"The pause of {name} was cut short, so functions may run, and nobody knows since when they stand still. "
            f"End it first: ./deploy pause {name}",
        )


def _set_paused(deploy: Deploy, paused: bool):
    name = deploy.environment.name
    record = ReleaseRecord(deploy.runner, deploy.environment)
    _refuse_unserved(name, record)
    deploy.platform.init()
    deploy.services.init()
    hand_over(deploy.platform, deploy.services)
    review = PlanReview(deploy.services.plan(deploy.variables(record.serving, record, paused=paused)))
    if not review.only_updates:
        entry = next(one for one in record.releases if one["digest"] == record.serving)
        raise Failure(
            "plan",
            f"More would change than a pause ({review.summary()}), because this clone is not what serves. Take the "
            f"commit that does: git checkout {entry['commit']}",
        )
    if paused:
        # Before the apply, so that no deploy in between starts the functions again; and after it, because the wait
        # after a restore counts from the moment at which the last of them had stopped.
        record.value["paused"] = now().isoformat(timespec="seconds")
        record.value[UNFINISHED] = True
        record.save()
    deploy.services.apply()
    record.value.pop(UNFINISHED, None)
    # What was found good has all requests now: a pause and a resume are no canary.
    record.end_canary()
    record.value["paused"] = record.google_now().isoformat(timespec="seconds") if paused else None
    if not paused:
        record.value["restored"] = False
    record.save()
    say(f"{name} is paused. Deploys keep it so until: ./deploy resume {name}" if paused else f"{name} serves again.")


def after_restore(runner, name: str):
    """After PostgreSQL was restored to an earlier point: empty Valkey, raise every epoch, let free seats wait."""
    deploy = Deploy(runner, name)
    record = ReleaseRecord(runner, deploy.environment)
    if not record.paused:
        raise Failure(
            "wait",
            f"{name} serves. Functions that run while epochs are raised may give a seat twice: ./deploy pause {name}",
        )
    _refuse_unfinished(name, record)
    # Before the job: one that was cut short has emptied Valkey perhaps and raised no epoch, and `resume` must know.
    record.value["restored"] = BEGUN
    record.save()
    execute_job(runner, deploy.environment, "after-restore")
    record.value["restored"] = True
    record.save()
    say(f"Done. Start the functions when the leases of before the pause are over: ./deploy resume {name}")


def unlock(runner, name: str, root: str, lock: str):
    """Remove the lock of a run that is dead."""
    deploy = Deploy(runner, name)
    tofu = deploy.root(root)
    tofu.init()
    found = "The lock is removed" if tofu.unlock(lock) else "There is no such lock any more"
    say(f"{found}. Start the deploy again: ./deploy plan {name}")


def forget(runner, name: str, root: str, addresses: list):
    """Have tofu know no more of what is in a region that is lost. Nothing of it is deleted."""
    deploy = Deploy(runner, name)
    tofu = deploy.root(root)
    tofu.init()
    found = tofu.forget(addresses)
    if found:
        say(f"The state of {root} has {len(found)} resources less. What they stand for is still there and costs money.")
    else:
        say(f"The state of {root} has nothing of it any more.")
    say(f"Before the next plan: what of it shall be made anew, and where? ./deploy plan {name}")


def teardown(runner, name: str, project: str):
    """Delete the functions, the front and the alerts of an environment that nobody needs any more."""
    deploy = Deploy(runner, name)
    if name == STRICT[-1]:
        raise Failure("usage", 'prod is not torn down by a command. DEPLOYING.md, "Teardown", says what it takes.')
    if project != deploy.environment.project:
        raise Failure(
            "project", f"{name} is the project {deploy.environment.project}, and not {project}. Nothing was deleted."
        )
    record = ReleaseRecord(runner, deploy.environment)
    deploy.platform.init()
    deploy.services.init()
    if hand_over(deploy.platform, deploy.services) is not None and record.serving:
        deploy.services.destroy(deploy.variables(record.serving, record))
    say(
        "The functions, the front and the alerts are gone; the data and the keys are not. They go with the project, "
        f"which can be had back for 30 days: gcloud projects delete {project}"
    )

"""The steps of the pipeline from the plan to the services. check, test and image are in build_steps.py."""

import datetime
import os
import secrets

from builds import APPROVED, execute_job, is_under_way, start
from environments import NEXT, Environment, check_edited, check_project, commit
from failures import Failure
from plan_review import PlanReview
from releases import ReleaseRecord
from steps import PLAN, Steps, alone
from streams import say
from tofu import ROOTS, Tofu, hand_over


class Deploy:
    """A deploy to one environment. Every step can be started again: what is done is found done."""

    def __init__(self, runner, name: str, *, looks_only: bool = False):
        self.runner = runner
        self.environment = Environment(name)
        check_project(runner, self.environment)
        self.steps = Steps(self.environment)
        self.platform = Tofu(runner, self.environment, "platform", looks_only=looks_only)
        self.services = Tofu(runner, self.environment, "services", looks_only=looks_only)

    def root(self, name: str) -> Tofu:
        """One of the two, by the name that a person typed."""
        if name not in ROOTS:
            raise Failure("usage", f"There is no root {name!r}. There are: {', '.join(ROOTS)}.")
        return self.platform if name == "platform" else self.services

    @property
    def approves(self) -> bool:
        return self.environment.name in APPROVED

    def image(self) -> str:
        """The image of this deploy, which the step `image` left."""
        left = self.steps.read("image")
        if left is None:
            raise Failure(
                "image", f"No image was chosen yet: ./deploy image {self.environment.name} makes or checks one."
            )
        return left["digest"]

    # --- plan ------------------------------------------------------------------------------------------------------

    def plan(self, *, only=None, accept_drift=False, allowed=(), image=None, canary=None) -> str:
        """Plan both roots, refuse what may not be done, and keep the plans. Returns the id of the plan.

        With `canary` the new image gets this share of the requests in percent, and what serves now gets the others; 0:
        it gets all of them; None: what the environment's values say.
        """
        check_edited(self.runner, self.environment)
        self.steps.forget("plan", "platform", "migrate", "services", "smoke")
        record = ReleaseRecord(self.runner, self.environment)
        image = image or (record.serving if only == "platform" and record.serving else self.image())
        self.platform.init()
        self.services.init()
        handed_over = hand_over(self.platform, self.services)
        if canary is None:
            canary = self._usual_canary(record)
        variables = {**self.variables(image, record), **self._canary(record, canary)}
        platform = PlanReview(self.platform.plan({"image": image}))
        platform.refuse_deletes("platform", allowed)
        say(f"platform: {platform.summary()}")
        services = None
        reviews = [platform]
        if handed_over is None:
            say("services: planned when platform has been applied for the first time")
        elif only == "platform":
            # Only looked at: what somebody changed there is told too.
            reviews.append(PlanReview(self.services.look(variables)))
            say("services: left as they are (--only platform)")
        else:
            services = PlanReview(self.services.plan(variables))
            reviews.append(services)
            services.refuse_deletes("services", allowed)
            say(f"services: {services.summary()}")
        self._check_drift(reviews, accept_drift)
        if self.approves and services and not services.is_empty and not platform.only_jobs_updated:
            raise Failure(
                "mixed",
                f"The platform of {self.environment.name} changes ({platform.summary()}) beside its services. Deploy "
                "platform changes on their own first: ./deploy plan "
                f"{self.environment.name} --only platform. Nothing was applied.",
            )
        plan = {
            "id": os.environ.get("BUILD_ID") or _new_id(),
            "environment": self.environment.name,
            "image": image,
            "commit": commit(self.runner),
            "only": only,
            "allowed": list(allowed),
            "canary": canary,
            "handed_over": handed_over,
            "services_planned": services is not None,
            "fetched": False,
            "files": {root.root: root.checksum() or "" for root in self._planned_roots(services is not None)},
        }
        self.steps.write("plan", plan)
        if self.approves:
            self._save(plan)
        return plan["id"]

    def variables(self, image: str, record: ReleaseRecord, *, paused=None) -> dict:
        """What services is told beside its file of values. A pause outlives the deploys that happen during it."""
        return {"image": image, "paused": bool(record.paused) if paused is None else paused}

    def _usual_canary(self, record: ReleaseRecord) -> int:
        """What services.tfvars asks of every release, where there is something that can serve beside it."""
        if record.serving is None or record.paused or not record.revisions:
            return 0
        return int(self.environment.services.get("canary_percent", "0"))

    def _canary(self, record: ReleaseRecord, percent) -> dict:
        """The two variables that share the requests between two revisions of each function."""
        if not percent:
            return {}
        if not record.revisions:
            raise Failure(
                "wait",
                f"Nothing serves in {self.environment.name} yet that could share requests with a canary. Deploy "
                "without one: --canary 0",
            )
        return {"canary_percent": int(percent), "previous_revisions": record.revisions}

    def _check_drift(self, reviews: list, accept: bool):
        drifted = [name for review in reviews for name in review.drifted]
        if not drifted:
            return
        names = ", ".join(drifted)
        if self.environment.strict and not accept:
            raise Failure(
                "drift",
                f"These resources were changed past this repository: {names}. Nothing was applied. Write the change "
                "into the values if it shall stay. If the deploy shall undo it: ./deploy plan "
                f"{self.environment.name} --accept-drift",
            )
        say(f"Note: these resources were changed past this repository, and this deploy undoes it: {names}.")

    def _planned_roots(self, with_services: bool) -> list:
        return [self.platform, *([self.services] if with_services else [])]

    def _saved_files(self, plan: dict) -> list:
        return [root.plan_file for root in self._planned_roots(plan["services_planned"])]

    def _check_file(self, plan: dict, root: Tofu):
        """Refuse a plan whose file is not what was planned, looked at and approved."""
        if root.checksum() != plan["files"].get(root.root):
            raise Failure(
                "plan",
                f"{root.plan_file} is not the file that was planned: it was edited, damaged or removed since. Nothing "
                f"was applied. Plan again: ./deploy plan {self.environment.name}",
            )

    def _save(self, plan: dict):
        # plan.json last: a plan without it is half of one, and is not found.
        files = [*self._saved_files(plan), self.steps.directory / "plan.json"]
        for file in files:
            self.runner.run(
                ["gcloud", "storage", "cp", str(file), f"{saved_at(self.environment, plan['id'])}/{file.name}"],
                capture=True,
            )
        say(
            f"Saved as {plan['id']}. Look at it above, then: ./deploy start {self.environment.name} --plan {plan['id']}"
        )

    def fetch_plan(self, plan_id: str):
        """Fetch the plan that was approved, and refuse it where it is of another image or commit."""
        self.steps.forget("plan", "platform", "migrate", "services", "smoke")
        self.steps.directory.mkdir(parents=True, exist_ok=True)
        address = saved_at(self.environment, plan_id)
        plan = saved_plan(self.runner, self.environment, plan_id)
        for what, found, wanted in (
            ("image", plan["image"], (self.steps.read("image") or {}).get("digest", plan["image"])),
            ("commit", plan["commit"], commit(self.runner)),
            ("environment", plan["environment"], self.environment.name),
        ):
            if found != wanted:
                raise Failure(
                    "plan", f"The plan {plan_id} is of the {what} {found}, and this deploy of {wanted}. Plan again."
                )
        for file in self._saved_files(plan):
            self.runner.run(["gcloud", "storage", "cp", f"{address}/{file.name}", str(file)], capture=True)
        self.platform.init()
        self.services.init()
        # Read again: what was refused when it was made is refused here too, whoever made it.
        PlanReview(self.platform.show()).refuse_deletes("platform", plan["allowed"])
        if plan["services_planned"]:
            PlanReview(self.services.show()).refuse_deletes("services", plan["allowed"])
        for root in self._planned_roots(plan["services_planned"]):
            self._check_file(plan, root)
        self.steps.write("image", {"digest": plan["image"]})
        self.steps.write("plan", {**plan, "fetched": True})
        say(f"The plan {plan_id} is here: image {plan['image']}, commit {plan['commit']}.")

    def _planned(self) -> dict:
        plan = self.steps.read("plan")
        name = self.environment.name
        if plan is None:
            raise Failure("plan", f"Nothing is planned for {name}. Plan first: ./deploy plan {name}")
        if self.approves and not plan["fetched"]:
            raise Failure(
                "plan",
                f"{name} applies only a plan that was saved and approved. Fetch it first: ./deploy plan {name} --plan "
                f"{plan['id']} (in the pipeline: _PLAN={plan['id']}).",
            )
        return plan

    # --- apply -----------------------------------------------------------------------------------------------------

    def apply_platform(self):
        plan = self._planned()
        if self.steps.read("platform") == {"plan": plan["id"]}:
            say("platform: this plan was applied before")
            return
        self._check_file(plan, self.platform)
        self.platform.init()
        self._apply(self.platform, lambda: {"image": plan["image"]})
        self.steps.write("platform", {"plan": plan["id"]})

    def migrate(self):
        """Run the job migrate. It is idempotent, so it runs in every deploy."""
        plan = self._planned()
        if self.steps.read("platform") != {"plan": plan["id"]}:
            raise Failure(
                "wait",
                "The platform of this plan was not applied yet, so the job has the earlier image. First: "
                f"./deploy apply-platform {self.environment.name}",
            )
        execute_job(self.runner, self.environment)
        self.steps.write("migrate", {"image": plan["image"]})

    def apply_services(self):
        plan = self._planned()
        if plan["only"] == "platform":
            say("services: left as they are (--only platform)")
            return
        if self.steps.read("migrate") != {"image": plan["image"]}:
            raise Failure(
                "wait",
                "The job migrate has not succeeded for this image, so the services were not touched. First: "
                f"./deploy migrate {self.environment.name}",
            )
        self.platform.init()
        self.services.init()
        handed_over = hand_over(self.platform, self.services)
        if not plan["services_planned"] or handed_over != plan["handed_over"]:
            if self.approves:
                raise Failure(
                    "mixed",
                    "The platform hands over other values than those that the services were planned with. The "
                    "services were not touched. Deploy platform changes on their own first, then plan again: "
                    f"./deploy plan {self.environment.name}",
                )
            say("The platform hands over other values than the services were planned with: planning them again.")
            record = ReleaseRecord(self.runner, self.environment)
            variables = self._variables_of(plan, record)
            PlanReview(self.services.plan(variables)).refuse_deletes("services", plan["allowed"])
        else:
            self._check_file(plan, self.services)
        if plan["canary"]:
            # Before the apply, so that a rollback finds it even where this run is killed in between.
            record = ReleaseRecord(self.runner, self.environment)
            record.value["canary"] = plan["image"]
            record.save()
        self._apply(self.services, lambda: self._variables_of(plan, ReleaseRecord(self.runner, self.environment)))
        self.steps.write("services", {"image": plan["image"]})

    def _variables_of(self, plan: dict, record: ReleaseRecord) -> dict:
        return {**self.variables(plan["image"], record), **self._canary(record, plan["canary"])}

    def _apply(self, root: Tofu, variables):
        """Apply the plan that was kept. One that a run applied which was cut short right after it is found applied."""
        try:
            root.apply()
        except Failure as failure:
            if failure.kind != "plan" or not root.is_as_planned(variables()):
                raise
            say(f"{root.root}: this plan was applied before, by a run that was cut short. Nothing is left to change.")

    # --- promote ---------------------------------------------------------------------------------------------------

    def promote(self, *, onward=True):
        """Write down what serves, and start the next environment with the same image."""
        plan = self._planned()
        name = self.environment.name
        if plan["only"] == "platform":
            say("Nothing to promote: only the platform was deployed.")
            return
        if self.steps.read("smoke") != {"image": plan["image"]}:
            raise Failure("wait", f"The smoke test has not passed for this image. First: ./deploy smoke {name}")
        if plan["canary"]:
            say(
                f"{plan['canary']} % of the requests of {name} go to {plan['image']}. All of them: ./deploy image "
                f"{name} --image {plan['image']}, then ./deploy plan {name} --canary 0. None: ./deploy rollback {name}"
            )
            return
        record = ReleaseRecord(self.runner, self.environment)
        record.add(plan["image"], plan["commit"])
        record.end_canary()
        self.services.init()
        record.value["revisions"] = self.services.outputs().get("revisions", {})
        record.save()
        say(f"{name} serves {plan['image']}.")
        if name not in NEXT:
            tag = f"{plan['image'].split('@')[0]}:{name}-{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}"
            self.runner.run(["gcloud", "artifacts", "docker", "tags", "add", plan["image"], tag], capture=True)
            say(f"Tagged {tag}.")
        elif not onward or record.paused:
            say(
                f"Not passed on to {NEXT[name]}: "
                + ("the environment is paused." if onward else "this was a rollback.")
            )
        else:
            self._start_next(NEXT[name], plan)

    def _start_next(self, name: str, plan: dict):
        environment = Environment(name)
        if is_under_way(self.runner, environment, plan["commit"], image=plan["image"]):
            return
        if name not in APPROVED:
            start(self.runner, environment, plan["commit"], image=plan["image"])
            return
        # What deploys this environment may look at the next one and change nothing in it; what is approved afterwards
        # is exactly this plan.
        with alone(name):
            plan_id = Deploy(self.runner, name, looks_only=True).plan(image=plan["image"])
            start(self.runner, environment, plan["commit"], image=plan["image"], plan=plan_id)


def _new_id() -> str:
    """A name that no other plan has, whatever the clock shows: what is approved is one plan."""
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def saved_at(environment: Environment, plan_id: str) -> str:
    """Where the files of a plan are kept, to be approved."""
    return f"{environment.build.plans}/{environment.name}/{plan_id}"


def saved_plan(runner, environment: Environment, plan_id: str) -> dict:
    """What a saved plan is of: image, commit, whether services are in it."""
    return runner.ask(["gcloud", "storage", "cat", f"{saved_at(environment, plan_id)}/plan.json"], PLAN)

"""The command line: one verb for each step of the pipeline, and the verbs for people."""

import argparse
import contextlib
import os
import textwrap
import traceback

import bootstrap
import build_steps
import firstday
import front
import inventory
import recovery
import secret_values
import smoke_verb
import tofu
from builds import is_under_way, start
from environments import NAMES, Environment, check_edited, check_project, commit
from failures import Failure, exit_code_table, failure_of
from pipeline import Deploy, saved_plan
from programs import Runner, ignore_signals
from steps import alone
from streams import end_output, open_streams, say

ABOUT = """\
./deploy VERB [ENVIRONMENT] …      ENVIRONMENT: dev, staging or prod

The steps of the pipeline (cloudbuild.yaml), in their order. Each can be started again; each finds done what is done:
  check            lints, documentation, dependencies, OpenTofu and its tests
  test             the tests on real stores
  image            make the image, or check the one that is given
  plan             plan platform and services, and refuse what may not be done
  apply-platform   apply the plan of platform
  migrate          run the job migrate and wait for its end
  apply-services   apply the plan of services
  smoke            test what serves; where it fails, the image that served before serves again
  promote          write down what serves, and start the next environment

For people:
  start            start the pipeline of an environment (a commit, an image, a plan, a canary)
  rollback         start the pipeline with an earlier image
  pause, resume    stop every function and the clock; start them again
  after-restore    after PostgreSQL was restored to an earlier point
  keys             draw the values of secrets
  unlock           remove the lock of a run that is dead
  forget           take out of the state what is in a region that is lost
  inventory        list what exists
  firstday         list what is believed of Google Cloud and was not tried
  front            print the DNS records of the load balancer, and wait until they lead to it
  lock             write down which provider tofu takes
  bootstrap        make the project that builds, and the names that the others need
  teardown         delete the functions of dev or staging

./deploy VERB --help says more. Docs: docs/DEPLOYING.md.
"""


class Verb:
    """A verb of the command line: its arguments, and what it calls."""

    def __init__(self, about, call, *arguments, environment=True, looks=False):
        self.about = about
        self.call = call
        self.arguments = arguments
        self.environment = environment
        self.looks = looks
        """Whether it only looks, so that it may run beside another one."""


def argument(*names, **options):
    """An argument as argparse wants it."""
    return names, options


ONLY = argument("--only", choices=["platform"], help="leave the services as they are (the pipeline: _ONLY)")
IMAGE = argument("--image", help="an image by its digest: REPOSITORY@sha256:… (the pipeline: _IMAGE)")
PLAN = argument("--plan", metavar="ID", help="the saved plan that was approved (the pipeline: _PLAN)")
CANARY = argument(
    "--canary",
    type=int,
    choices=range(100),
    metavar="PERCENT",
    help="give the new image this share of the requests, 0: all of them (_CANARY)",
)
DRIFT = argument(
    "--accept-drift", action="store_true", help="undo what was changed past this repository (_ACCEPT_DRIFT=yes)"
)
ALLOW = argument(
    "--allow-delete",
    action="append",
    default=[],
    metavar="ADDRESS",
    help="a resource of records, secrets or seats that may be deleted; never one of signer",
)

VERBS = {
    "check": Verb(
        "Lints, documentation, dependencies, OpenTofu and its tests. Left out where _IMAGE is set.",
        lambda run, _: build_steps.check(run),
        environment=False,
    ),
    "test": Verb(
        "The tests on real PostgreSQL and Redis. Left out where _IMAGE is set.",
        lambda run, _: build_steps.test(run),
        environment=False,
    ),
    "image": Verb(
        "Make the image in Cloud Build (.ci/image.yaml), or check that the given one exists and is attested.",
        lambda run, to: build_steps.image(run, to.environment, to.image),
        IMAGE,
    ),
    "plan": Verb(
        "Plan both roots and keep the plans; prod's is saved in a bucket, to be approved. With --plan, fetch "
        "a saved one instead. Refused: a plan that deletes anything of records, signer, secrets or seats; "
        "edited files and drift (staging, prod); platform changes beside changes of services (prod).",
        lambda run, to: _plan(run, to),
        PLAN,
        ONLY,
        CANARY,
        DRIFT,
        ALLOW,
    ),
    "apply-platform": Verb(
        "Apply the plan of platform: stores, keys, accounts, and the image of the job migrate.",
        lambda run, to: Deploy(run, to.environment).apply_platform(),
    ),
    "migrate": Verb(
        "Run the job migrate and wait for its end. Where it fails, the services stay as they are.",
        lambda run, to: Deploy(run, to.environment).migrate(),
    ),
    "apply-services": Verb(
        "Apply the plan of services: functions, front, clock, alerts.",
        lambda run, to: Deploy(run, to.environment).apply_services(),
    ),
    "smoke": Verb(
        "Test what serves. Against an environment a red test puts the earlier image back (exit code 14). "
        "Against an address (license-local, ./dev run) nothing is changed.",
        lambda run, to: smoke_verb.smoke(run, to.target, data=to.data, lines=to.lines),
        argument("target", nargs="?", default=os.environ.get("_ENVIRONMENT"), help="an environment or an address"),
        argument("--data", default=".local", help="the data directory of license-local (.local)"),
        argument("--lines", metavar="FILE", help="its log lines (LOG_LEVEL=info LOG_FORMAT=json), to see a tick"),
        environment=False,
    ),
    "promote": Verb(
        "Write down what serves. dev starts staging with the same image; staging plans prod, saves the plan "
        "and starts prod, which waits for an approval; prod tags the image. _PROMOTE=no: only write it down.",
        lambda run, to: Deploy(run, to.environment).promote(onward=os.environ.get("_PROMOTE") != "no"),
    ),
    "start": Verb(
        "Start the pipeline of an environment: this commit, which must have been pushed.",
        lambda run, to: _start(run, to),
        IMAGE,
        PLAN,
        ONLY,
        CANARY,
        DRIFT,
    ),
    "rollback": Verb(
        "Start the pipeline with the newest good image before the latest one, or with --to.",
        lambda run, to: recovery.rollback(run, to.environment, to.to),
        argument("--to", metavar="IMAGE", help="an image by its digest"),
    ),
    "pause": Verb(
        "Stop every function and the clock. Deploys keep it so until ./deploy resume.",
        lambda run, to: recovery.pause(run, to.environment, lost=to.region_lost),
        argument("--region-lost", action="store_true", help="only write it down: the region of the functions is lost"),
    ),
    "resume": Verb(
        "Start every function and the clock again; after a restore not before old leases are over.",
        lambda run, to: recovery.resume(run, to.environment),
    ),
    "after-restore": Verb(
        "Empty Valkey and raise every epoch, after PostgreSQL was restored. The environment is paused.",
        lambda run, to: recovery.after_restore(run, to.environment),
    ),
    "keys": Verb(
        "Draw values of secrets. draw: those that have none; next: a new key, accepted but not used; swap: the "
        "new key is used and the old one accepted; canary, mail: keep the license key of the smoke test, or the URL "
        "of the mail server, from standard input. Version numbers are printed, and go into platform.tfvars.",
        lambda run, to: secret_values.keys(run, to.environment, to.step, to.secret),
        argument("step", nargs="?", choices=["draw", "next", "swap", "canary", "mail"], default="draw"),
        argument("secret", nargs="?", choices=list(secret_values.DRAWN)),
    ),
    "unlock": Verb(
        "Remove the lock that a dead run left. Look first whether it is dead: gcloud builds list --ongoing.",
        lambda run, to: recovery.unlock(run, to.environment, to.root, to.lock),
        argument("root", help="platform or services"),
        argument("lock", help="the ID in the message"),
    ),
    "forget": Verb(
        "Take out of the state what is in a region that is lost, so that a plan makes it elsewhere and does not wait "
        "for the region to delete it. Nothing is deleted, and the bucket keeps the earlier state.",
        lambda run, to: recovery.forget(run, to.environment, to.root, to.address),
        argument("root", help="platform or services"),
        argument("address", nargs="+", help="a module or a resource, as the plan names it"),
    ),
    "inventory": Verb(
        "List what exists in the environment and in the project that builds; values of secrets are never asked for.",
        lambda run, to: inventory.inventory(run, to.environment),
        looks=True,
    ),
    "firstday": Verb(
        "List what is believed of Google Cloud and was not tried: how to check it, and the way back.",
        lambda _, to: firstday.firstday(to.environment),
        looks=True,
    ),
    "front": Verb(
        "Print the DNS records that the domain of the load balancer needs.",
        lambda run, to: front.front(run, to.environment, wait=to.wait),
        argument("--wait", action="store_true", help="return when the certificate is valid and the domain answers"),
        looks=True,
    ),
    "lock": Verb(
        "Write down in each root which provider tofu takes, with its checksums (.terraform.lock.hcl), to be committed.",
        lambda run, to: tofu.lock(run, upgrade=to.upgrade),
        argument("--upgrade", action="store_true", help="the newest one that the roots allow"),
        environment=False,
    ),
    "bootstrap": Verb(
        "Make the project that builds: its state, registry, triggers, and the pinned images of the steps. "
        "Everything that exists is left as it is.",
        lambda run, to: bootstrap.bootstrap(run, rebuild=to.rebuild),
        argument("--rebuild", action="store_true", help="build the images of the steps anew, and pin those"),
        environment=False,
    ),
    "teardown": Verb(
        "Delete the functions, the front and the alerts of dev or staging. Not their data.",
        lambda run, to: recovery.teardown(run, to.environment, to.project),
        argument("project", help="the environment's project, typed in full"),
    ),
}


def _plan(run, to):
    deploy = Deploy(run, to.environment)
    plan = to.plan or os.environ.get("_PLAN")
    if plan:
        deploy.fetch_plan(plan)
        return
    deploy.plan(
        only=to.only or os.environ.get("_ONLY") or None,
        accept_drift=to.accept_drift or os.environ.get("_ACCEPT_DRIFT") == "yes",
        allowed=to.allow_delete,
        canary=_canary(to),
    )


def _canary(to):
    """None where nobody asked: 0 is an answer, and means all requests."""
    if to.canary is not None:
        return to.canary
    return int(os.environ["_CANARY"]) if os.environ.get("_CANARY") else None


def _start(run, to):
    environment = Environment(to.environment)
    check_project(run, environment)
    check_edited(run, environment)
    image = to.image or (saved_plan(run, environment, to.plan)["image"] if to.plan else None)
    values = {
        "image": image,
        "plan": to.plan,
        "only": to.only,
        "canary": None if to.canary is None else str(to.canary),
        "accept_drift": "yes" if to.accept_drift else None,
    }
    commit_id = commit(run)
    if not is_under_way(run, environment, commit_id, **values):
        start(run, environment, commit_id, **values)


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command line in the words and with the exit code of this program."""

    def error(self, message):
        raise Failure("usage", f"{message}. {self.prog} --help")


def parser() -> Parser:
    codes = f"exit codes:\n{exit_code_table()}\n"
    raw = argparse.RawDescriptionHelpFormatter
    root = Parser(prog="./deploy", usage=argparse.SUPPRESS, description=ABOUT, epilog=codes, formatter_class=raw)
    verbs = root.add_subparsers(dest="verb", metavar="VERB", help=argparse.SUPPRESS)
    for name, verb in VERBS.items():
        about = textwrap.fill(verb.about, 110)
        one = verbs.add_parser(name, prog=f"./deploy {name}", description=about, epilog=codes, formatter_class=raw)
        if verb.environment:
            default = os.environ.get("_ENVIRONMENT")
            one.add_argument("environment", choices=NAMES, nargs="?" if default else None, default=default)
        for names, options in verb.arguments:
            one.add_argument(*names, **options)
    return root


def main(arguments: list) -> int:
    """Do what the command line says. Returns the exit code."""
    open_streams()
    try:
        with contextlib.suppress(SystemExit):  # what argparse does after --help
            _do(arguments)
        end_output()
        return 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, a person is told what to do
        ignore_signals()
        failure = failure_of(error)
        if failure.kind == "fault":
            say(traceback.format_exc().rstrip())
        say(f"\n{failure}")
    with contextlib.suppress(OSError):
        end_output()
    return failure.exit_code


def _do(arguments: list):
    chosen = parser().parse_args(arguments)
    if chosen.verb is None:
        print(parser().format_help(), end="")
        return
    if chosen.verb == "smoke" and chosen.target is None:
        raise Failure("usage", "Name an environment or an address. ./deploy smoke --help")
    verb, runner = VERBS[chosen.verb], Runner()
    with contextlib.nullcontext() if verb.looks else _alone(chosen):
        verb.call(runner, chosen)


def _alone(chosen):
    """Nothing else of this clone changes the same: the environment, or what is there once for all of them."""
    name = getattr(chosen, "environment", None) or getattr(chosen, "target", None)
    if name in NAMES or chosen.verb == "bootstrap":
        return alone(name or chosen.verb)
    return contextlib.nullcontext()

"""What was read about Google Cloud and not tried: checked by a person on the first day, each with a way back."""

from environments import Environment

# What is believed, how it is checked, and what is done where it is not so.
FACTS = (
    (
        "Valkey lets a script ask INFO replication, and takes SCRIPT LOAD",
        "after the first deploy: ./deploy smoke {env}; no line of acquire has NOPERM in `error`",
        'services.tfvars: settings = {{ REDIS_REPLID_SOURCE = "connection" }}',
    ),
    (
        "the certificates of both stores name the address that the services connect to",
        "/health/ready of acquire answers 200",
        "report it: the services would have to check the authority alone",
    ),
    (
        "a failover of Valkey leads its address to the new primary within 10 s",
        "in staging: gcloud memorystore instances … failover while a client holds a seat; count the 503",
        "services.tfvars: lease = {{ drain_seconds = … }} longer by what it took",
    ),
    (
        "logging in by IAM takes tens of milliseconds and has a quota above our connects",
        "the lines of a fresh instance: time from `listening` to the first answer of /health/started",
        "a longer life of connections, or passwords as secrets",
    ),
    (
        "the load balancer and Cloud Run add two entries to X-Forwarded-For",
        "./deploy smoke {env} (forged address), and a request of yours in the audit log shows your address",
        "services.tfvars: front = {{ trusted_proxies = … }}",
    ),
    (
        "manual scaling to 0 stops a service at once",
        "in staging: ./deploy pause staging; the front answers 503 within a minute",
        "pause by giving no service any traffic",
    ),
    (
        "generation 1 runs with Direct VPC egress",
        "the first instance of acquire starts",
        "modules/function: EXECUTION_ENVIRONMENT_GEN2",
    ),
    (
        "private endpoints of Memorystore are not billed by the hour",
        "the bill of the second day",
        "docs/COST.md: add $7.30 a month for each",
    ),
    (
        "gcloud run jobs execute --wait ends with another exit code than 0 where the job fails",
        "in dev: gcloud run jobs execute migrate --args=nonsense --wait; echo $?",
        "report it: `deploy migrate` would have to read the execution's state",
    ),
    (
        "signing in a multi-region key ring takes less than 300 ms",
        "the latency of the first acquire of a fresh instance",
        "a regional ring for new environments; a key cannot be moved",
    ),
    (
        "gcloud storage tells an object's generation and creation_time, and refuses a write with an older generation",
        "./deploy pause {env} says nothing of Google's time; the same in two clones at once: one is refused (exit 6)",
        "releases.py: the words of `objects describe`, and OVERTAKEN in programs.py",
    ),
    (
        "gcloud builds list names TRIGGER_NAME, COMMIT_SHA and our own values among a build's substitutions",
        "./deploy start {env} twice: the second names the build of the first and starts none",
        "builds.py: is_under_way; until then cancel the second one in Cloud Build",
    ),
    (
        "the first apply of bootstrap finds every account of Google that it gives a right to",
        "./deploy bootstrap; no line of tofu says that a service account does not exist",
        "bootstrap.py: AGENTS; make the one that is named by gcloud beta services identity create, and start it again",
    ),
    (
        "the front hands X-Request-Id on as it came, and a line's resource names the revision that wrote it",
        "the first canary: ./deploy smoke {env} says which revisions answered, and is not red for want of lines",
        "./deploy plan {env} --canary 0; canary.py: what the lines are found by",
    ),
    (
        "a clone of a Cloud SQL instance has its IAM users already",
        "the drill in staging (DEPLOYING.md, Restore): the plan after the clone",
        "tofu import the users that the apply says exist",
    ),
    (
        "from outside, Cloud Run answers 404 for a service with internal ingress",
        "./deploy smoke {env} (push)",
        "none is needed: the service refuses the push itself with 401",
    ),
)


def firstday(name: str):
    """Print the list."""
    Environment(name)
    for number, (fact, how, way_back) in enumerate(FACTS, start=1):
        print(f"{number:2}. {fact}\n    check:    {how.format(env=name)}\n    if not:   {way_back.format(env=name)}")
    print(f"{len(FACTS)} facts. Write what you found into docs/decisions/, with the date and the region.")

"""What exists in an environment, asked of Google and not of the state."""

from environments import Environment, check_project, say
from releases import ReleaseRecord
from tofu import ROOTS, Tofu

# What is listed, and gcloud's words for it. Values of secrets are never asked for.
LISTS = (
    (
        "services",
        [
            "run",
            "services",
            "list",
            "--format=table(metadata.name,status.latestReadyRevisionName,spec.template.spec.containers[0].image)",
        ],
        True,
    ),
    ("jobs", ["run", "jobs", "list"], True),
    ("PostgreSQL", ["sql", "instances", "list"], False),
    ("Valkey", ["memorystore", "instances", "list", "--location={region}"], False),
    ("keys", ["kms", "keyrings", "list", "--location={location}"], False),
    ("secrets", ["secrets", "list"], False),
    ("topics", ["pubsub", "topics", "list", "--format=value(name)"], False),
    ("subscriptions", ["pubsub", "subscriptions", "list", "--format=table(name,topic,pushConfig.pushEndpoint)"], False),
    ("clock", ["scheduler", "jobs", "list", "--location={region}"], False),
    ("addresses", ["compute", "addresses", "list", "--global"], False),
    ("accounts", ["iam", "service-accounts", "list", "--format=value(email)"], False),
)


def inventory(runner, name: str):
    """List everything that costs money or holds something."""
    environment = Environment(name)
    check_project(runner, environment)
    record = ReleaseRecord(runner, environment)
    say(f"{name}: project {environment.project}, region {environment.region}, serves {record.serving or 'nothing yet'}")
    if record.paused:
        say(f"paused since {record.paused}")
    for one in record.releases:
        say(f"  {one['time']}  {'good' if one['good'] else 'bad '}  {one['digest']}  commit {one['commit']}")
    failed = []
    for title, words, by_region in LISTS:
        say(f"--- {title}")
        location = environment.platform.get("kms_location", environment.region)
        words = [
            word.format(region=environment.region, location=location) if "table(" not in word else word
            for word in words
        ]
        region = [f"--region={environment.region}"] if by_region else []
        done = runner.run(
            ["gcloud", *words, *region, f"--project={environment.project}"], capture=True, allowed=range(256)
        )
        print(done.output, end="", flush=True)
        if done.code:
            failed.append(title)
    for root in ROOTS:
        tofu = Tofu(runner, environment, root)
        tofu.init()
        say(f"--- state of {root}: {len(tofu.addresses())} resources")
    if failed:
        say(f"Could not be listed (the lines above say why): {', '.join(failed)}.")

"""What the schema of Cloud Build cannot say of a build: names are declared, and images are pinned."""

import re

# Cloud Build gives these to every build, or to every build of a trigger.
BUILT_IN = {
    "PROJECT_ID",
    "PROJECT_NUMBER",
    "BUILD_ID",
    "LOCATION",
    "COMMIT_SHA",
    "SHORT_SHA",
    "REPO_NAME",
    "TRIGGER_NAME",
    "BRANCH_NAME",
    "TAG_NAME",
    "REVISION_ID",
}
USED = re.compile(r"(?<!\$)\$(?:\{(\w+)\}|(\w+))")
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# Images of the steps that are given by the triggers; ./deploy bootstrap writes them there by their digests.
PINNED = {"${_BUILDER}", "${_CLOUD}"}


def texts(value):
    """Every text in a document, keys of substitutions apart."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name != "substitutions":
                yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def faults(build: dict) -> list:
    """What is wrong with a build, in sentences."""
    found = []
    options = build.get("options", {})
    declared = set(build.get("substitutions", {}))
    used = {braced or plain for text in texts(build) for braced, plain in USED.findall(text)}
    found += [f"the substitution {name} is used and not declared" for name in sorted(used - declared - BUILT_IN)]
    if not options.get("automapSubstitutions"):
        found += [f"the substitution {name} is declared and not used" for name in sorted(declared - used)]
    secrets = {one.get("env") for one in build.get("availableSecrets", {}).get("secretManager", [])}
    earlier = set()
    for at, step in enumerate(build.get("steps", []), start=1):
        called = step.get("id", f"step {at}")
        if "id" not in step:
            found.append(f"{called} has no id")
        found += [
            f"{called} waits for {name}, which is no step before it"
            for name in step.get("waitFor", [])
            if name != "-" and name not in earlier
        ]
        if called in earlier:
            found.append(f"two steps are called {called}")
        found += [
            f"{called} uses the secret {name}, which is not declared"
            for name in step.get("secretEnv", [])
            if name not in secrets
        ]
        found += image_faults(called, step.get("name", ""))
        earlier.add(called)
    if "serviceAccount" in build and options.get("logging") not in ("CLOUD_LOGGING_ONLY", "GCS_ONLY", "NONE"):
        found.append("a build with an account of its own must say where its lines go (options.logging)")
    return found


def image_faults(step: str, image: str) -> list:
    if image in PINNED:
        return []
    if not image:
        return [f"{step} has no image"]
    host = image.split("/")[0]
    if "/" not in image or "." not in host or host.endswith("docker.io"):
        return [f"{step} takes {image} from Docker Hub"]
    return [] if DIGEST.search(image) else [f"{step} takes {image} not by its digest"]

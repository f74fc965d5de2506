"""What is promised of compose.yaml and the Dockerfile, which the schema of compose files does not know."""

import copy
import re
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


class Refused(Exception):
    """A promise that does not hold."""


def holds(fact: bool, otherwise: str) -> None:
    if not fact:
        raise Refused(otherwise)


def honoured() -> set[str]:
    """The variables that license-local takes from its environment."""
    source = Path("local/src/environment.rs").read_text()
    lists = re.findall(r"const (?:HONOURED|IDENTITY): \[&str; \d+\] = \[(.*?)\];", source, re.DOTALL)
    holds(len(lists) == 2, "local/src/environment.rs has no lists HONOURED and IDENTITY")
    return set(re.findall(r'"([A-Z_]+)"', "".join(lists)))


def targets(dockerfile: str) -> dict[str, str]:
    """The stages and what each begins with, arguments replaced by their defaults."""
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", dockerfile, re.MULTILINE)
    return {name: re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], base) for base, name in stages}


def check_dockerfile(dockerfile: str) -> None:
    stages = targets(dockerfile)
    holds(next(iter(stages)) == "cloud", "the first stage is not cloud")
    for name, base in stages.items():
        holds(
            base == "scratch" or bool(DIGEST.search(base)), f"the stage {name} begins with {base}, which has no digest"
        )
    cloud = dockerfile.partition(" AS cloud\n")[2].partition("\nFROM ")[0]
    instructions = [line.split()[0] for line in cloud.splitlines() if line and not line.startswith("#")]
    holds(instructions == ["COPY", "USER"], f"the target cloud has {instructions}")
    local = dockerfile.partition(" AS local\n")[2]
    said = dict(re.findall(r"^(USER|VOLUME|ENTRYPOINT) (.*)$", local, re.MULTILINE))
    wanted = {"USER": "65532:65532", "VOLUME": "/data", "ENTRYPOINT": '["license-local", "--data", "/data"]'}
    holds(said == wanted, f"the target local has {said}")
    toolchain = re.search(r'^channel = "(.*)"', Path("rust-toolchain.toml").read_text(), re.MULTILINE)[1]
    holds(
        f"RUSTUP_TOOLCHAIN={toolchain}\n" in dockerfile,
        f"the toolchain is not {toolchain}, as rust-toolchain.toml says",
    )
    holds(
        f"rust:{toolchain.rpartition('.')[0]}-" in stages["compiled"],
        f"{stages['compiled']} has another Rust than {toolchain}",
    )
    holds("# syntax" not in dockerfile, "a line # syntax would fetch a program from Docker Hub")


def check_compose(compose: dict) -> None:
    services = compose["services"]
    license_service = services["license"]
    holds(
        license_service["build"]["target"] in targets(Path("Dockerfile").read_text()), "the Dockerfile lacks the target"
    )
    unknown = sorted(set(license_service["environment"]) - honoured())
    holds(not unknown, f"license-local does not take {unknown} from its environment")
    started = [name for name, service in services.items() if not service.get("profiles")]
    holds(started == ["license"], f"docker compose up starts {started}")
    holds(
        license_service.get("network_mode") == "host",
        "the demo provider is out of reach: it answers the machine itself alone",
    )
    holds("ports" not in license_service, "ports are for a network of the container's own")
    volumes = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    holds(volumes == set(compose["volumes"]), f"the volumes {sorted(volumes)} are used")
    holds(license_service["volumes"] == ["data:/data"], "the data is not in a volume, or something else is")
    holds(license_service.get("read_only") is True, "the root can be written to")
    holds(license_service.get("tmpfs") == ["/tmp"], "there is no place for temporary files, or another one")
    holds(license_service.get("security_opt") == ["no-new-privileges:true"], "it may gain privileges")
    holds(license_service.get("init") is True, "nothing waits for processes whose parent has gone")
    holds("user" not in license_service, "it runs as somebody else than the image says")
    for name, service in services.items():
        holds(service.get("cap_drop") == ["ALL"], f"{name} keeps capabilities")
        holds(
            "image" not in service or bool(DIGEST.search(service["image"])),
            f"{name}: {service.get('image')} has no digest",
        )


def replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        sys.exit(f"compose: the Dockerfile has no {old!r} any more: plant the fault anew.")
    return text.replace(old, new)


def planted(compose: dict) -> list[tuple[str, Callable[[], None]]]:
    def spoilt(spoil: Callable[[dict], object]) -> Callable[[], None]:
        copied = copy.deepcopy(compose)
        spoil(copied["services"])
        return lambda: check_compose(copied)

    dockerfile = Path("Dockerfile").read_text()
    return [
        ("a variable that nobody reads", spoilt(lambda s: s["license"]["environment"].update(DATABASE_URL="x"))),
        ("a target that is not there", spoilt(lambda s: s["license"]["build"].update(target="machine"))),
        ("a proxy for everybody", spoilt(lambda s: s["tls"].pop("profiles"))),
        ("a tag for a digest", spoilt(lambda s: s["tls"].update(image="caddy:2"))),
        ("no volume", spoilt(lambda s: s["license"]["volumes"].clear())),
        ("a volume of this machine", spoilt(lambda s: s["license"]["volumes"].append("data:/etc"))),
        ("a root that is written to", spoilt(lambda s: s["license"].pop("read_only"))),
        ("nowhere for temporary files", spoilt(lambda s: s["license"].pop("tmpfs"))),
        ("more privileges", spoilt(lambda s: s["license"].pop("security_opt"))),
        ("no first process", spoilt(lambda s: s["license"].update(init=False))),
        ("root in compose.yaml", spoilt(lambda s: s["license"].update(user="0:0"))),
        ("root in the image", lambda: check_dockerfile(replaced(dockerfile, "USER 65532:65532\nVOLUME", "VOLUME"))),
        ("no volume in the image", lambda: check_dockerfile(replaced(dockerfile, "VOLUME /data\n", ""))),
        (
            "a shell in the cloud",
            lambda: check_dockerfile(dockerfile.replace("COPY root/ /", "COPY root/ /\nRUN true")),
        ),
        ("a base without digest", lambda: check_dockerfile(re.sub(r"(DEBIAN=\S+)@\S+", r"\1", dockerfile))),
    ]


def main() -> None:
    compose = yaml.safe_load(Path("compose.yaml").read_text())
    try:
        check_compose(compose)
        check_dockerfile(Path("Dockerfile").read_text())
    except Refused as refused:
        sys.exit(f"compose: {refused}.")
    faults = planted(compose)
    for fault, check in faults:
        try:
            check()
        except Refused as refused:
            print(f"compose: refused, {fault}: {refused}")
        else:
            sys.exit(f"compose: {fault} was not refused.")
    print(f"compose: valid as a compose file, builds from the Dockerfile, {len(faults)} planted faults refused")


if __name__ == "__main__":
    main()

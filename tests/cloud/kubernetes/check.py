"""What is promised of kubernetes/base. The last lines plant faults: each check must refuse its own.

check.py KUSTOMIZE      the program that puts the base together
"""

import copy
import json
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import yaml

BASE = Path("kubernetes/base")
PAGE = Path("docs/KUBERNETES.md")
DIGEST = "sha256:" + "a" * 64
DESCRIPTION = json.loads(Path("opentofu/functions.json").read_text())
# The oldest one that the page promises, and the newest that the validator knows.
PROMISED = re.search(r"Kubernetes (1\.\d+) or newer", PAGE.read_text("utf-8"))[1]
VERSIONS = (PROMISED, kubernetes_validate.latest_version())
PODS = {"Deployment": ("template",), "Job": ("template",), "CronJob": ("jobTemplate", "spec", "template")}
Document = dict


class Refused(Exception):
    """A promise that does not hold."""


def holds(fact: bool, otherwise: str) -> None:
    if not fact:
        raise Refused(otherwise)


def pods(documents: list[Document]) -> dict[str, Document]:
    """The pod templates by the names of what makes them."""
    found = {}
    for document in documents:
        if way := PODS.get(document["kind"]):
            template = document["spec"]
            for step in way:
                template = template[step]
            found[document["metadata"]["name"]] = template
    return found


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def check_schema(documents: list[Document]) -> None:
    for document in documents:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                name = f"{document['kind']} {document['metadata']['name']}"
                raise Refused(f"{name}, Kubernetes {version}: {error.message} ({error.path})") from error


def check_environment(documents: list[Document]) -> None:
    every = DESCRIPTION["every"]["variables"]
    wanted = {}
    for name, function in DESCRIPTION["functions"].items():
        secrets = function["secrets"] + function["optional_secrets"]
        wanted[name] = {"PORT", "BIND_ADDRESS", *every, *function["variables"], *secrets}
        wanted[name].update(*(DESCRIPTION["stores"][store]["variables"] for store in function["stores"]))
    wanted |= {name: {*job["variables"]} for name, job in DESCRIPTION["jobs"].items()}
    templates = pods(documents)
    holds(set(templates) == {*wanted, "tick"}, f"there are {sorted(templates)}")
    for name, variables in wanted.items():
        (container,) = templates[name]["spec"]["containers"]
        found = {variable["name"]: variable for variable in container["env"]}
        differing = sorted(found.keys() ^ variables)
        holds(not differing, f"{name}: functions.json and its environment differ in {differing}")
        addresses = {"DATABASE_URL", "REDIS_URL"} & variables
        for secret in [*DESCRIPTION["functions"].get(name, {}).get("secrets", []), *addresses]:
            holds("secretKeyRef" in found[secret].get("valueFrom", {}), f"{name}: {secret} is not from a Secret")


def check_restricted(documents: list[Document]) -> None:
    """Kubernetes' own profile `restricted`, a root that nobody writes to, and no token of the cluster."""
    for name, template in pods(documents).items():
        spec = template["spec"]
        context = spec.get("securityContext", {})
        holds(context.get("runAsNonRoot") is True and context.get("runAsUser") == 65532, f"{name} may run as root")
        holds(context.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{name} has no seccomp profile")
        holds(spec.get("automountServiceAccountToken") is False, f"{name} is given a token of the cluster")
        for container in spec["containers"]:
            own = container.get("securityContext", {})
            holds(own.get("allowPrivilegeEscalation") is False, f"{name} may gain privileges")
            holds(own.get("capabilities") == {"drop": ["ALL"]}, f"{name} keeps capabilities")
            holds(own.get("readOnlyRootFilesystem") is True, f"{name} may write to its root")
            ours = container["image"] == "license-server"
            pinned = re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
            holds(ours or bool(pinned), f"{name}: {container['image']} is not pinned by its digest")
            holds(not ours or container["command"] == [f"/{name}"], f"{name} starts {container['command']}")
            holds("memory" in container["resources"].get("limits", {}), f"{name} has no limit of memory")


def check_parts(documents: list[Document]) -> None:
    """Each service has what belongs to it, and each part finds the service by its label."""
    for name in DESCRIPTION["functions"]:
        label = {"app.kubernetes.io/name": name}
        deployment = of_kind(documents, "Deployment")[name]["spec"]
        holds(deployment["template"]["metadata"]["labels"] == label, f"the pods of {name} have other labels")
        holds(deployment["selector"]["matchLabels"] == label, f"Deployment {name} looks for other pods")
        for kind, way in (
            ("Service", ("selector",)),
            ("PodDisruptionBudget", ("selector", "matchLabels")),
            ("NetworkPolicy", ("podSelector", "matchLabels")),
        ):
            selected = of_kind(documents, kind).get(name, {}).get("spec")
            holds(selected is not None, f"{name} has no {kind}")
            for step in way:
                selected = selected[step]
            holds(selected == label, f"{kind} {name} looks for other pods")
        scaler = of_kind(documents, "HorizontalPodAutoscaler").get(name)
        holds(scaler is not None, f"{name} has no HorizontalPodAutoscaler")
        holds(
            scaler["spec"]["scaleTargetRef"]["name"] == name, f"the HorizontalPodAutoscaler {name} scales another one"
        )
        check_scaler(name, scaler["spec"])
        holds("replicas" not in deployment, f"{name} has a number of replicas, over which two would quarrel")
        (container,) = deployment["template"]["spec"]["containers"]
        probes = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
        wanted = {"startupProbe": "/health/started", "readinessProbe": "/health/live"}
        holds(probes == wanted, f"{name} has the probes {probes}")
    for template in pods(documents).values():
        account = template["spec"]["serviceAccountName"]
        holds(account in of_kind(documents, "ServiceAccount"), f"there is no ServiceAccount {account}")
    level = of_kind(documents, "Namespace")["license-server"]["metadata"]["labels"][
        "pod-security.kubernetes.io/enforce"
    ]
    holds(level == "restricted", f"the namespace enforces {level}")


def check_scaler(name: str, spec: Document) -> None:
    """As the page says it, so that its sum of connections holds."""
    page = PAGE.read_text("utf-8")
    form = r"\((\d+) % of the CPU that is requested; (\d+) to (\d+) pods, the reaper and notify (\d+) to (\d+)\)"
    percent, least, most, *of_queues = map(int, re.search(form, page).groups())
    limits = [spec.get("minReplicas"), spec["maxReplicas"]]
    wanted = of_queues if name in ("reaper", "notify") else [least, most]
    holds(limits == wanted, f"{name} has from {limits[0]} to {limits[1]} pods")
    target = [{"type": "Utilization", "averageUtilization": percent}]
    found = [metric.get("resource", {}).get("target") for metric in spec["metrics"]]
    holds(found == target, f"{name} is scaled by {found}")


def ways(rules: list[Document], who: str) -> set[tuple[str, str]]:
    """(whom, which port) of the rules of a policy. Whatever a rule does not name is everybody, or every port."""
    found = set()
    for rule in rules:
        others = [json.dumps(other, sort_keys=True) for other in rule.get(who, [])] or ["everybody"]
        ports = [f"{port['port']}/{port.get('protocol', 'TCP')}" for port in rule.get("ports", [])] or ["every port"]
        found |= {(other, port) for other in others for port in ports}
    return found


def to(*ports: str, whom: Document | None = None) -> set[tuple[str, str]]:
    return {(json.dumps(whom, sort_keys=True) if whom else "everybody", port) for port in ports}


def pods_of(name: str) -> Document:
    return {"podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}


METADATA = [{"ipBlock": {"cidr": f"169.254.169.{last}/32"}} for last in (252, 254)]
FRONT = {"namespaceSelector": {"matchLabels": {"license-server/front": "true"}}}
STORES = {"records": "5432/TCP", "seats": "6379/TCP"}
# Whoever registers a webhook says where requests go: to no machine of the cluster or beside it.
PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
INTERNET = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}},
    {"ipBlock": {"cidr": "::/0", "except": ["fc00::/7", "fe80::/10"]}},
]


# What the clock of the cluster starts, as the topic `tick` does elsewhere.
TICKED = sorted(
    {push["function"] for push in DESCRIPTION["pushes"]["subscriptions"].values() if push["topic"] == "tick"}
)


def wanted_ways(name: str) -> tuple[set, set]:
    """Who may reach it, and whom it may reach: nobody else."""
    out = to("53/UDP", "53/TCP").union(*(to("80/TCP", "988/TCP", whom=one) for one in METADATA))
    if name == "tick":
        return set(), out.union(*(to("8080/TCP", whom=pods_of(one)) for one in TICKED))
    row = (DESCRIPTION["functions"] | DESCRIPTION["jobs"])[name]
    out |= to(*(STORES[store] for store in row["stores"]))
    if name in DESCRIPTION["jobs"]:
        return set(), out
    # Keys to sign with, topics, and the keys of those who issue tokens are fetched from addresses that nobody knows.
    asks = any(variable.startswith(("IDENTITY_", "PUSH_")) for variable in row["variables"])
    outside = set().union(*(to("443/TCP", whom=one) for one in INTERNET)) if name == "notify" else to("443/TCP")
    out |= outside if row["kms"] or row["publishes"] or asks else set()
    out |= to("465/TCP", "587/TCP") if "MAIL_URL" in row["optional_secrets"] else set()
    return to("http/TCP", whom=FRONT) | (to("http/TCP", whom=pods_of("tick")) if name in TICKED else set()), out


def check_networks(documents: list[Document]) -> None:
    """Nobody is let through but by what its policy names, and each policy names no more than its program needs."""
    policies = of_kind(documents, "NetworkPolicy")
    holds(set(policies) == {*pods(documents), "nothing-else"}, f"there are the policies {sorted(policies)}")
    for name, policy in policies.items():
        spec = policy["spec"]
        holds(spec.get("policyTypes") == ["Ingress", "Egress"], f"the policy {name} leaves a direction open")
        # A policy lets through what it names; one that selects all pods and names nothing refuses the rest.
        into, out = (set(), set()) if name == "nothing-else" else wanted_ways(name)
        label = {} if name == "nothing-else" else pods_of(name)["podSelector"]
        holds(spec["podSelector"] == label, f"the policy {name} is of other pods")
        for direction, who, wanted in (("ingress", "from", into), ("egress", "to", out)):
            found = ways(spec.get(direction, []), who)
            differing = sorted(found ^ wanted)
            holds(not differing, f"the {direction} of {name} and what it needs differ in {differing}")


def rendered(kustomize: str, folder: Path) -> list[Document]:
    """A folder as Kustomize puts it together."""
    done = subprocess.run([kustomize, "build", str(folder)], capture_output=True, text=True, check=False)
    holds(done.returncode == 0, f"Kustomize refuses {folder.name}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


def check_rendered(documents: list[Document]) -> None:
    check_schema(documents)
    check_networks(documents)
    settings = [name for name in of_kind(documents, "ConfigMap") if name.startswith("settings-")]
    holds(len(settings) == 1, f"there are the ConfigMaps {settings}")
    for name, template in pods(documents).items():
        for variable in template["spec"]["containers"][0]["env"]:
            asked = variable.get("valueFrom", {}).get("configMapKeyRef", {"name": settings[0]})["name"]
            holds(asked == settings[0], f"{name}: {variable['name']} is looked for in {asked}")
    # What `kubectl apply -l license-server/step=migrate` takes must be enough for the job.
    first = {d["kind"] for d in documents if d["metadata"].get("labels", {}).get("license-server/step") == "migrate"}
    wanted = {"Namespace", "NetworkPolicy", "ConfigMap", "ServiceAccount", "Job"}
    holds(first == wanted, f"before the services, {sorted(first)} are applied")


def overlay(kustomize: str, *blocks: str) -> list[Document]:
    """An overlay that is written as docs/KUBERNETES.md shows it, beside the base."""
    with tempfile.TemporaryDirectory(prefix="license-overlay-") as place:
        shutil.copytree(BASE, Path(place, "base"))
        folder = Path(place, "overlay")
        folder.mkdir()
        (folder / "kustomization.yaml").write_text("".join(blocks).replace("sha256:…", DIGEST))
        # The way in, which is whatever the cluster has.
        (folder / "ingress.yaml").write_text(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: front}\n"
            "spec: {defaultBackend: {service: {name: admin, port: {name: http}}}}\n"
        )
        return rendered(kustomize, folder)


def check_overlay(kustomize: str) -> None:
    """What the page shows is an overlay of this base: its image runs everywhere, and its settings are read."""
    found = re.findall(r"^( *)```yaml\n(.*?)^ *```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    whole, without_clock = (textwrap.dedent(text) for _, text in found)
    documents = overlay(kustomize, whole)
    check_rendered(documents)
    (settings,) = (d["data"] for n, d in of_kind(documents, "ConfigMap").items() if n.startswith("settings-"))
    own = [line.split("=")[0] for line in yaml.safe_load(whole)["configMapGenerator"][0]["literals"]]
    for name, template in pods(documents).items():
        container = template["spec"]["containers"][0]
        image = container["image"]
        holds(name == "tick" or image == f"registry.example.com/license-server@{DIGEST}", f"{name} runs {image}")
    asked = {
        variable["valueFrom"]["configMapKeyRef"]["key"]
        for template in pods(documents).values()
        for variable in template["spec"]["containers"][0]["env"]
        if "configMapKeyRef" in variable.get("valueFrom", {})
    }
    holds(set(own) <= set(settings) & asked, f"nobody reads {sorted(set(own) - asked)} of the overlay's settings")
    holds("tick" in pods(documents), "the overlay has lost the clock")
    holds("tick" not in pods(overlay(kustomize, whole, without_clock)), "the overlay without the clock has it")


def connections(documents: list[Document]) -> int:
    """With the old and the new pods of a rollout side by side."""
    most = sum(scaler["spec"]["maxReplicas"] for scaler in of_kind(documents, "HorizontalPodAutoscaler").values())
    return most * 4 * 2


def check_connections(documents: list[Document]) -> None:
    """What the page says of them."""
    most = sum(scaler["spec"]["maxReplicas"] for scaler in of_kind(documents, "HorizontalPodAutoscaler").values())
    said = f"At most {most} pods of 4 connections, twice during a rollout: {connections(documents)}."
    holds(said in PAGE.read_text("utf-8"), f"{PAGE} does not say: {said}")


CHECKS: tuple[Callable[[list[Document]], None], ...] = (
    *(check_schema, check_environment, check_restricted, check_parts, check_networks, check_connections),
)


def planted() -> list[tuple[str, Callable[[list[Document]], None], Callable[[list[Document]], object]]]:
    def container(documents: list[Document], name: str = "acquire") -> Document:
        return pods(documents)[name]["spec"]["containers"][0]

    def without(documents: list[Document], kind: str, name: str) -> None:
        documents.remove(of_kind(documents, kind)[name])

    def scaler(documents: list[Document], name: str = "acquire") -> Document:
        return of_kind(documents, "HorizontalPodAutoscaler")[name]

    def policy(documents: list[Document], name: str = "acquire") -> Document:
        return of_kind(documents, "NetworkPolicy")[name]["spec"]

    web = {"ports": [{"port": 443}]}
    return [
        ("an unknown field", check_schema, lambda d: container(d).update(comand=["/acquire"])),
        ("a word for a number", check_schema, lambda d: container(d)["ports"][0].update(containerPort="many")),
        ("a variable less", check_environment, lambda d: container(d)["env"].pop()),
        (
            "a variable more",
            check_environment,
            lambda d: container(d, "reaper")["env"].append({"name": "LICENSE_PEPPER"}),
        ),
        (
            "a root that is written to",
            check_restricted,
            lambda d: container(d)["securityContext"].pop("readOnlyRootFilesystem"),
        ),
        ("root", check_restricted, lambda d: pods(d)["migrate"]["spec"].pop("securityContext")),
        ("a tag for a digest", check_restricted, lambda d: container(d, "tick").update(image="curlimages/curl:8.17.0")),
        ("no budget", check_parts, lambda d: without(d, "PodDisruptionBudget", "heartbeat")),
        ("no policy", check_parts, lambda d: without(d, "NetworkPolicy", "admin")),
        ("no scaler", check_parts, lambda d: without(d, "HorizontalPodAutoscaler", "release")),
        ("a scaler without a limit", check_parts, lambda d: scaler(d)["spec"].update(maxReplicas=40)),
        ("a scaler without a floor", check_parts, lambda d: scaler(d)["spec"].pop("minReplicas")),
        ("a scaler by half of the CPU", check_parts, lambda d: scaler(d)["spec"]["metrics"].clear()),
        ("more pods than the page counts", check_connections, lambda d: scaler(d)["spec"].update(maxReplicas=5)),
        ("a policy less", check_networks, lambda d: without(d, "NetworkPolicy", "tick")),
        ("a policy that lets all out", check_networks, lambda d: policy(d)["egress"].append({})),
        ("a policy that lets all in", check_networks, lambda d: policy(d).update(ingress=[{}])),
        ("all ports from the front", check_networks, lambda d: policy(d)["ingress"][0].pop("ports")),
        ("one port from everybody", check_networks, lambda d: policy(d)["ingress"][0].pop("from")),
        ("all ports of the metadata server's range", check_networks, lambda d: policy(d)["egress"][2].pop("ports")),
        ("the internet for release", check_networks, lambda d: policy(d, "release")["egress"].append(web)),
        ("the cluster for notify", check_networks, lambda d: policy(d, "notify")["egress"].append(web)),
        ("Redis for notify", check_networks, lambda d: policy(d, "notify")["egress"].append({"ports": [{"port": 6379}]})),
        ("a direction that is not named", check_networks, lambda d: policy(d)["policyTypes"].remove("Egress")),
        ("the rest let out", check_networks, lambda d: policy(d, "nothing-else")["policyTypes"].remove("Egress")),
        ("the rest let in", check_networks, lambda d: policy(d, "nothing-else").update(ingress=[{}])),
        ("the rest of one name", check_networks, lambda d: policy(d, "nothing-else").update(pods_of("acquire"))),
        (
            "traffic by the stores",
            check_parts,
            lambda d: container(d)["readinessProbe"]["httpGet"].update(path="/health/ready"),
        ),
    ]


def main() -> None:
    files = sorted(path for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    documents = [document for path in files for document in yaml.safe_load_all(path.read_text())]
    try:
        listed = sorted(kustomization["resources"])
        holds(listed == [path.name for path in files], f"kustomization.yaml lists {listed}")
        for check in CHECKS:
            check(documents)
        built = rendered(sys.argv[1], BASE)
        check_rendered(built)
        check_overlay(sys.argv[1])
        print(f"kubernetes: rendered by Kustomize into {len(built)} objects; the overlay of the page is one")
    except Refused as refused:
        sys.exit(f"kubernetes: {refused}.")
    faults = planted()
    for fault, check, plant in faults:
        spoilt = copy.deepcopy(documents)
        plant(spoilt)
        try:
            check(spoilt)
        except Refused as refused:
            print(f"kubernetes: refused, {fault}: {refused}")
        else:
            sys.exit(f"kubernetes: {fault} was not refused.")
    print(
        f"kubernetes: {len(documents)} objects in {len(files)} files, "
        f"valid for {' and '.join(VERSIONS)}, as functions.json says;"
    )
    print(
        f"kubernetes: at most {connections(documents)} connections to PostgreSQL during a rollout; "
        f"{len(faults)} planted faults refused"
    )


if __name__ == "__main__":
    main()

"""What no file below opentofu/ may say. A rule has a name, the sentence that is printed, and a function from the parsed
files to the places that break it. planted.py has a fault for each.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

import hcl2

# Resources whose loss nobody can make good: each is protected by tofu and by what else its type has.
PROTECTED = {
    "google_memorystore_instance": ("deletion_protection_enabled", "deletion_policy"),
    "google_sql_database_instance": ("deletion_protection", "deletion_policy"),
    "google_kms_key_ring": (),
    "google_kms_crypto_key": ("deletion_policy",),
    "google_kms_crypto_key_version": ("deletion_policy",),
    "google_secret_manager_secret": ("deletion_protection", "deletion_policy"),
    "google_identity_platform_config": (),
    "google_storage_bucket": (),
}
# Settings with one right value, wherever they stand.
FIXED = {
    "maxmemory-policy": "noeviction",
    "authorization_mode": "IAM_AUTH",
    "transit_encryption_mode": "SERVER_AUTHENTICATION",
    "ssl_mode": "ENCRYPTED_ONLY",
    "ipv4_enabled": False,
    "edition": "ENTERPRISE",
    "algorithm": "RSA_SIGN_PKCS1_4096_SHA256",
}
KEPT = ("${var.keep}",)
# Of these each one can be let go by the values, in an apply of its own; what else is said is the same.
LET_GO = {
    "google_sql_database_instance": (
        (
            # hcl2 leaves the quotes of a list out.
            "${var.keep && length(setsubtract(var.released, [replica])) == 0}",
            '${var.keep && !contains(var.released, "replica")}',
        ),
        ("${var.keep && each.value.keep}", '${var.keep && each.value.keep ? "PREVENT" : "DELETE"}'),
    ),
}


@dataclass(frozen=True)
class SourceFile:
    """A file of OpenTofu: its text without comments, and what it says."""

    path: Path
    text: str
    said: dict

    def resources(self) -> Iterator[tuple[str, str, dict]]:
        for block in self.said.get("resource", []):
            for kind, named in block.items():
                for name, body in named.items():
                    yield kind, name, body


@dataclass(frozen=True)
class Rule:
    """`broken` yields the places; `why` says what is wrong with them."""

    name: str
    why: str
    broken: Callable[[SourceFile], Iterator[str]]


def read(path: Path) -> SourceFile:
    raw = path.read_text()
    text = re.sub(r"^\s*(#|//).*$|\s#\s.*$", "", raw, flags=re.M)
    if path.suffix not in (".tf", ".tfvars"):
        return SourceFile(path, text, {})
    try:
        return SourceFile(path, text, hcl2.loads(raw))
    except Exception as error:
        raise SystemExit(f"policy: {path} cannot be read as HCL: {error}") from error


def settings(value: object) -> Iterator[tuple[str, object]]:
    """Every argument, however deep it stands."""
    if isinstance(value, list):
        for one in value:
            yield from settings(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name, one
            yield from settings(one)


def written(pattern: str) -> Callable[[SourceFile], Iterator[str]]:
    """The lines in which the text has this."""
    wanted = re.compile(pattern)

    def broken(file: SourceFile) -> Iterator[str]:
        for line in file.text.splitlines():
            if wanted.search(line):
                yield line.strip()

    return broken


def data_sources(file: SourceFile) -> Iterator[str]:
    for block in file.said.get("data", []):
        yield from (f"data {kind}" for kind in block)


def whole_policies(file: SourceFile) -> Iterator[str]:
    for kind, name, _ in file.resources():
        if re.fullmatch(r"google_\w+_iam_(policy|binding)", kind):
            yield f"{kind}.{name}"


def ignored_images(file: SourceFile) -> Iterator[str]:
    """Whoever ignores all of a resource, or a block that an image is in, ignores the image too."""
    for kind, name, body in file.resources():
        for one in body.get("lifecycle", []):
            ignored = one.get("ignore_changes", [])
            for path in ignored if isinstance(ignored, list) else [ignored]:
                # hcl2 writes a word without quotes as an expression.
                steps = re.sub(r"\[[^]]*\]", "", path.removeprefix("${").removesuffix("}")).split(".")
                runs = kind.startswith("google_cloud_run_v2_") and set(steps) <= {"template", "containers"}
                if runs or steps == ["all"] or "image" in path:
                    yield f"{kind}.{name}: {path}"


def unprotected(file: SourceFile) -> Iterator[str]:
    for kind, name, body in file.resources():
        if kind not in PROTECTED:
            continue
        by_tofu, by_others = LET_GO.get(kind, (KEPT, (*KEPT, '${var.keep ? "PREVENT" : "DELETE"}')))
        kept = [one.get("prevent_destroy") for one in body.get("lifecycle", [])]
        if len(kept) != 1 or kept[0] not in (True, *by_tofu):
            yield f"{kind}.{name}: prevent_destroy"
        for argument in PROTECTED[kind]:
            if body.get(argument) not in (True, "PREVENT", *by_others):
                yield f"{kind}.{name}: {argument}"


def other_values(file: SourceFile) -> Iterator[str]:
    for kind, name, body in file.resources():
        for argument, value in settings(body):
            if argument in FIXED and value != FIXED[argument]:
                yield f"{kind}.{name}: {argument} = {value}"


def lists(file: SourceFile) -> Iterator[str]:
    """`count` is a switch (none or one) and nothing else, and `for_each` goes over a map, whose keys are names."""
    for kind, name, body in file.resources():
        if not re.search(r"\? (1 : 0|0 : 1)\}$", str(body.get("count", "${x ? 1 : 0}"))):
            yield f"{kind}.{name}"
    modules = ((f"module.{name}", body) for block in file.said.get("module", []) for name, body in block.items())
    for name, body in [*modules, *((f"{kind}.{name}", body) for kind, name, body in file.resources())]:
        each = str(body.get("for_each", "")).removeprefix("${")
        # What is inside of a map decides nothing: its keys do.
        while each != (shorter := re.sub(r"\{[^{}]*\}", "", each)):
            each = shorter
        if re.search(r"\b(toset|setunion|setsubtract|setintersection|setproduct|range)\(", each):
            yield f"{name}: for_each"


def unprotected_environment(file: SourceFile) -> Iterator[str]:
    """`keep` by itself takes every protection away; that of one instance or of the replica is a value."""
    if file.path.suffix != ".tfvars":
        return
    values = dict(file.said)
    if isinstance(values.get("records"), dict):
        values["records"] = {**values["records"], "instances": None, "replica": None}
    if any(name == "keep" for name, _ in settings(values)):
        yield "keep"


def keys_of_accounts(file: SourceFile) -> Iterator[str]:
    for kind, name, _ in file.resources():
        if kind == "google_service_account_key":
            yield f"{kind}.{name}"


def floating_provider(file: SourceFile) -> Iterator[str]:
    for block in file.said.get("terraform", []):
        for required in block.get("required_providers", []):
            for name, one in required.items():
                if isinstance(one, dict) and one.get("version") != "~> 8.0":
                    yield f"{name} {one.get('version')}"
                if name not in ("google", "google-beta"):
                    yield f"{name}: names and values are built in locals, not by a provider"


RULES = (
    Rule("everybody", "Nobody is let in without a check.", written(r"\ballUsers\b|\ballAuthenticatedUsers\b")),
    Rule("wide-role", "A basic role has rights to everything.", written(r"roles/(owner|editor|viewer)\b")),
    Rule("whole-policy", "It takes away the rights that others gave: use …_iam_member.", whole_policies),
    Rule("data-source", "What is read from Google is not known to a plan: build it in locals.", data_sources),
    Rule("ignored-image", "tofu alone says which image runs.", ignored_images),
    Rule("secret-value", "A value would be in the state.", written(r"\bsecret_data\w*\s*=|\bsecret_string\s*=")),
    Rule("password", "There are no passwords: accounts log in by IAM.", written(r"\b(root_)?password(_wo)?\s*=")),
    Rule("account-key", "Accounts have no keys.", keys_of_accounts),
    Rule("latest", "What runs is a digest, and what is read is a number.", written(r"[:\"]latest\"")),
    Rule("image-tag", "An image is named by its digest.", written(r"(pkg\.dev|gcr\.io|ghcr\.io)/[^\"@]*:[^\"@/]*\"")),
    Rule("unprotected", "It must be protected: prevent_destroy, and what its type has besides.", unprotected),
    Rule("fixed-value", "This setting has one right value (FIXED in tests/cloud/policy/rules.py).", other_values),
    Rule(
        "impersonation",
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT alone says who acts: a saved plan keeps what is written here.",
        written(r"impersonate|\baccess_token\s*=|\bcredentials\s*="),
    ),
    Rule("list", "Taking one from a list moves all behind it: use for_each, over a map.", lists),
    Rule("teardown", "`keep` is given by hand for a teardown, and never by a file.", unprotected_environment),
    Rule("provider", "The providers are google and google-beta `~> 8.0`, and no others.", floating_provider),
)


def broken_rules(folder: Path) -> Iterator[tuple[str, str]]:
    """(name of the rule, message) of all that is wrong below a folder, its tests left out."""
    for path in sorted([*folder.rglob("*.tf"), *folder.rglob("*.tfvars"), *folder.rglob("*.hcl")]):
        if {"tests", ".terraform"} & set(path.relative_to(folder).parts) or path.name == ".terraform.lock.hcl":
            continue
        file = read(path)
        for rule in RULES:
            for place in rule.broken(file):
                yield rule.name, f"{path.relative_to(folder)}: {place}: {rule.why}"

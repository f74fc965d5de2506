"""The wire vectors of ``sdk/vectors``, which the server's own code made: this client reads each as it should."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from coditect_license import ConfigurationError, InvalidKey, InvalidRequest, Refusal, ServerUnreachable, SessionGone
from coditect_license._errors import UnknownSession, VerificationFailed
from coditect_license._exchange import Reply, Request
from coditect_license._identity import checked_id
from coditect_license._key import parse_key
from coditect_license._refusals import read_refusal
from coditect_license._roots import load_roots
from coditect_license._verify import ExpectedToken, hw_of, verify_refusal, verify_token
from coditect_license.testing import InMemoryServer
from coditect_license.testing._handles import HandleContents, holder_of, mint_handle, open_handle
from coditect_license.testing._problems import PROBLEMS
from coditect_license.testing._requests import READERS, BadRequest, read_body
from coditect_license.testing._signing import jwk_set
from coditect_license.testing._test_keys import HANDLE_KEY, HANDLE_KEY_VERSION, ROOT_PEM

from .shared import shared

DIRECTORY = shared("sdk/vectors")
VERSION = 1
KINDS = ("certificates", "fingerprints", "handles", "jwks", "keys", "refusals", "tokens")
TEST_KEYS = json.loads((DIRECTORY / "test-keys.json").read_text("utf-8"))

Json = dict[str, Any]


def read_file(kind: str) -> Json:
    file: Json = json.loads((DIRECTORY / f"{kind}.json").read_text("utf-8"))
    assert (file["version"], file["kind"]) == (VERSION, kind)
    return file


FILES = {kind: read_file(kind) for kind in KINDS}
ALL = [
    pytest.param(kind, vector, id=f"{kind}: {vector['name']}") for kind in KINDS for vector in FILES[kind]["vectors"]
]


def outcome_of(kind: str, given: Json, vector: Json) -> Json:
    """What this client makes of a vector, in the words of the vectors."""
    return OUTCOMES[kind](given, vector["input"])


def _key(_: Json, entry: Json) -> Json:
    try:
        key = parse_key(entry["text"])
    except InvalidKey as error:
        return {"outcome": "refused", "problem": "mistyped" if "mistyped" in str(error) else "malformed"}
    return {"outcome": "accepted", "key": key.text, "number": key.number}


def _fingerprint(_: Json, entry: Json) -> Json:
    ids = {name: entry[name] for name in ("hardware_id", "instance_id") if name in entry}
    try:
        for name, value in ids.items():
            checked_id(name, value)
    except ConfigurationError as error:
        said = re.search(r"must be [^.]*", str(error))
        return {"outcome": "refused", "problem": said.group() if said else str(error)}
    license_, hardware = entry["license"], entry["hardware_id"]
    outcome = {"outcome": "accepted", "hw": hw_of(license_, hardware), "holder": holder_of(license_, hardware)}
    if "instance_id" in entry:
        outcome["process_holder"] = holder_of(license_, hardware, entry["instance_id"])
    return outcome


def _handle(_: Json, entry: Json) -> Json:
    keys = {TEST_KEYS[name]["version"]: bytes.fromhex(TEST_KEYS[name]["key"]) for name in entry["keys"]}
    contents = open_handle(entry["text"], keys)
    if contents is None:
        return {"outcome": "refused", "problem": "token_invalid"}
    return {"outcome": "accepted", **said_of(contents)}


def said_of(contents: HandleContents) -> Json:
    from coditect_license._jws import base64url

    return {
        "tenant": str(contents.tenant),
        "license": contents.license,
        "pool": contents.pool,
        "pool_id": str(contents.pool_id),
        "seat": contents.seat,
        "session": str(contents.session),
        "hw": base64url(contents.hw),
    }


def _jwks(_: Json, entry: Json) -> Json:
    try:
        keys = load_roots(entry["text"])
    except ConfigurationError:
        return {"outcome": "refused", "problem": "roots"}
    return {"outcome": "accepted", "kids": [key.kid for key in keys]}


def _expected(given: Json, entry: Json, audience: str, hw: str) -> ExpectedToken:
    roots = load_roots(given["roots"][entry["roots"]])
    return ExpectedToken(roots, entry["issuer"], audience, entry["license"], hw)


def _failed(error: VerificationFailed) -> Json:
    return {"kind": error.kind.removeprefix("license "), "check": error.check}


def _token(given: Json, entry: Json) -> Json:
    expected = _expected(given, entry, entry["audience"], hw_of(entry["license"], entry["hardware_id"]))
    try:
        claims = verify_token(entry["token"], entry["certificate"], expected, entry["nonce"], entry["now"])
    except VerificationFailed as error:
        return {"outcome": "refused", **_failed(error)}
    said = {name: value for name, value in vars(claims).items() if value is not None}
    return {"outcome": "accepted", "claims": said}


def _refusal(given: Json, entry: Json) -> Json:
    expected = _expected(given, entry, "", "")
    request = Request(f"/api/v1/licenses/{entry['operation']}", None, nonce=entry["nonce"])
    reply = Reply(entry["status"], json.dumps(entry["body"]).encode(), entry["headers"], sent_at=0.0)
    error = read_refusal(reply, entry["body"], request, expected, entry["now"])
    if isinstance(error, InvalidRequest):
        return {"outcome": "invalid", "fields": [field for field, _ in error.errors]}
    if isinstance(error, UnknownSession):
        return {"outcome": "unknown_session"}
    if isinstance(error, ServerUnreachable):
        outcome: Json = {"outcome": "unreachable", **_why_not_believed(entry, expected)}
        return outcome if error.retry_after is None else outcome | {"retry_after": int(error.retry_after)}
    assert isinstance(error, Refusal)
    reason = {"reason": error.reason} if isinstance(error, SessionGone) else {}
    return {"outcome": "refused", "code": error.code, **reason}


def _why_not_believed(entry: Json, expected: ExpectedToken) -> Json:
    body, status = entry["body"], entry["status"]
    if not 401 <= status <= 410 or status == 408 or not isinstance(body.get("code"), str):
        return {}
    try:
        signed = verify_refusal(body.get("refusal"), body.get("certificate"), expected, entry["nonce"], entry["now"])
    except VerificationFailed as error:
        return {"failed": _failed(error)}
    return {"changed": next(name for name in ("code", "reason") if signed.get(name) != body.get(name))}


OUTCOMES = {
    "certificates": _token,
    "fingerprints": _fingerprint,
    "handles": _handle,
    "jwks": _jwks,
    "keys": _key,
    "refusals": _refusal,
    "tokens": _token,
}


@pytest.mark.parametrize(("kind", "vector"), ALL)
def test_every_vector_has_its_outcome(kind: str, vector: Json) -> None:
    assert outcome_of(kind, FILES[kind]["given"], vector) == vector["expect"]


@pytest.mark.parametrize(("kind", "vector"), ALL)
def test_a_planted_wrong_outcome_is_found(kind: str, vector: Json) -> None:
    """A checker that took everything for right would be green as well."""
    found = outcome_of(kind, FILES[kind]["given"], vector)
    own = vector["expect"]
    assert found != {"outcome": "refused" if own["outcome"] == "accepted" else "accepted"}
    for member, value in own.items():
        planted = copy.deepcopy(own)
        planted[member] = f"{value}x" if isinstance(value, str) else [value]
        assert found != planted, member


def test_there_is_no_file_that_nobody_checks() -> None:
    names = {path.stem for path in DIRECTORY.glob("*.json")}
    assert names == {*KINDS, "test-keys"}


def test_the_keys_of_the_wheel_are_those_of_the_vectors() -> None:
    assert TEST_KEYS["root"]["private_key"].encode() == ROOT_PEM
    assert jwk_set()["keys"][0]["kid"] == TEST_KEYS["root"]["kid"]
    assert (HANDLE_KEY_VERSION, HANDLE_KEY.hex()) == (TEST_KEYS["handles"]["version"], TEST_KEYS["handles"]["key"])


def test_the_double_makes_handles_as_the_server_does() -> None:
    vector = FILES["handles"]["vectors"][0]
    contents = open_handle(vector["input"]["text"])
    assert contents is not None and mint_handle(contents) == vector["input"]["text"]


# The double refuses exactly what the vectors say, in the same words.

REPLIES = {vector["name"]: vector["input"] for vector in FILES["refusals"]["vectors"] if "base" not in vector}
DETAIL_OF_THE_REQUEST = (
    "method_not_allowed",
    "not_found",
    "payload_too_large",
    "rate_limited",
    "request_timeout",
    "unsupported_media_type",
)
"""Their sentences depend on the request, which is not beside them."""


def test_the_double_has_the_codes_of_the_vectors_and_no_others() -> None:
    assert set(PROBLEMS) == {entry["body"]["code"] for entry in REPLIES.values()}


@pytest.mark.parametrize("name", REPLIES)
def test_the_double_knows_every_code_and_says_it_with_the_same_words(name: str) -> None:
    entry = REPLIES[name]
    body, headers = entry["body"], entry["headers"]
    row = PROBLEMS[body["code"]]
    server = InMemoryServer()
    beside = ("type", "title", "status", "code", "detail", "refusal", "certificate", "request_id")
    members = {member: value for member, value in body.items() if member not in beside}
    if "retry-after" in headers and row.retry_after is None:
        members["retry_after"] = int(headers["retry-after"])
    is_seated = entry["operation"] == "heartbeat"
    answer = server.problem(entry["status"], body["code"], members, nonce=entry["nonce"], is_seated=is_seated)
    said = answer.json()
    assert (said["title"], said["status"]) == (body["title"], body["status"])
    if body["code"] not in DETAIL_OF_THE_REQUEST:
        assert said["detail"] == body["detail"]
    for header in ("content-type", "www-authenticate"):
        assert answer.headers.get(header) == headers.get(header)
    if body["code"] != "rate_limited":  # after how long is another number for each limit
        assert answer.headers.get("retry-after") == headers.get("retry-after")
    assert {member: said[member] for member in members if member != "retry_after"} == {
        member: value for member, value in members.items() if member != "retry_after"
    }
    unsigned = ("token_invalid",)
    assert ("refusal" in said) == ("refusal" in body) or body["code"] in unsigned


@pytest.mark.parametrize("vector", FILES["keys"]["vectors"], ids=lambda vector: str(vector["name"]))
def test_the_double_reads_keys_as_the_server_does(vector: Json) -> None:
    request = {"license_key": vector["input"]["text"], "hardware_id": "machine-0001"}
    if vector["expect"]["outcome"] == "accepted":
        assert read_body("validate", json.dumps(request).encode()) == request
        return
    with pytest.raises(BadRequest) as caught:
        read_body("validate", json.dumps(request).encode())
    problem = caught.value.members["errors"][0]
    assert (caught.value.status, problem["field"]) == (422, "license_key")
    mistyped = vector["expect"]["problem"] == "mistyped"
    assert (problem["problem"] == "mistyped") == mistyped


@pytest.mark.parametrize("vector", FILES["fingerprints"]["vectors"], ids=lambda vector: str(vector["name"]))
def test_the_double_reads_ids_as_the_server_does(vector: Json) -> None:
    problems = []
    for name in ("hardware_id", "instance_id"):
        try:
            READERS[name](vector["input"].get(name, "machine-0001"))
        except ValueError as error:
            problems.append(str(error))
    assert problems == [vector["expect"]["problem"]] if "problem" in vector["expect"] else problems == []

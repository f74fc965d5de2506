"""Each check of PROTOCOL section 8 fails on its own, by its name, and in its order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coditect_license import VerificationFailed
from coditect_license._roots import load_roots
from coditect_license._verify import ExpectedToken, hw_of, verify_refusal, verify_token

from .fake_server import ISSUER, NUMBER, OTHER_ROOT, ROOTS, Signer, b64, token_claims

NOW = 1_795_700_000
NONCE = "n" * 22
MACHINE = "machine-0001"
EXPECTED = ExpectedToken(load_roots(ROOTS), ISSUER, "studio", NUMBER, hw_of(NUMBER, MACHINE))
SIGNER = Signer(NOW)


def claims(**changes: Any) -> dict[str, Any]:
    return token_claims(NOW, hardware_id=MACHINE, nonce=NONCE) | changes


def failed(
    token: object, certificate: object = SIGNER.certificate, *, nonce: str | None = NONCE, now: float = NOW
) -> tuple[str, str]:
    with pytest.raises(VerificationFailed) as caught:
        verify_token(token, certificate, EXPECTED, nonce, now)
    return caught.value.kind, caught.value.check


def test_a_good_token_is_believed_and_read() -> None:
    believed = verify_token(SIGNER.token(claims()), SIGNER.certificate, EXPECTED, NONCE, NOW)
    assert (believed.seat, believed.features["cloud"], believed.exp) == (0, True, NOW + 355)


def test_the_machines_hash_is_the_servers() -> None:
    # Taken from a token of the real server for this license number and the hardware id "my-laptop-0001".
    assert hw_of("1XTSA1CTX2VZP", "my-laptop-0001") == "-wNvbALiXS3UA6GCtEP26Y_WN-o4aQGYD4by2NyUVG0"


def _resigned(text: str) -> str:
    return text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")


BAD_TOKENS: dict[str, tuple[Callable[[], object], str]] = {
    "too long": (lambda: SIGNER.token(claims(features={"x": "y" * 16384})), "size"),
    "no text": (lambda: None, "form"),
    "not three parts": (lambda: "a.b", "form"),
    "no base64url": (lambda: SIGNER.token(claims()).replace(".", ".*", 1), "form"),
    "a fourth header member": (lambda: SIGNER.token(claims(), crit=["exp"]), "form"),
    "another kind": (lambda: SIGNER.token(claims(), typ="license-refusal+jwt"), "typ"),
    "no algorithm": (lambda: SIGNER.token(claims(), alg="none"), "algorithm"),
    "another algorithm": (lambda: SIGNER.token(claims(), alg="HS256"), "algorithm"),
    "a claim missing": (lambda: SIGNER.token({k: v for k, v in claims().items() if k != "hw"}), "form"),
    "a truth for a number": (lambda: SIGNER.token(claims(seat=True)), "form"),
    "longer than certified": (lambda: SIGNER.token(claims(exp=NOW + 901)), "ttl"),
    "ends before it begins": (lambda: SIGNER.token(claims(exp=NOW - 1)), "ttl"),
    "more grace than certified": (lambda: SIGNER.token(claims(offline_until=NOW + 604801)), "grace"),
    "an uncertified key": (lambda: Signer(NOW).token(claims()), "key"),
    "a changed signature": (lambda: _resigned(SIGNER.token(claims())), "signature"),
    "another issuer": (lambda: SIGNER.token(claims(iss="https://other.example.com")), "issuer"),
    "another product": (lambda: SIGNER.token(claims(aud="other")), "audience"),
    "another request": (lambda: SIGNER.token(claims(nonce="m" * 22)), "nonce"),
    "no nonce": (lambda: SIGNER.token({k: v for k, v in claims().items() if k != "nonce"}), "nonce"),
    "another machine": (lambda: SIGNER.token(claims(hw=hw_of(NUMBER, "machine-0002"))), "hw"),
    "another license": (lambda: SIGNER.token(claims(license="0" * 13)), "license"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_fails_by_the_name_of_its_check(name: str) -> None:
    make, check = BAD_TOKENS[name]
    assert failed(make()) == ("license token", check)


BAD_CERTIFICATES: dict[str, tuple[Callable[[], Signer], str]] = {
    "another root": (lambda: Signer(NOW, OTHER_ROOT), "key"),
    "another issuer": (lambda: Signer(NOW, issuer="https://other.example.com"), "issuer"),
    "over": (lambda: Signer(NOW, nbf=NOW - 1000, exp=NOW), "validity"),
    "not begun": (lambda: Signer(NOW, nbf=NOW + 1, exp=NOW + 1000), "validity"),
    "lives more than a day": (lambda: Signer(NOW, nbf=NOW, exp=NOW + 86401), "validity"),
    "a key of another kind": (lambda: Signer(NOW, cnf={"jwk": {"kty": "RSA"}}), "form"),
}


@pytest.mark.parametrize("name", BAD_CERTIFICATES)
def test_a_bad_certificate_fails_by_the_name_of_its_check(name: str) -> None:
    make, check = BAD_CERTIFICATES[name]
    signer = make()
    assert failed(signer.token(claims()), signer.certificate) == ("certificate", check)


def test_a_certificate_with_a_pinned_name_and_another_signature_is_refused() -> None:
    _, said, signature = Signer(NOW, OTHER_ROOT).certificate.split(".")
    pinned = b64(json.dumps({"alg": "RS256", "typ": "license-cert+jwt", "kid": ROOTS["keys"][0]["kid"]}).encode())
    assert failed(SIGNER.token(claims()), f"{pinned}.{said}.{signature}") == ("certificate", "signature")


def test_the_order_is_the_protocols_the_first_failing_check_is_named() -> None:
    everything = claims(iss="x", aud="x", hw="x", exp=NOW + 10**6)
    assert failed(SIGNER.token(everything, typ="x", alg="none"))[1] == "typ"
    assert failed(SIGNER.token(everything, alg="none"))[1] == "algorithm"
    assert failed(SIGNER.token(everything), Signer(NOW, OTHER_ROOT).certificate) == ("certificate", "key")
    assert failed(SIGNER.token(everything))[1] == "ttl"
    everything["exp"] = NOW + 355
    assert failed(_resigned(SIGNER.token(everything)))[1] == "signature"
    for check, good in {"issuer": {"iss": ISSUER}, "audience": {"aud": "studio"}, "hw": {"hw": EXPECTED.hw}}.items():
        assert failed(SIGNER.token(everything))[1] == check
        everything |= good


def test_with_a_nonce_a_clock_may_be_hours_wrong_and_no_more_than_a_day() -> None:
    token = SIGNER.token(claims())
    for wrong in (-86400, -3600, 3600, 86400):
        assert verify_token(token, SIGNER.certificate, EXPECTED, NONCE, NOW + wrong).iat == NOW
    assert failed(token, now=NOW + 86401)[1] == "expired"
    assert failed(token, now=NOW - 86401)[1] == "not_yet_valid"


def test_a_kept_token_is_good_until_its_grace_is_over_and_not_before_it_was_signed() -> None:
    token = SIGNER.token(claims())
    assert verify_token(token, SIGNER.certificate, EXPECTED, None, NOW + 86399).iat == NOW
    assert failed(token, nonce=None, now=NOW + 86400)[1] == "expired"
    assert failed(token, nonce=None, now=NOW - 61)[1] == "not_yet_valid"


def test_a_kept_token_is_never_good_past_the_licenses_term() -> None:
    token = SIGNER.token(claims(license_exp=NOW + 100))
    assert failed(token, nonce=None, now=NOW + 100)[1] == "expired"


def refusal(**changes: Any) -> str:
    said = {"iss": ISSUER, "iat": NOW, "exp": NOW + 60, "nonce": NONCE, "code": "license_suspended", "license": NUMBER}
    return SIGNER.refusal(said | changes)


def test_a_signed_refusal_of_this_request_is_believed() -> None:
    assert verify_refusal(refusal(), SIGNER.certificate, EXPECTED, NONCE, NOW)["code"] == "license_suspended"


@pytest.mark.parametrize(
    ("text", "check"),
    [
        (refusal(nonce="m" * 22), "nonce"),
        (refusal(iss="x"), "issuer"),
        (refusal(license="0" * 13), "license"),
        (refusal(exp=NOW + 61), "ttl"),
        (refusal(code=7), "form"),
        (refusal(reason=7), "form"),
        (_resigned(refusal()), "signature"),
        (SIGNER.token(claims()), "typ"),
        (None, "form"),
    ],
)
def test_a_refusal_is_checked_as_a_token_is(text: object, check: str) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify_refusal(text, SIGNER.certificate, EXPECTED, NONCE, NOW)
    assert (caught.value.kind, caught.value.check) == ("refusal", check)


def test_no_garbage_gets_past_the_checks_as_anything_but_a_failed_check() -> None:
    nested = b64(b"[" * 5000)
    huge = b64(b'{"iat":' + b"9" * 5000 + b"}")
    garbage: tuple[object, ...] = (
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        f"{nested}.{nested}.",
        f"{huge}.{huge}.",
        "é.é.é",
        7,
        [],
        {},
        b"a.b.c",
    )
    for text in garbage:
        assert failed(text) == ("license token", "form"), text
        check = "size" if isinstance(text, str) and len(text) > 4096 else "form"
        assert failed(SIGNER.token(claims()), text) == ("certificate", check)

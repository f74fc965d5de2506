//! What the reference makes of a vector. A checker in another language does the same.

use crate::plain::{handle_outcome, jwks_outcome};
use license_core::domain::{
    id::{ClientPart, Holder, Hw, LicenseNumber, Nonce},
    key::{KeyError, LicenseKey},
    token::{
        ExpectedRefusal, ExpectedToken, JwsKind, PublicKeySet, RootKey, TokenCheck, VerifyError, verify, verify_refusal,
    },
};
use serde_json::{Value, json};

pub(crate) fn vectors(file: &Value) -> impl Iterator<Item = &Value> {
    file["vectors"].as_array().unwrap().iter()
}

/// Whether a vector has the outcome that it names.
///
/// # Errors
/// What came instead.
pub(crate) fn check(file: &Value, vector: &Value) -> Result<(), String> {
    let found = outcome(file, &vector["input"]);
    if found == vector["expect"] { Ok(()) } else { Err(format!("{found} and not {}", vector["expect"])) }
}

fn outcome(file: &Value, input: &Value) -> Value {
    let text = || input["text"].as_str().unwrap();
    match file["kind"].as_str().unwrap() {
        "keys" => key_outcome(text()),
        "fingerprints" => fingerprint_outcome(input),
        "handles" => handle_outcome(text(), &input["keys"]),
        "jwks" => jwks_outcome(text()),
        "certificates" | "tokens" => token_outcome(file, input),
        "refusals" => refusal_outcome(&file["given"]["roots"], input),
        kind => panic!("nobody checks {kind}"),
    }
}

pub(crate) fn key_outcome(text: &str) -> Value {
    let refused = |problem| json!({ "outcome": "refused", "problem": problem });
    match LicenseKey::parse(text) {
        Ok(key) => json!({ "outcome": "accepted", "key": key.reveal(), "number": key.number().to_string() }),
        Err(KeyError::Malformed) => refused("malformed"),
        Err(KeyError::Mistyped) => refused("mistyped"),
    }
}

pub(crate) fn fingerprint_outcome(input: &Value) -> Value {
    let license: LicenseNumber = input["license"].as_str().unwrap().parse().unwrap();
    let part = |name: &str| input[name].as_str().map(str::parse::<ClientPart>).transpose();
    match (part("hardware_id"), part("instance_id")) {
        (Ok(hardware), Ok(instance)) => {
            let hardware = hardware.unwrap();
            let (hw, holder) = (Hw::of(license, &hardware), Holder::machine(license, &hardware));
            let mut outcome = json!({ "outcome": "accepted", "hw": hw.to_string(), "holder": holder.to_string() });
            if let Some(instance) = instance {
                outcome["process_holder"] = Holder::process(license, &hardware, &instance).to_string().into();
            }
            outcome
        }
        (Err(problem), _) | (_, Err(problem)) => json!({ "outcome": "refused", "problem": problem.0 }),
    }
}

fn roots(sets: &Value, input: &Value) -> Vec<RootKey> {
    let set = sets[input["roots"].as_str().unwrap()].clone();
    serde_json::from_value::<PublicKeySet>(set).unwrap().keys
}

/// What a client makes of a token and the certificate beside it.
pub(crate) fn token_outcome(file: &Value, input: &Value) -> Value {
    let text = |name: &str| input[name].as_str().unwrap();
    let (license, hardware): (LicenseNumber, ClientPart) =
        (text("license").parse().unwrap(), text("hardware_id").parse().unwrap());
    let nonce: Option<Nonce> = input["nonce"].as_str().map(|nonce| nonce.parse().unwrap());
    let hw = Hw::of(license, &hardware);
    let expected = ExpectedToken { issuer: text("issuer"), audience: text("audience"), nonce: nonce.as_ref(), hw: &hw };
    let (roots, now) = (roots(&file["given"]["roots"], input), input["now"].as_i64().unwrap());
    match verify(text("token"), text("certificate"), &roots, &expected, now) {
        Ok(claims) => json!({ "outcome": "accepted", "claims": claims }),
        Err(error) => {
            let mut outcome = failed(&error);
            outcome["outcome"] = "refused".into();
            outcome
        }
    }
}

fn failed(error: &VerifyError) -> Value {
    let kind = match error.kind {
        JwsKind::Token => "token",
        JwsKind::Certificate => "certificate",
        JwsKind::Refusal => "refusal",
    };
    let check = match error.check {
        TokenCheck::Size => "size",
        TokenCheck::Form => "form",
        TokenCheck::Typ => "typ",
        TokenCheck::Algorithm => "algorithm",
        TokenCheck::Key => "key",
        TokenCheck::Signature => "signature",
        TokenCheck::Validity => "validity",
        TokenCheck::Ttl => "ttl",
        TokenCheck::Grace => "grace",
        TokenCheck::Issuer => "issuer",
        TokenCheck::Audience => "audience",
        TokenCheck::Nonce => "nonce",
        TokenCheck::Hw => "hw",
        TokenCheck::License => "license",
        TokenCheck::NotYetValid => "not_yet_valid",
        TokenCheck::Expired => "expired",
    };
    json!({ "kind": kind, "check": check })
}

/// What a client makes of a reply that grants nothing. `sets` are the sets of root keys by their names.
pub(crate) fn refusal_outcome(sets: &Value, input: &Value) -> Value {
    let (body, status) = (&input["body"], input["status"].as_u64().unwrap());
    let unreachable = || {
        let mut outcome = json!({ "outcome": "unreachable" });
        if let Some(seconds) = input["headers"]["retry-after"].as_str() {
            outcome["retry_after"] = seconds.parse::<u64>().unwrap().into();
        }
        outcome
    };
    let Some(code) = body["code"].as_str() else { return unreachable() };
    if [400, 413, 415, 422].contains(&status) {
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let fields: Vec<_> = errors.iter().map(|error| &error["field"]).collect();
        return json!({ "outcome": "invalid", "fields": fields });
    }
    // 408: the connection was too slow for the request to arrive.
    if !(401..=410).contains(&status) || status == 408 {
        return unreachable();
    }
    let mut refused = json!({ "outcome": "refused", "code": code });
    if let Some(reason) = body["reason"].as_str() {
        refused["reason"] = reason.into();
    }
    let Some(nonce) = input["nonce"].as_str() else { return refused };
    if code == "token_invalid" && body["refusal"].is_null() {
        return json!({ "outcome": "unknown_session" });
    }
    let (nonce, license): (Nonce, LicenseNumber) =
        (nonce.parse().unwrap(), input["license"].as_str().unwrap().parse().unwrap());
    let expected = ExpectedRefusal { issuer: input["issuer"].as_str().unwrap(), nonce: &nonce, license };
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let roots = roots(sets, input);
    match verify_refusal(text("refusal"), text("certificate"), &roots, &expected, input["now"].as_i64().unwrap()) {
        Err(error) => {
            let mut outcome = unreachable();
            outcome["failed"] = failed(&error);
            outcome
        }
        Ok(claims) if claims.code != code => changed(unreachable(), "code"),
        Ok(claims) if claims.reason.as_deref() != body["reason"].as_str() => changed(unreachable(), "reason"),
        Ok(_) => refused,
    }
}

/// What is written beside a signature does not agree with it.
fn changed(mut outcome: Value, member: &str) -> Value {
    outcome["changed"] = member.into();
    outcome
}

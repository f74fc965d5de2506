//! Replies that refuse: the problem documents of the services, signed as they sign them, and what others could send.

use crate::{
    check::refusal_outcome,
    maker::VectorFile,
    world::{ISSUER, LICENSE, NONCE, NOW, World, claims_of, forge, license, session},
};
use axum::response::IntoResponse;
use http_body_util::BodyExt;
use license_core::domain::{license::LicenseFacts, token::RefusalClaims};
use license_functions::acquire::samples::{ProblemSample, problem_samples};
use serde_json::{Map, Value, json};

fn facts() -> LicenseFacts {
    let facts = json!({
        "tenant": "01a21790-2ef2-76bd-b055-8c17ade36ae8",
        "number": LICENSE,
        "product": "studio",
        "tier": "pro",
        "seats_total": 5,
        "features": {},
        "expires_at": null,
        "offline": { "policy": "none" },
        "facts_version": 4,
    });
    serde_json::from_value(facts).unwrap()
}

/// A sample as it goes over the wire, signed where the services sign it.
async fn reply(world: &World, sample: ProblemSample) -> Value {
    let ProblemSample { operation, problem, .. } = sample;
    let is_signed = operation != "validate" && (401..=410).contains(&problem.status());
    // A handle of nobody belongs to no license, and a slow body was not read.
    let is_signed = is_signed && !["token_invalid", "request_timeout"].contains(&problem.code().as_str());
    let problem = if is_signed {
        let of_session = (operation == "heartbeat").then(session);
        let nonce = NONCE.parse().unwrap();
        let claims = RefusalClaims::new(ISSUER, NOW, nonce, problem.code(), problem.reason(), license(), of_session);
        let refusal = world.instance.key.sign_refusal(&claims).unwrap();
        problem.with_refusal(&refusal, world.instance.key.certificate())
    } else {
        problem
    };
    let response = problem.into_response();
    let headers: Map<String, Value> =
        response.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    json!({
        "operation": operation,
        "nonce": (operation != "validate").then_some(NONCE),
        "issuer": ISSUER,
        "license": LICENSE,
        "roots": "pinned",
        "now": NOW + 1,
        "status": status,
        "headers": headers,
        "body": body,
    })
}

pub(crate) async fn refusals(world: &World) -> VectorFile {
    let mut file = VectorFile::new(
        "refusals",
        "Replies to acquire, heartbeat and validate that refuse. What carries no signature of the server's counts as no \
         answer, except where nothing is decided by it.",
    );
    file.give("roots", world.roots());
    let roots = world.roots();
    let mut kicked = Value::Null;
    for sample in problem_samples(&facts(), session(), NOW * 1000) {
        let name = sample.name;
        let input = reply(world, sample).await;
        file.base(name, &input, &refusal_outcome(&roots, &input));
        if name == "kicked" {
            kicked = input;
        }
    }
    let mut bad = |changed: &str, input: &Value| {
        file.changed("kicked", changed, input, &refusal_outcome(&roots, input));
    };
    for (changed, input) in replies_of_others(world, &kicked) {
        bad(changed, &input);
    }
    file
}

/// What somebody between the client and the server could make of a refusal.
fn replies_of_others(world: &World, kicked: &Value) -> Vec<(&'static str, Value)> {
    let body = |member: &str, value: Value| {
        let mut input = kicked.clone();
        input["body"][member] = value;
        input
    };
    let without = |member: &str| {
        let mut input = kicked.clone();
        input["body"].as_object_mut().unwrap().remove(member);
        input
    };
    let given = |member: &str, value: Value| {
        let mut input = kicked.clone();
        input[member] = value;
        input
    };
    let claims = claims_of(kicked["body"]["refusal"].as_str().unwrap());
    let header = json!({ "alg": "EdDSA", "typ": "license-refusal+jwt", "kid": world.instance.key.kid() });
    let forged = |header: &Value, claims: &Value| {
        body("refusal", forge(header, claims, |text| world.instance.sign(text)).into())
    };
    let claim = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        forged(&header, &claims)
    };
    let mut token_header = header.clone();
    token_header["typ"] = "license-token+jwt".into();
    vec![
        ("no signature", without("refusal")),
        ("no certificate", without("certificate")),
        ("another code than the signed one", body("code", "license_revoked".into())),
        ("another reason than the signed one", body("reason", "expired".into())),
        ("no reason beside the signed one", without("reason")),
        ("a code that is no text", body("code", 410.into())),
        ("no code", without("code")),
        ("a signature over another nonce", claim("nonce", "b3RoZXItYnl0ZXMtaGVyZQ".into())),
        ("a signature of another issuer", claim("iss", "https://licenses.example.net".into())),
        ("a signature about another license", claim("license", "752KJY5EZQ1CX".into())),
        ("a signature that is good for longer than a minute", claim("exp", (NOW + 61).into())),
        ("a signature without its code", claim("code", Value::Null)),
        ("the typ of a token", forged(&token_header, &claims)),
        ("signed by another key", {
            let text = forge(&header, &claims, |text| world.other_instance.sign(text));
            body("refusal", text.into())
        }),
        ("the client pins another root", given("roots", "other".into())),
        ("the client asked with another nonce", given("nonce", "b3RoZXItYnl0ZXMtaGVyZQ".into())),
        ("the client's clock is more than a day ahead", given("now", (NOW + 86_401).into())),
        ("the client's clock is more than a day behind", given("now", (NOW - 86_401).into())),
        ("another status, which is nobody's refusal", given("status", 503.into())),
    ]
}

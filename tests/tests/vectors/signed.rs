//! Certificates and tokens: good ones that the server's own signer made, and forged ones that differ in one thing.

use crate::{
    check::token_outcome,
    maker::VectorFile,
    world::{HARDWARE, ISSUER, LICENSE, NONCE, NOW, PRODUCT, World, b64, claims_of, forge, token_claims},
};
use license_core::domain::token::TokenClaims;
use serde_json::{Value, json};

const DAY: i64 = 24 * 3600;
const FRESH: &str = "an answer to a request";
const KEPT: &str = "kept from an earlier run";

/// A file whose vectors are verified tokens.
struct TokenFile {
    file: VectorFile,
}

impl TokenFile {
    fn new(world: &World, kind: &'static str, about: &'static str) -> Self {
        let mut file = VectorFile::new(kind, about);
        file.give("roots", world.roots());
        Self { file }
    }

    fn outcome(&self, input: &Value) -> Value {
        let file: Value = serde_json::from_str(&self.file.text()).unwrap();
        token_outcome(&file, input)
    }

    fn base(&mut self, name: &str, input: &Value) {
        let expect = self.outcome(input);
        assert_eq!(expect["outcome"], "accepted", "{name}: {expect}");
        self.file.base(name, input, &expect);
    }

    /// The same as `base`, with `member` of the input replaced.
    fn changed(&mut self, (base, input): (&str, &Value), changed: &str, member: &str, value: Value) {
        let mut input = input.clone();
        input[member] = value;
        let expect = self.outcome(&input);
        self.file.changed(base, changed, &input, &expect);
    }
}

/// What a client knows and was sent.
fn input(world: &World, token: &str, nonce: Option<&str>) -> Value {
    json!({
        "token": token,
        "certificate": world.instance.key.certificate(),
        "roots": "pinned",
        "issuer": ISSUER,
        "audience": PRODUCT,
        "license": LICENSE,
        "hardware_id": HARDWARE,
        "nonce": nonce,
        "now": NOW + 1,
    })
}

fn good_token(world: &World, change: impl Fn(&mut TokenClaims)) -> String {
    let mut claims = token_claims();
    change(&mut claims);
    world.instance.key.sign_token(&claims).unwrap()
}

fn with(value: &Value, member: &str, other: Value) -> Value {
    let mut value = value.clone();
    value[member] = other;
    value
}

fn without(value: &Value, member: &str) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(member);
    value
}

/// The text with one character of its signature changed.
fn flipped_signature(jws: &str) -> String {
    let at = jws.rfind('.').unwrap() + 5;
    let other = if &jws[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &jws[..at], &jws[at + 1..])
}

/// Texts that every kind of JWS is refused for, whatever it says.
fn malformed(jws: &str) -> Vec<(&'static str, String)> {
    let (input, signature) = jws.rsplit_once('.').unwrap();
    vec![
        ("no text", String::new()),
        ("two parts", input.to_owned()),
        ("four parts", format!("{jws}.AAAA")),
        ("a padded signature", format!("{jws}==")),
        ("a blank at the end", format!("{jws} ")),
        ("a header that is not base64url", format!("!{}", &jws[1..])),
        ("a signature in the other base64", format!("{input}.+/{}", &signature[2..])),
        ("claims that are a list", with_claims(jws, "[]")),
        ("claims that are not JSON", with_claims(jws, "{")),
    ]
}

fn with_claims(jws: &str, claims: &str) -> String {
    let mut parts: Vec<_> = jws.split('.').map(str::to_owned).collect();
    parts[1] = b64(claims);
    parts.join(".")
}

pub(crate) fn tokens(world: &World) -> VectorFile {
    let mut file = TokenFile::new(
        world,
        "tokens",
        "License tokens with the certificate beside them. Those with a nonce answer a request; those without were kept.",
    );
    let fresh = input(world, &good_token(world, |_| ()), Some(NONCE));
    let kept = input(world, &good_token(world, |_| ()), None);
    file.base(FRESH, &fresh);
    file.base(KEPT, &kept);
    good_tokens(world, &mut file);
    token_forms(world, &mut file, &fresh);
    token_signatures(world, &mut file, &fresh);
    token_claims_changed(world, &mut file, &fresh);
    token_times(world, &mut file, &fresh, &kept);
    file.file
}

fn good_tokens(world: &World, file: &mut TokenFile) {
    let perpetual = good_token(world, |claims| claims.license_exp = None);
    file.base("a perpetual license", &input(world, &perpetual, Some(NONCE)));
    let plain = good_token(world, |claims| claims.offline_until = claims.exp);
    file.base("a license without grace", &input(world, &plain, Some(NONCE)));
    let claims = with(&serde_json::to_value(token_claims()).unwrap(), "colour", "green".into());
    let header = json!({ "alg": "EdDSA", "typ": "license-token+jwt", "kid": world.instance.key.kid() });
    let grown = forge(&header, &claims, |text| world.instance.sign(text));
    file.base("a claim that this version does not know", &input(world, &grown, Some(NONCE)));
    let mut both = input(world, &good_token(world, |_| ()), Some(NONCE));
    both["roots"] = "both".into();
    file.base("two roots are pinned", &both);
    for (name, seconds) in [("the client's clock is a day ahead", DAY), ("the client's clock is a day behind", -DAY)] {
        let mut input = input(world, &good_token(world, |_| ()), Some(NONCE));
        input["now"] = (NOW + seconds).into();
        file.base(name, &input);
    }
    for (name, now) in
        [("kept, in its last second", NOW + 72 * 3600 - 1), ("kept, by a clock a minute behind", NOW - 60)]
    {
        let mut input = input(world, &good_token(world, |_| ()), None);
        input["now"] = now.into();
        file.base(name, &input);
    }
}

fn token_forms(world: &World, file: &mut TokenFile, fresh: &Value) {
    let base = (FRESH, fresh);
    let good = fresh["token"].as_str().unwrap();
    for (changed, text) in malformed(good) {
        file.changed(base, changed, "token", text.into());
    }
    let sign = |header: &Value, claims: &Value| forge(header, claims, |text| world.instance.sign(text));
    let header = json!({ "alg": "EdDSA", "typ": "license-token+jwt", "kid": world.instance.key.kid() });
    let claims = serde_json::to_value(token_claims()).unwrap();
    file.changed(
        base,
        "larger than 16 KiB",
        "token",
        sign(&header, &with(&claims, "tier", "x".repeat(17_000).into())).into(),
    );
    file.changed(base, "a header with crit", "token", sign(&with(&header, "crit", json!(["b64"])), &claims).into());
    file.changed(base, "a header without kid", "token", sign(&without(&header, "kid"), &claims).into());
    for typ in ["license-refusal+jwt", "JWT", "License-Token+JWT", ""] {
        let text = sign(&with(&header, "typ", typ.into()), &claims);
        file.changed(base, &format!("typ is {typ:?}"), "token", text.into());
    }
    for alg in ["none", "HS256", "RS256", "eddsa"] {
        let text = sign(&with(&header, "alg", alg.into()), &claims);
        file.changed(base, &format!("alg is {alg:?}"), "token", text.into());
    }
    for (member, value) in [
        ("seat", json!("3")),
        ("exp", json!(NOW as f64 + 355.5)),
        ("iat", json!(true)),
        ("features", json!([])),
        ("hw", json!(7)),
        ("license_exp", json!("never")),
        ("nonce", json!(16)),
    ] {
        let text = sign(&header, &with(&claims, member, value));
        file.changed(base, &format!("{member} is of another type"), "token", text.into());
    }
    for member in [
        "iss",
        "aud",
        "iat",
        "exp",
        "session_id",
        "license",
        "seat",
        "hw",
        "tier",
        "features",
        "offline_until",
        "facts_version",
    ] {
        file.changed(base, &format!("{member} is missing"), "token", sign(&header, &without(&claims, member)).into());
    }
}

fn token_signatures(world: &World, file: &mut TokenFile, fresh: &Value) {
    let base = (FRESH, fresh);
    let good = fresh["token"].as_str().unwrap();
    let claims = serde_json::to_value(token_claims()).unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "license-token+jwt", "kid": world.instance.key.kid() });
    let other = world.other_instance.key.sign_token(&token_claims()).unwrap();
    file.changed(base, "signed by an instance whose certificate is not beside it", "token", other.into());
    let lie = forge(&header, &claims, |text| world.other_instance.sign(text));
    file.changed(base, "signed by another key under the right kid", "token", lie.into());
    let renamed = forge(&with(&header, "kid", "mine".into()), &claims, |text| world.instance.sign(text));
    file.changed(base, "another kid", "token", renamed.into());
    file.changed(base, "a character of the signature is another", "token", flipped_signature(good).into());
    file.changed(base, "an empty signature", "token", format!("{}.", good.rsplit_once('.').unwrap().0).into());
    let seat = with_claims(good, &with(&claims, "seat", 4.into()).to_string());
    file.changed(base, "another seat under the old signature", "token", seat.into());
}

fn token_claims_changed(world: &World, file: &mut TokenFile, fresh: &Value) {
    let base = (FRESH, fresh);
    let claims = serde_json::to_value(token_claims()).unwrap();
    let header = json!({ "alg": "EdDSA", "typ": "license-token+jwt", "kid": world.instance.key.kid() });
    let sign = |claims: &Value| Value::from(forge(&header, claims, |text| world.instance.sign(text)));
    for (changed, member, value) in [
        ("a lease of a second more than max_token_ttl", "exp", json!(NOW + 901)),
        ("a lease that ends before it begins", "exp", json!(NOW - 1)),
        ("grace of a second more than max_grace", "offline_until", json!(NOW + 7 * DAY + 1)),
        ("another issuer", "iss", json!("https://licenses.example.net")),
        ("another product", "aud", json!("studio-pro")),
        ("another nonce", "nonce", json!("b3RoZXItYnl0ZXMtaGVyZQ")),
        ("another machine", "hw", json!(b64([9; 32]))),
    ] {
        file.changed(base, changed, "token", sign(&with(&claims, member, value)));
    }
    file.changed(base, "no nonce", "token", sign(&without(&claims, "nonce")));
    for (changed, member, value) in [
        ("the client is another machine", "hardware_id", json!("machine-0002")),
        ("the client is of another product", "audience", json!("studio-pro")),
        ("the client asked with another nonce", "nonce", json!("b3RoZXItYnl0ZXMtaGVyZQ")),
        ("the client knows another issuer", "issuer", json!("https://licenses.example.net")),
        ("the client pins another root", "roots", json!("other")),
    ] {
        file.changed(base, changed, member, value);
    }
}

fn token_times(world: &World, file: &mut TokenFile, fresh: &Value, kept: &Value) {
    let (fresh, kept) = ((FRESH, fresh), (KEPT, kept));
    file.changed(fresh, "signed more than a day ago by the client's clock", "now", (NOW + DAY + 1).into());
    file.changed(fresh, "signed more than a day ahead of the client's clock", "now", (NOW - DAY - 1).into());
    file.changed(kept, "its grace is over", "now", (NOW + 72 * 3600).into());
    file.changed(kept, "signed more than a minute ahead of the client's clock", "now", (NOW - 61).into());
    let ended = good_token(world, |claims| claims.license_exp = Some(NOW + 1));
    file.changed(kept, "the term of the license is over", "token", ended.into());
    let plain = good_token(world, |claims| claims.offline_until = NOW + 1);
    let lease = with(kept.1, "token", plain.clone().into());
    file.base("kept without grace, in its lease", &lease);
    file.changed(("kept without grace, in its lease", &lease), "its lease is over", "now", (NOW + 355).into());
}

pub(crate) fn certificates(world: &World) -> VectorFile {
    let mut file = TokenFile::new(
        world,
        "certificates",
        "Certificates of instance keys, each beside a token that is good under a good certificate.",
    );
    let base = "a certificate of a pinned root";
    let input = input(world, &good_token(world, |_| ()), Some(NONCE));
    file.base(base, &input);
    let base = (base, &input);
    let good = world.instance.key.certificate();
    for (changed, text) in malformed(good) {
        file.changed(base, changed, "certificate", text.into());
    }
    let claims = claims_of(good);
    let header = json!({ "alg": "RS256", "typ": "license-cert+jwt", "kid": world.root.public.kid() });
    let sign = |header: &Value, claims: &Value| forge(header, claims, |text| world.root.sign(text));
    let mut bad = |changed: &str, header: &Value, claims: &Value| {
        file.changed(base, changed, "certificate", sign(header, claims).into());
    };
    bad("larger than 4 KiB", &header, &with(&claims, "more", "x".repeat(4_000).into()));
    bad("a header with jku", &with(&header, "jku", "https://example.net".into()), &claims);
    bad("typ of a token", &with(&header, "typ", "license-token+jwt".into()), &claims);
    bad("another algorithm", &with(&header, "alg", "PS256".into()), &claims);
    bad("no algorithm", &with(&header, "alg", "none".into()), &claims);
    bad("a kid that nobody pinned", &with(&header, "kid", "mine".into()), &claims);
    bad("another issuer", &header, &with(&claims, "iss", "https://licenses.example.net".into()));
    bad("it begins after the token was signed", &header, &with(&claims, "nbf", (NOW + 1).into()));
    bad("it ended when the token was signed", &header, &with(&claims, "exp", NOW.into()));
    bad("it lives longer than a day", &header, &with(&claims, "exp", (NOW - 60 + DAY + 1).into()));
    bad("shorter leases than the token's", &header, &with(&claims, "max_token_ttl", 354.into()));
    bad("less grace than the token's", &header, &with(&claims, "max_grace", (72 * 3600 - 1).into()));
    bad("a text as time", &header, &with(&claims, "exp", "tomorrow".into()));
    for member in ["iat", "nbf", "exp", "cnf", "max_token_ttl", "max_grace"] {
        bad(&format!("{member} is missing"), &header, &without(&claims, member));
    }
    for (changed, jwk) in [
        ("a key of another kind", json!({ "kty": "EC", "crv": "Ed25519", "x": b64([7; 32]) })),
        ("a key of another curve", json!({ "kty": "OKP", "crv": "X25519", "x": b64([7; 32]) })),
        ("a key of 31 bytes", json!({ "kty": "OKP", "crv": "Ed25519", "x": b64([7; 31]) })),
        ("another key than the token's", serde_json::to_value(&world.other_instance.jwk).unwrap()),
    ] {
        bad(changed, &header, &with(&claims, "cnf", json!({ "jwk": jwk })));
    }
    let other = forge(&header, &claims, |text| world.other_root.sign(text));
    file.changed(base, "signed by another root under the pinned kid", "certificate", other.into());
    file.changed(base, "a character of the signature is another", "certificate", flipped_signature(good).into());
    file.changed(base, "the token in its place", "certificate", input["token"].clone());
    file.changed(base, "the client pins another root", "roots", "other".into());
    file.file
}

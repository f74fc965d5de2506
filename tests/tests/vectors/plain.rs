//! What is not signed: keys, fingerprints, handles and sets of root keys.

use crate::{
    check::{fingerprint_outcome, key_outcome},
    maker::{VectorFile, refused},
    world::{HARDWARE, LICENSE, World, b64, bytes_of, hardware, license, session, test_keys},
};
use license_core::domain::{
    handle::SessionHandle,
    id::{Hw, PoolId, PoolName, TenantId},
    key::{KeyError, LicenseKey},
    secret::{KeyRing, KeyVersion, Secret},
    token::PublicKeySet,
};
use serde_json::{Value, json};
use uuid::Uuid;

const SPELLINGS: &str = include_str!("../../spellings.json");

pub(crate) fn keys() -> VectorFile {
    let mut file = VectorFile::new(
        "keys",
        "License keys as they arrive after mails, web pages, files and keyboards, and texts that are none.",
    );
    let list: Value = serde_json::from_str(SPELLINGS).unwrap();
    let texts = |name: &str| list[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned());
    let key = list["key"].as_str().unwrap();
    let input = |text: &str| json!({ "text": text });
    for (number, text) in texts("spellings").enumerate() {
        let name = if number == 0 { "as printed".into() } else { format!("spelling {number}") };
        file.base(&name, &input(&text), &key_outcome(&text));
    }
    let mut bad = |changed: &str, text: &str| {
        file.changed("as printed", changed, &input(text), &key_outcome(text));
    };
    bad("the check symbol is another", &key.replace("KMNP8", "KMNP9"));
    bad("a symbol of the number is another", &key.replace("752KJ", "852KJ"));
    bad("two symbols are swapped", &key.replace("752KJ", "725KJ"));
    bad("a symbol is missing", &key.replace("KMNP8", "KMNP"));
    bad("there is a symbol more", &key.replace("KMNP8", "KMNP80"));
    bad("another prefix", &key.replace("CODI", "XODI"));
    bad("no prefix", &key.replace("CODI-", ""));
    bad("a letter that is no symbol", &key.replace("752KJ", "U52KJ"));
    bad("a letter of another alphabet that looks alike", &key.replace("CO", "\u{421}\u{41e}"));
    bad("words after it", &format!("{key} is your key"));
    bad("an address around it", &format!("https://example.com/?key={key}"));
    bad("written twice", &format!("{key}{key}"));
    bad("more blanks before it than are read", &format!("{}{key}", " ".repeat(512)));
    bad("nothing", "");
    bad("a number of more than 64 bits, with the right check symbol", &key_above_64_bits());
    file
}

/// A key whose number no server has made: 13 symbols hold 65 bits.
fn key_above_64_bits() -> String {
    let symbols = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let with = |last: char| format!("CODI-Z52KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP{last}");
    let mistyped = |text: &String| LicenseKey::parse(text) == Err(KeyError::Mistyped);
    let found: Vec<_> = symbols.chars().map(with).filter(|text| !mistyped(text)).collect();
    assert_eq!(found.len(), 1, "one check symbol is right");
    found[0].clone()
}

pub(crate) fn fingerprints() -> VectorFile {
    let mut file = VectorFile::new(
        "fingerprints",
        "The hash of a machine under one license (the claim hw), and of what holds a seat (the claim sub).",
    );
    let input = |hardware: &str, instance: Option<&str>| {
        let mut input = json!({ "license": LICENSE, "hardware_id": hardware });
        if let Some(instance) = instance {
            input["instance_id"] = instance.into();
        }
        input
    };
    for (name, hardware, instance) in [
        ("a machine", HARDWARE.to_owned(), None),
        ("another machine", "machine-0002".into(), None),
        ("a process", HARDWARE.into(), Some("process-0001")),
        ("the shortest id", "12345678".into(), None),
        ("the longest id", "a".repeat(128), None),
        ("an id with blanks and every mark", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".into(), None),
    ] {
        file.base(name, &input(&hardware, instance), &fingerprint_outcome(&input(&hardware, instance)));
    }
    for (changed, hardware) in [
        ("seven characters", "1234567".to_owned()),
        ("129 characters", "a".repeat(129)),
        ("a letter that is not ASCII", "maschine-ä-0001".into()),
        ("a line break", "machine-0001\n".into()),
        ("empty", String::new()),
    ] {
        file.changed("a machine", changed, &input(&hardware, None), &fingerprint_outcome(&input(&hardware, None)));
    }
    let short = Some("short");
    file.changed(
        "a process",
        "a short instance_id",
        &input(HARDWARE, short),
        &fingerprint_outcome(&input(HARDWARE, short)),
    );
    file
}

/// The keys of handles that vectors name.
fn handle_key(name: &str) -> KeyVersion {
    let keys = test_keys();
    let version = u8::try_from(keys[name]["version"].as_u64().unwrap()).unwrap();
    KeyVersion { version, key: Secret::new(bytes_of(keys[name]["key"].as_str().unwrap())) }
}

pub(crate) fn handle_ring(names: &Value) -> KeyRing {
    let mut keys = names.as_array().unwrap().iter().map(|name| handle_key(name.as_str().unwrap()));
    KeyRing { current: keys.next().unwrap(), previous: keys.next() }
}

pub(crate) fn handle_outcome(text: &str, keys: &Value) -> Value {
    let Ok(handle) = SessionHandle::verify(text, &handle_ring(keys)) else { return refused("token_invalid") };
    json!({
        "outcome": "accepted",
        "tenant": handle.tenant.to_string(),
        "license": handle.license.to_string(),
        "pool": handle.pool.as_str(),
        "pool_id": handle.pool_id.0.to_string(),
        "seat": handle.seat,
        "session": handle.session.to_string(),
        "hw": handle.hw.to_string(),
    })
}

pub(crate) fn handles() -> VectorFile {
    let mut file = VectorFile::new(
        "handles",
        "Session handles. To a client they are opaque: it sends them back as they are. A server in a test opens them.",
    );
    let (current, both) = (json!(["handles"]), json!(["handles", "previous_handles"]));
    let handle = |pool: &str| SessionHandle {
        tenant: TenantId(Uuid::from_u128(0x01a2_1790_2ef2_76bd_b055_8c17_ade3_6ae8)),
        license: license(),
        pool: pool.parse::<PoolName>().unwrap(),
        pool_id: PoolId(Uuid::from_u128(0x01a2_1790_2ef2_76bd_b055_8c17_ade3_6ae9)),
        seat: 3,
        session: session(),
        hw: Hw::of(license(), &hardware()),
    };
    let input = |text: &str, keys: &Value| json!({ "text": text, "keys": keys });
    let text = handle("default").mint(&handle_ring(&current));
    let old = handle("default").mint(&handle_ring(&json!(["previous_handles"])));
    let long = handle(&"a".repeat(32)).mint(&handle_ring(&current));
    for (name, text, keys) in [
        ("under the current key", &text, &current),
        ("under the previous key, which is still accepted", &old, &both),
        ("the longest pool name", &long, &current),
    ] {
        file.base(name, &input(text, keys), &handle_outcome(text, keys));
    }
    let flipped = |at: usize| {
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    };
    let mut bad = |base: &str, changed: &str, text: &str, keys: &Value| {
        file.changed(base, changed, &input(text, keys), &handle_outcome(text, keys));
    };
    let base = "under the current key";
    bad(base, "a character of its contents is another", &flipped(60), &current);
    bad(base, "a character of its code is another", &flipped(text.len() - 5), &current);
    bad(base, "cut off", &text[..text.len() - 4], &current);
    bad(base, "four characters more", &format!("{text}AAAA"), &current);
    bad(base, "padded", &format!("{text}="), &current);
    bad(base, "empty", "", &current);
    bad(base, "longer than any handle", &format!("{text}{}", "A".repeat(200)), &current);
    bad(base, "another version of the format under the right key", &resealed(&text, |bytes| bytes[0] = 2), &current);
    bad(base, "a pool name that is none under the right key", &resealed(&text, |bytes| bytes[94] = b'D'), &current);
    bad("under the previous key, which is still accepted", "the key is not accepted any more", &old, &current);
    file
}

/// The handle with other contents and the right code for them.
fn resealed(text: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    bytes.truncate(bytes.len() - 16);
    change(&mut bytes);
    let mac = handle_key("handles").sign(&bytes);
    bytes.extend(&mac[..16]);
    b64(&bytes)
}

pub(crate) fn jwks_outcome(text: &str) -> Value {
    match serde_json::from_str::<PublicKeySet>(text) {
        // A client that pins nothing could believe nobody.
        Ok(set) if !set.keys.is_empty() => {
            json!({ "outcome": "accepted", "kids": set.keys.iter().map(|key| key.kid()).collect::<Vec<_>>() })
        }
        _ => refused("roots"),
    }
}

pub(crate) fn jwks(world: &World) -> VectorFile {
    let mut file = VectorFile::new(
        "jwks",
        "What /.well-known/license-keys gives and clients pin. A key's name is computed from it and never believed.",
    );
    let key = serde_json::to_value(&world.root.public).unwrap();
    let set = |keys: Vec<Value>| json!({ "keys": keys }).to_string();
    let with = |member: &str, value: Value| {
        let mut key = key.clone();
        key[member] = value;
        set(vec![key])
    };
    let input = |text: &str| json!({ "text": text });
    let n = key["n"].as_str().unwrap().to_owned();
    for (name, text) in [
        ("one key", set(vec![key.clone()])),
        (
            "the current and the next key",
            set(vec![key.clone(), serde_json::to_value(&world.other_root.public).unwrap()]),
        ),
        ("a kid that is a lie", with("kid", "mine".into())),
        ("a member that this version does not know", with("x5t", "abc".into())),
        ("only what makes the key", set(vec![json!({ "kty": "RSA", "n": n, "e": "AQAB" })])),
        ("an exponent with zeros before it", with("e", "AAEAAQ".into())),
    ] {
        file.base(name, &input(&text), &jwks_outcome(&text));
    }
    for (changed, text) in [
        ("no keys", set(vec![])),
        ("a key of 2048 bits", with("n", b64([0xd5; 256]).into())),
        ("no modulus", set(vec![json!({ "kty": "RSA", "e": "AQAB" })])),
        ("a modulus that is padded", with("n", format!("{n}==").into())),
        ("a modulus in the other base64", with("n", n.replace('-', "+").replace('_', "/").into())),
        ("a modulus that is a number", with("n", 5.into())),
        ("a key of another kind", set(vec![json!({ "kty": "OKP", "crv": "Ed25519", "x": b64([7; 32]) })])),
        ("the keys are no list", json!({ "keys": key }).to_string()),
        ("the key alone", key.to_string()),
        ("cut off", set(vec![key.clone()])[..200].to_owned()),
    ] {
        file.changed("one key", changed, &input(&text), &jwks_outcome(&text));
    }
    file
}

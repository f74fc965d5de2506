//! The wire vectors in `sdk/vectors`: made by the code that serves, and read by the reference for clients. Clients in
//! other languages are held to the same files.
#![allow(clippy::unwrap_used, reason = "a test that panics has said what it has to say")]

mod check;
mod maker;
mod plain;
mod refusals;
mod signed;
mod world;

use check::{check, vectors};
use license_core::ProblemCode;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fs,
    path::PathBuf,
};

/// What the files are written as. A client that knows another version must not take them for its own.
const VERSION: u32 = 1;

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/vectors"))
}

/// Every file as the code makes it: its name and its text.
async fn made() -> Vec<(String, String)> {
    let world = world::World::new().await;
    let files = [plain::keys(), plain::fingerprints(), plain::handles(), plain::jwks(&world)].into_iter().chain([
        signed::certificates(&world),
        signed::tokens(&world),
        refusals::refusals(&world).await,
    ]);
    files.map(|file| (file.name(), file.text())).collect()
}

/// The files as they stand in the repository.
fn kept() -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json") && !path.ends_with("test-keys.json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect();
    files.sort_by(|a: &(String, Value), b| a.0.cmp(&b.0));
    files
}

#[tokio::test]
#[ignore = "writes sdk/vectors anew: ./dev vectors"]
async fn write_the_vectors() {
    for (name, text) in made().await {
        fs::write(directory().join(name), text).unwrap();
    }
}

#[tokio::test]
async fn the_vectors_are_what_the_code_makes() {
    let made = made().await;
    for (name, text) in &made {
        let kept = fs::read_to_string(directory().join(name)).unwrap_or_default();
        assert!(
            kept == *text,
            "sdk/vectors/{name} is not what the code makes. Run ./dev vectors and look at git diff."
        );
    }
    let names: Vec<_> = kept().into_iter().map(|(name, _)| name).collect();
    let mut expected: Vec<_> = made.into_iter().map(|(name, _)| name).collect();
    expected.sort();
    assert_eq!(names, expected);
}

#[test]
fn the_reference_gives_every_vector_its_outcome() {
    let mut checked = 0;
    for (name, file) in kept() {
        assert_eq!(file["version"], VERSION, "{name}");
        for vector in vectors(&file) {
            check(&file, vector).unwrap_or_else(|found| panic!("{name}: {}: {found}", vector["name"]));
            checked += 1;
        }
    }
    assert!(checked > 200, "{checked} vectors");
}

/// A checker that took everything for right would be green as well.
#[test]
fn a_planted_wrong_outcome_is_found_in_every_vector() {
    for (name, file) in kept() {
        for vector in vectors(&file) {
            for planted in planted(vector) {
                let found = check(&file, &planted);
                assert!(found.is_err(), "{name}: {}: {} was not missed", vector["name"], planted["expect"]);
            }
        }
    }
}

/// The same vector with other outcomes than its own.
fn planted(vector: &Value) -> Vec<Value> {
    let with = |expect: Value| {
        let mut planted = vector.clone();
        planted["expect"] = expect;
        planted
    };
    let mut planted = Vec::new();
    let own = &vector["expect"];
    let another = if own["outcome"] == "accepted" { "refused" } else { "accepted" };
    planted.push(with(serde_json::json!({ "outcome": another })));
    for (member, value) in own.as_object().unwrap() {
        if member != "outcome" {
            let mut expect = own.clone();
            expect[member] = match value {
                Value::String(text) => format!("{text}x").into(),
                Value::Number(number) => (number.as_i64().unwrap() + 1).into(),
                _ => Value::Null,
            };
            planted.push(with(expect));
        }
    }
    planted
}

/// What clients of seats are never answered.
const OF_MANAGEMENT: [&str; 10] = [
    "token_expired",
    "insufficient_user_authentication",
    "insufficient_role",
    "insufficient_scope",
    "address_not_allowed",
    "conflict",
    "precondition_failed",
    "idempotency_key_reused",
    "identity_unavailable",
    "events_unavailable",
];

#[test]
fn every_code_that_a_client_of_seats_may_meet_has_a_vector() {
    let (_, refusals) = kept().into_iter().find(|(name, _)| name == "refusals.json").unwrap();
    let shown: HashSet<_> = vectors(&refusals).filter_map(|vector| vector["input"]["body"]["code"].as_str()).collect();
    for code in ProblemCode::ALL {
        let code = code.as_str();
        assert_eq!(shown.contains(code), !OF_MANAGEMENT.contains(&code), "{code}: functions/src/acquire/samples.rs");
    }
}

#[test]
fn each_bad_vector_differs_in_one_thing_from_a_good_one() {
    for (name, file) in kept() {
        let all: HashMap<_, _> = vectors(&file).map(|vector| (vector["name"].as_str().unwrap(), vector)).collect();
        assert_eq!(all.len(), vectors(&file).count(), "{name}: a name stands twice");
        assert!(vectors(&file).any(|vector| vector["expect"]["outcome"] != "accepted"), "{name} has no bad vectors");
        for vector in all.values() {
            let is_good = vector["base"].is_null();
            assert_eq!(is_good, vector["changed"].is_null(), "{name}: {}", vector["name"]);
            if let Some(base) = vector["base"].as_str() {
                assert!(all[base]["base"].is_null(), "{name}: {} changes what was changed already", vector["name"]);
                assert_ne!(all[base]["input"], vector["input"], "{name}: {}", vector["name"]);
            }
        }
    }
}

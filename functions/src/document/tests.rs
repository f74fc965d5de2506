//! The document says what its readers need, and openapi.json says the same.

use super::{document, parts, problems::SAMPLES};
use crate::edge::problem::table;
use license_core::ProblemCode;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const SNAPSHOT: &str = include_str!("../../../openapi.json");

fn json() -> Value {
    serde_json::to_value(document()).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, it)| (format!("{} {path}", method.to_uppercase()), it))
    });
    all.collect()
}

fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(place) => document.pointer(&place[1..]).unwrap_or_else(|| panic!("{place} is there")),
        None => part,
    }
}

/// Whether a reader sees an example: of the whole, or of each of its parts.
fn has_example(document: &Value, schema: &Value) -> bool {
    let schema = resolved(document, schema);
    let either = schema["oneOf"].as_array().or_else(|| schema["allOf"].as_array());
    let parts: Vec<&Value> = match (&schema["items"], either, schema["properties"].as_object()) {
        (items @ Value::Object(_), ..) => vec![items],
        (_, Some(either), _) => either.iter().collect(),
        (_, _, Some(properties)) => properties.values().collect(),
        _ => vec![],
    };
    !schema["example"].is_null() || !parts.is_empty() && parts.into_iter().all(|part| has_example(document, part))
}

#[test]
fn the_snapshot_at_the_root_is_what_the_code_says() {
    let fresh = super::document_text().unwrap();
    // Not assert_eq: nobody reads two documents in one line.
    assert!(
        fresh == SNAPSHOT,
        "openapi.json is out of date. Run ./dev openapi, and look at what it changed: git diff openapi.json"
    );
}

#[test]
fn every_code_has_one_sample() {
    for &code in ProblemCode::ALL {
        let samples: Vec<_> = SAMPLES.iter().filter_map(|samples| samples(code)).collect();
        assert_eq!(samples.len(), 1, "{code:?}");
        assert!(!samples[0].0.is_empty(), "{code:?}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_a_known_tag_and_an_answer() {
    let document = json();
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut names = BTreeSet::new();
    for (what, operation) in operations(&document) {
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{what} has the name of another");
        assert!(
            operation["summary"].as_str().is_some_and(|text| (3..=60).contains(&text.len()) && !text.ends_with('.')),
            "{what}"
        );
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{what} is below a heading");
        assert!(operation["security"].is_array(), "{what} says which credential it takes");
        assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')), "{what}");
    }
}

#[test]
fn every_body_and_every_answer_has_an_example() {
    let document = json();
    for (what, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert!(body.is_null() || has_example(&document, body), "{what}: its body");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let answer = &response["content"]["application/json"]["schema"];
            assert!(answer.is_null() || has_example(&document, answer), "{what}: {status}");
        }
    }
}

#[test]
fn every_refusal_names_its_codes_and_each_has_the_status_of_the_table() {
    let document = json();
    let codes: BTreeMap<&str, ProblemCode> = ProblemCode::ALL.iter().map(|code| (code.as_str(), *code)).collect();
    for (what, operation) in operations(&document) {
        for (status, response) in
            operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.as_str() >= "400")
        {
            let examples = response["content"]["application/problem+json"]["examples"].as_object();
            let examples =
                examples.filter(|it| !it.is_empty()).unwrap_or_else(|| panic!("{what}: {status} names no code"));
            for (word, example) in examples {
                let example = &resolved(&document, example)["value"];
                assert_eq!(example["status"].to_string(), *status, "{what}: {word}");
                if word != "not_json" {
                    let row = table(codes[word.as_str()]);
                    assert_eq!(row.status.as_str(), status, "{what}: {word}");
                    assert!(
                        row.retry_after.is_none() || response["headers"]["Retry-After"].is_object(),
                        "{what}: {word}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_word_before_the_colon_of_a_refusal_is_a_code() {
    for part in parts() {
        let part = serde_json::to_value(part).unwrap();
        for (what, operation) in operations(&part) {
            for (status, response) in
                operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.as_str() >= "400")
            {
                let text = response["description"].as_str().unwrap();
                for word in text.split(": ").next().unwrap().split(", ") {
                    assert!(
                        ProblemCode::ALL.iter().any(|code| code.as_str() == word),
                        "{what}: {status} says {word}, which is no code"
                    );
                }
            }
        }
    }
}

#[test]
fn no_two_services_mean_different_things_by_one_name() {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for part in parts() {
        let part = serde_json::to_value(part).unwrap();
        for (name, schema) in part["components"]["schemas"].as_object().into_iter().flatten() {
            let before = known.insert(name.clone(), schema.clone());
            assert!(
                before.is_none_or(|before| before == *schema),
                "{name} is two things; name one with #[schema(as = …)]"
            );
        }
    }
}

#[test]
fn null_and_absent_are_told_apart() {
    let document = json();
    let schema = |name: &str| &document["components"]["schemas"][name];
    let requires = |name: &str, field: &str| schema(name)["required"].as_array().unwrap().iter().any(|it| it == field);
    assert!(requires("LicenseFacts", "expires_at"), "null, and always there");
    assert!(
        !requires("Lease", "certificate") && schema("Lease")["properties"]["certificate"]["type"] == "string",
        "absent, never null"
    );
    assert_eq!(schema("AcquireRequest")["properties"]["license_key"]["type"], "string", "null is no license key");
    let body = |path: &str| document["paths"][path]["post"]["requestBody"].clone();
    let release = body("/api/v1/licenses/release");
    assert_eq!(release["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/ReleaseRequest");
    assert_ne!(release["required"], true, "may be left out");
    assert_eq!(body("/api/v1/licenses/acquire")["required"], true);
}

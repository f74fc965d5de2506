//! docs/API.md, what clients send and are answered: fields, examples and codes of refusals beside openapi.json.

use super::{
    differences, hold,
    markdown::{code_spans, section, tables},
    read,
};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

/// Sections of the page, and the schema of what is answered there: the first example of each.
const EXAMPLES: [(&str, &str); 4] = [
    ("## acquire", "Seat"),
    ("## validate", "ValidLicense"),
    ("## register", "Registration"),
    ("### Erasures", "Erasure"),
];

/// Statuses with which any request may be refused: "For every request" and "Rates" speak of them.
const OF_EVERY_REQUEST: [&str; 6] = ["400", "408", "413", "415", "422", "429"];

fn document() -> Value {
    serde_json::from_str(&read("openapi.json")).unwrap()
}

/// A schema without its reference, and without `null` beside it.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str() {
        return resolved(document, &document["components"]["schemas"][name.rsplit('/').next().unwrap()]);
    }
    let either = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
    either.map_or(schema, |one| resolved(document, one))
}

fn properties(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
}

/// What an example has and its schema does not, and what it must have and lacks.
fn misfits(document: &Value, at: &str, example: &Value, schema: &Value) -> Vec<String> {
    let schema = resolved(document, schema);
    if let Some(list) = example.as_array() {
        return list.iter().flat_map(|one| misfits(document, at, one, &schema["items"])).collect();
    }
    let (Some(example), known) = (example.as_object(), properties(schema)) else { return Vec::new() };
    if known.is_empty() {
        return Vec::new(); // Any names, as in `features`.
    }
    let has: BTreeSet<String> = example.keys().cloned().collect();
    let required: BTreeSet<String> =
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect();
    let unknown = has.difference(&known).map(|name| format!("{at}: there is no {name}"));
    let missing = required.difference(&has).map(|name| format!("{at}: {name} is missing"));
    let deeper = example
        .iter()
        .flat_map(|(name, value)| misfits(document, &format!("{at}.{name}"), value, &schema["properties"][name]));
    unknown.chain(missing).chain(deeper).collect()
}

fn examples(text: &str) -> Vec<String> {
    let (document, block) = (document(), Regex::new(r"(?s)\n```json\n(.*?)\n```").unwrap());
    let mut wrong = Vec::new();
    for (heading, answer) in EXAMPLES {
        let Some(found) = block.captures(section(text, heading)) else {
            wrong.push(format!("{heading} has no example"));
            continue;
        };
        let example: Value = serde_json::from_str(&found[1]).unwrap_or_else(|error| panic!("{heading}: {error}"));
        wrong.extend(misfits(&document, answer, &example, &document["components"]["schemas"][answer]));
    }
    wrong
}

#[test]
fn the_examples_of_answers_have_the_fields_of_their_schemas() {
    let lies = [
        (r#""expires_in":355"#, r#""expires":355"#),
        (r#""offline":{"policy":"grace""#, r#""offline":{"kind":"grace""#),
        (r#""has_seat":true,"#, ""),
        (r#""label":"host-1","since""#, r#""label":"host-1","held_since""#),
        (r#""email":"me@example.com","role":"owner""#, r#""email":"me@example.com""#),
        (r#""audit_entries":4,"#, r#""entries":4,"#),
    ];
    hold("docs/API.md", examples, &lies);
}

fn requests(text: &str) -> Vec<String> {
    let document = document();
    let schema = |name: &str| &document["components"]["schemas"][name];
    let rows = tables(section(text, "## acquire"), &["Field", "", ""]);
    let field = |row: &Vec<String>| row[0].trim_matches('`').to_owned();
    let required: BTreeSet<String> =
        rows.iter().filter(|row| row[1] == "required").map(|row| format!("{} (required)", field(row))).collect();
    let demanded = schema("AcquireRequest")["required"].as_array().unwrap().iter();
    let demanded = demanded.map(|name| format!("{} (required)", name.as_str().unwrap())).collect();
    let mut wrong = differences("the field", &rows.iter().map(field).collect(), &properties(schema("AcquireRequest")));
    wrong.extend(differences("the field", &required, &demanded));
    let client = rows.iter().find(|row| field(row) == "client").map(|row| code_spans(&row[2])).unwrap_or_default();
    // In parentheses behind a field are values of it.
    let values = ["desktop", "container", "ci"];
    let client = client.into_iter().filter(|span| !values.contains(&span.as_str())).collect();
    wrong.extend(differences("the field of client", &client, &properties(schema("ClientFacts"))));

    // In prose: `{"nonce"?, …}` of heartbeat and register, `hardware_id`? of validate.
    let quoted = Regex::new(r#""([a-z_]+)"\??[,}]"#).unwrap();
    for (heading, name) in [("## heartbeat", "HeartbeatRequest"), ("## register", "RegisterRequest")] {
        let first = section(text, heading).trim_start().split("\n\n").next().unwrap();
        let said = quoted.captures_iter(first).map(|found| found[1].to_owned()).collect();
        wrong.extend(differences(&format!("{heading}: the field"), &said, &properties(schema(name))));
    }
    let validate = section(text, "## validate").split_once(" says what").unwrap().0;
    let said: BTreeSet<String> = code_spans(validate).into_iter().filter(|span| !span.contains(' ')).collect();
    wrong.extend(differences("## validate: the field", &said, &properties(schema("ValidateRequest"))));
    wrong
}

#[test]
fn the_page_names_every_field_of_what_clients_send() {
    let lies = [
        ("| `hardware_id` | required |", "| `hardware_id` | |"),
        ("| `pool` | |", "| `seat_pool` | |"),
        ("`project`, `user`. Kept", "`project`. Kept"),
        (r#"{"nonce"?, "certificate_kid"?}"#, r#"{"nonce"?}"#),
        (r#"{"organization_name"?, "product"?}"#, r#"{"organization"?, "product"?}"#),
        ("`instance_id`?, `pool`?, `client`?", "`instance_id`?, `client`?"),
    ];
    hold("docs/API.md", requests, &lies);
}

/// The codes with which an operation refuses, of statuses that only it speaks of.
fn refusals(operation: &str) -> BTreeSet<String> {
    let document = document();
    let responses = document["paths"][format!("/api/v1/licenses/{operation}")]["post"]["responses"].clone();
    let code = Regex::new(r"`([a-z_]+)`:").unwrap();
    let own = responses.as_object().unwrap().iter();
    let own = own.filter(|(status, _)| !OF_EVERY_REQUEST.contains(&status.as_str()) && !status.starts_with('5'));
    let described = own.filter_map(|(status, answer)| Some((status, answer["description"].as_str()?)));
    let codes = described
        .flat_map(|(status, text)| code.captures_iter(text).map(move |found| format!("{status} {}", &found[1])));
    codes.collect()
}

/// The codes that a sentence of refusals names, each with the status that stands before it.
fn named(sentence: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let word = Regex::new(r"\b([45][0-9]{2})\b|`([a-z_]+)`").unwrap();
    let (mut status, mut named) = ("", BTreeSet::new());
    for found in word.captures_iter(sentence) {
        match (found.get(1), found.get(2)) {
            (Some(number), _) => status = number.as_str(),
            (_, Some(code)) if known.iter().any(|one| one.ends_with(&format!(" {}", code.as_str()))) => {
                named.insert(format!("{status} {}", code.as_str()));
            }
            _ => {}
        }
    }
    named
}

fn refused(text: &str) -> Vec<String> {
    let of_acquire = refusals("acquire");
    let mut wrong = Vec::new();
    for operation in ["acquire", "heartbeat", "release"] {
        let page = section(text, &format!("## {operation}"));
        let from = page.find("Refusals: ").or_else(|| page.find("one that ended so long ago")).unwrap_or_default();
        let paragraph = page[from..].split("\n\n").next().unwrap();
        let known = refusals(operation).union(&of_acquire).cloned().collect();
        let mut named = named(paragraph, &known);
        if paragraph.contains("403 as for acquire, as long as the license gives no seat") {
            named.extend(of_acquire.iter().filter(|code| code.starts_with("403 license_")).cloned());
        }
        wrong.extend(differences(&format!("{operation}: the refusal"), &named, &refusals(operation)));
    }
    wrong
}

#[test]
fn the_page_names_every_code_with_which_acquire_heartbeat_and_release_refuse() {
    let lies = [
        ("403 `license_suspended`, `license_revoked`,", "403 `license_suspended`,"),
        ("409 `no_seats_available`, `too_many_processes` (", "403 `no_seats_available`, `too_many_processes` ("),
        ("403 as for acquire, as long as", "403 as long as"),
        ("is 410 `session_gone` with `reason` `unknown`", "is 404 `session_gone` with `reason` `unknown`"),
        ("401 `token_invalid` (no session of this server", "401 `license_key_invalid` (no session of this server"),
    ];
    hold("docs/API.md", refused, &lies);
}

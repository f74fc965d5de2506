//! docs/OPERATING.md, "Log lines": the fields and the messages that the page explains are those that the code writes.

use super::{
    differences,
    facts::files,
    hold,
    markdown::{code_spans, section, tables},
    read,
};
use regex::Regex;
use std::collections::BTreeSet;

/// What ships, without its unit tests, and with texts of several lines as one.
fn shipped_code() -> String {
    let continued = Regex::new(r"\\\n\s*").unwrap();
    ["core/src", "functions/src", "pubsub/src", "local/src"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .map(|(_, text)| continued.replace_all(text.split("#[cfg(test)]").next().unwrap(), "").into_owned())
        .collect()
}

/// The messages of warnings and errors: the first text of each call. What it says of a value is left out.
fn messages(code: &str) -> Vec<String> {
    let call = Regex::new(r#"tracing::(?:warn|error)!\([^"]*"([^"]*)""#).unwrap();
    let all: Vec<_> = call.captures_iter(code).map(|found| found[1].to_owned()).collect();
    assert!(all.len() > 25, "the warnings and errors of the code are found");
    all
}

/// The fixed beginnings of the messages that the table explains.
fn explained(page: &str) -> Vec<String> {
    let rows = tables(page, &["Message", "Means"]);
    let fields = Regex::new(r"\([^)]*\)").unwrap();
    let spans = rows.iter().flat_map(|row| code_spans(&fields.replace_all(&row[0], "")));
    spans.map(|message| message.split('…').next().unwrap().trim_end_matches([' ', ':', ';']).to_owned()).collect()
}

fn differing(page: &str) -> Vec<String> {
    let (code, explained) = (shipped_code(), explained(page));
    let unwritten = explained.iter().filter(|message| !code.contains(message.as_str()));
    let messages = messages(&code);
    let unexplained = messages.iter().filter(|message| !explained.iter().any(|start| message.starts_with(start)));
    unwritten
        .map(|message| format!("no line says {message:?}"))
        .chain(unexplained.map(|message| format!("the page does not explain {message:?}")))
        .collect()
}

#[test]
fn the_page_explains_every_warning_and_every_error_and_no_line_that_is_not_written() {
    let lies = [
        ("`push refused`", "`push declined`"),
        ("| `history kept`", "| `history was kept`"),
        ("| `grace could not be counted`", "| `grace was not counted`"),
        ("| `a message was given up`", "| `a message was dropped`"),
    ];
    hold("docs/OPERATING.md", differing, &lies);
}

/// The fields of every line, of every line of a request, and of the line that ends a request. What stands before a dot in a
/// name is one field with more inside.
fn fields() -> BTreeSet<String> {
    let (layers, format) = (read("functions/src/edge/layers.rs"), read("functions/src/edge/telemetry.rs"));
    let within = |start: &str| {
        let from = layers.find(start).unwrap_or_else(|| panic!("layers.rs has {start}")) + start.len();
        layers[from..from + layers[from..].find("\n    );").or(layers[from..].find("\n        );")).unwrap()].to_owned()
    };
    let named = Regex::new(r#"(?m)^\s+"?([a-zA-Z_/.]+?)"?(?: = [^\n]*)?,$"#).unwrap();
    let set = Regex::new(r#"line\.set\("([a-z]+)""#).unwrap();
    let whole = |name: &str| match name.split_once('.') {
        Some((field, _)) if !name.contains('/') => field.to_owned(),
        _ => name.to_owned(),
    };
    let mut all: BTreeSet<String> = set.captures_iter(&format).map(|found| found[1].to_owned()).collect();
    for text in [within("error_span!(\n        \"request\","), within("tracing::info!(")] {
        all.extend(named.captures_iter(&text).map(|found| whole(&found[1])));
    }
    all.insert("message".to_owned());
    all
}

fn differing_fields(page: &str) -> Vec<String> {
    let rows = tables(section(page, "## 7. Log lines"), &["Field", ""]);
    let spans = rows.iter().flat_map(|row| code_spans(&row[0]));
    // `…/spanId` stands behind a name with the same beginning.
    let said: BTreeSet<String> = spans.map(|span| span.replace('…', "logging.googleapis.com")).collect();
    differences("the field", &said, &fields())
}

#[test]
fn the_page_names_every_field_of_a_line() {
    let lies = [
        ("| `tenant`, `license` | from", "| `tenant` | from"),
        ("`…/spanId`, `…/trace_sampled`", "`…/spanId`, `…/sampled`"),
        ("| `time`, `severity`, `target`, `message` |", "| `time`, `level`, `target`, `message` |"),
        ("| `metric`, `outcome`, `latency_ms`, `httpRequest` |", "| `metric`, `outcome`, `latency`, `httpRequest` |"),
    ];
    hold("docs/OPERATING.md", differing_fields, &lies);
}

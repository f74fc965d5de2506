//! docs/OPERATING.md, "Log lines": the messages that the page explains are those that the code writes.

use super::{
    facts::files,
    hold,
    markdown::{code_spans, tables},
};
use regex::Regex;

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

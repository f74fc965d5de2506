//! Errors keep their causes.

use crate::files;
use regex::Regex;
use std::collections::BTreeSet;

/// What errors are called.
const NAMES: &str = "(?:e|err|error|cause|failure|source)";

/// The ways in which text is made of an error, as `Display` or as `Debug` writes it, so that its causes are lost or its
/// fields are shown to whoever reads the log.
fn spellings() -> [Regex; 5] {
    let literal = r#""(?:[^"\\]|\\.)*"#;
    [
        // `{error}`, `{error:?}`, `{e:#}`
        format!(r"\{{{NAMES}(?::[^{{}}]*)?\}}"),
        // `"{}", error`, `"{:?}", &x.error`, also over several lines
        format!(r#"{literal}\{{(?::[^{{}}]*)?\}}(?:[^"\\]|\\.)*",(?:[^;()"]|\([^()]*\))*?\b{NAMES}\s*[,)]"#),
        // `%error` and `?error` of a log line, `error = ?self.error`
        format!(r"(?m)(?:[(,=]|^)\s*[%?](?:[a-z_]+\.)*{NAMES}\s*[,);]"),
        format!(r"map_err\([^\n]*\b{NAMES}\.to_string\(\)"),
        // `dbg!(error)`
        format!(r"dbg!\(&?{NAMES}\)"),
    ]
    .map(|pattern| Regex::new(&pattern).unwrap())
}

/// Where a file makes text of an error. Only `chain` prints an error, and a new error takes the old one as its cause.
fn lost_causes(name: &str, text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    let code = lines.collect::<Vec<_>>().join("\n");
    let places = spellings().into_iter().flat_map(|it| it.find_iter(&code).map(|it| it.end()).collect::<Vec<_>>());
    let lines: BTreeSet<usize> = places.map(|end| code[..end].trim_end().matches('\n').count()).collect();
    let said = |at: &usize| code.lines().nth(*at).unwrap_or_default().trim().to_owned();
    lines.iter().map(|at| format!("{name}:{}: {}", at + 1, said(at))).collect()
}

#[test]
fn no_error_loses_its_cause_on_its_way_to_a_log() {
    let folders = ["core/src", "functions/src", "pubsub/src", "local/src"];
    let read = folders.into_iter().flat_map(|folder| files(folder, &["rs"]));
    let lost: Vec<String> = read
        .filter(|(name, _)| !name.starts_with("functions/src/edge/tests/"))
        .flat_map(|(name, text)| lost_causes(&name, &text))
        .collect();
    assert_eq!(lost, Vec::<String>::new(), "core/src/error.rs says how an error keeps its cause");
}

#[test]
fn a_lost_cause_is_seen_however_it_is_spelled() {
    for line in [
        r#"call().map_err(|e| Error::Records(format!("a query failed: {e}").into()))"#,
        r#"return Err(format!("the port cannot be had ({error})").into());"#,
        "call().map_err(|error| Error::Events(error.to_string().into()))?;",
        r#"tracing::warn!(%error, "the history was not kept");"#,
        r#"tracing::warn!(id, error = %e, "a pool could not be swept");"#,
        r#"#[error("{what}: {source}")]"#,
        r#"return Err(format!("the port cannot be had: {error:?}").into());"#,
        r#"return Err(format!("the port cannot be had: {e:#?}").into());"#,
        r#"let text = format!("{e:#}");"#,
        r#"return Err(format!("a query failed: {}", error).into());"#,
        r#"return Err(format!("a query of {} failed: {:?}", name(), &error).into());"#,
        "let text = format!(\n    \"a long text of {:?}\",\n    self.error\n);",
        r#"println!("{:?}", e);"#,
        r#"tracing::warn!(?error, "the history was not kept");"#,
        r#"tracing::warn!(error = ?e, "the history was not kept");"#,
        r#"tracing::warn!(id, error = ?failure.error, "the history was not kept");"#,
        "tracing::warn!(\n    ?error,\n    \"the history was not kept\"\n);",
        "dbg!(&error);",
    ] {
        assert_eq!(lost_causes("x.rs", line).len(), 1, "{line}");
    }
    for line in [
        r#"call().map_err(|e| Error::records("a query failed", e))"#,
        r#"tracing::warn!(error = %chain(&error), "the history was not kept");"#,
        r#"// An error is told by {error} no more, nor by {error:?}."#,
        r#"tracing::warn!(from = ?from, "somebody asked from where nobody is let in");"#,
        r#"let wrong = format!("must be json or text, and is {other:?}");"#,
        r#"return Err(ErrorContext::new(format!("port {} of {address} cannot be had", self.0), error));"#,
        r#"println!("{} {:?}", chain(&error), role);"#,
        "let row = call(&e)?;\nlet (a, b) = (first()?, error_of(x));",
    ] {
        assert_eq!(lost_causes("x.rs", line), Vec::<String>::new(), "{line}");
    }
}

//! Errors keep their causes.

use crate::files;

/// Where a file makes text of an error, so that its causes are lost. Only `chain` prints an error, and a new error takes
/// the old one as its cause.
fn lost_causes(name: &str, text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lost = |line: &str| {
        let names = ["e", "err", "error", "cause", "failure", "source"];
        let within_text = |name: &&str| line.contains(&format!("{{{name}}}"));
        let mapped = |name: &&str| line.contains("map_err(") && line.contains(&format!("{name}.to_string()"));
        let logged = |name: &&str| {
            let after = |(at, found): (usize, &str)| line[at + found.len()..].starts_with([',', ' ', ')', ';']);
            line.match_indices(&format!("%{name}")).any(after)
        };
        names.iter().any(|name| within_text(name) || mapped(name) || logged(name))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//") && lost(line));
    lines.map(|(at, line)| format!("{name}:{}: {}", at + 1, line.trim())).collect()
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
    ] {
        assert_eq!(lost_causes("x.rs", line).len(), 1, "{line}");
    }
    for line in [
        r#"call().map_err(|e| Error::records("a query failed", e))"#,
        r#"tracing::warn!(error = %chain(&error), "the history was not kept");"#,
        r#"// An error is told by {error} no more."#,
    ] {
        assert_eq!(lost_causes("x.rs", line), Vec::<String>::new(), "{line}");
    }
}

//! docs/REDIS.md beside the scripts.

use super::{
    differences,
    facts::files,
    hold,
    markdown::{code_spans, section, tables},
    read,
};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

const SCRIPTS: &str = "core/src/seat_store";

fn scripts(text: &str) -> Vec<String> {
    let named: BTreeSet<String> =
        code_spans(section(text, "## Scripts")).into_iter().filter(|span| span.ends_with(".lua")).collect();
    let code = files(SCRIPTS, "lua").into_iter().map(|(name, _)| name.rsplit('/').next().unwrap().to_owned()).collect();
    differences("the script", &named, &code)
}

#[test]
fn the_page_names_every_script() {
    hold("docs/REDIS.md", scripts, &[("`free.lua`", "`forget.lua`")]);
}

/// By script, the flags with which it is run. Its own file is the last one of those that make it up.
fn headers() -> BTreeMap<String, BTreeSet<String>> {
    let code = read(&format!("{SCRIPTS}/scripts.rs"));
    let row =
        Regex::new(r#"\b[A-Z_]+(?:\(\d+, \d+\))? = (ALLOW_OOM|DENY_OOM|READ_ONLY)((?:\s+"[a-z_]+\.lua")+);"#).unwrap();
    let mut headers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for found in row.captures_iter(&code) {
        let last = found[2].rsplit('"').nth(1).unwrap().to_owned();
        headers.entry(last).or_default().insert(found[1].to_owned());
    }
    assert!(headers.len() > 8, "scripts.rs lists the scripts");
    headers
}

/// What happens to a script while Redis is out of memory.
fn without_memory(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let headers = headers();
    let rows = tables(text, &["Script", "What it does", "When Redis is out of memory"]);
    let mut previous = String::new();
    for row in rows {
        let says = if row[2] == "the same" { previous.clone() } else { row[2].clone() };
        previous.clone_from(&says);
        // Parts of several scripts run as those do.
        let script = code_spans(&row[0]).into_iter().find(|span| headers.contains_key(span));
        let Some(script) = script.filter(|_| !says.starts_with("as the script")) else { continue };
        let kinds = &headers[&script];
        let right = match kinds.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["DENY_OOM"] => says.starts_with("refused"),
            ["ALLOW_OOM"] | ["READ_ONLY"] => says == "runs",
            _ => says.starts_with("runs if"),
        };
        let writes_nothing = row[1].ends_with("writes nothing");
        if !right || writes_nothing != kinds.contains("READ_ONLY") {
            wrong.push(format!("{script} is {kinds:?}, and the page says {says:?} and {:?}", row[1]));
        }
    }
    wrong
}

#[test]
fn the_page_says_which_scripts_run_while_redis_is_out_of_memory_and_which_only_read() {
    let lies = [
        (
            "| takes, joins or repeats a seat; draws a ticket | refused: 503 |",
            "| takes, joins or repeats a seat; draws a ticket | runs |",
        ),
        ("what an acquire would; writes nothing |", "what an acquire would |"),
    ];
    hold("docs/REDIS.md", without_memory, &lies);
}

//! docs/WORKFLOWS.md beside the scripts, the SQL functions and the operations of which its diagrams tell.

use super::{
    differences,
    facts::{files, rights},
    hold,
    markdown::section,
    read,
};
use regex::Regex;
use std::collections::BTreeSet;

/// A section, and what it tells of.
struct Workflow {
    heading: &'static str,
    /// The service that is asked.
    service: &'static str,
    /// Its operation in openapi.json; the pushes of the message bus are not in there.
    path: Option<&'static str>,
    /// The script whose answers are drawn.
    script: &'static str,
    /// The SQL function whose answers are drawn, where those are words.
    function: Option<&'static str>,
    /// The files of the operation.
    code: &'static [&'static str],
}

const WORKFLOWS: [Workflow; 5] = [
    Workflow {
        heading: "## Registration",
        service: "register",
        path: Some("/api/v1/auth/register"),
        script: "",
        function: None,
        code: &["core/src/management/registration.rs", "core/src/records/registration.rs", "functions/src/register.rs"],
    },
    Workflow {
        heading: "## Acquisition",
        service: "acquire",
        path: Some("/api/v1/licenses/acquire"),
        script: "acquire.lua",
        function: Some("grant_seat"),
        code: &["core/src/protocol/acquire.rs", "core/src/protocol/keys.rs"],
    },
    Workflow {
        heading: "## Heartbeat",
        service: "heartbeat",
        path: Some("/api/v1/licenses/heartbeat"),
        script: "heartbeat.lua",
        function: Some("resolve_session"),
        code: &["core/src/protocol/heartbeat.rs"],
    },
    Workflow {
        heading: "## Release",
        service: "release",
        path: Some("/api/v1/licenses/release"),
        script: "release.lua",
        function: None,
        code: &["core/src/protocol/release.rs"],
    },
    Workflow {
        heading: "## Reclaiming",
        service: "reaper",
        path: None,
        script: "reap.lua",
        function: None,
        code: &["core/src/protocol/reap.rs", "core/src/protocol/publish.rs", "core/src/protocol/history.rs"],
    },
];

/// What an operation calls, and the scripts and SQL functions that are run by it.
const CALLS: [(&str, &[&str]); 17] = [
    (".acquire(&", &["ACQUIRE"]),
    ("seats.heartbeat(", &["HEARTBEAT"]),
    ("seats.release(", &["RELEASE"]),
    ("seats.reap(", &["REAP"]),
    ("seats.free(", &["FREE"]),
    ("seats.invalidate(", &["INVALIDATE"]),
    ("rebuilds.ensure_warm(", &["NONCE", "rebuild_pool", "REBUILD"]),
    ("records.grant_seat(", &["grant_seat"]),
    ("records.end_seats(", &["end_seats"]),
    ("records.resolve_session(", &["resolve_session"]),
    ("records.find_license(", &["find_license"]),
    ("records.count_grace(", &["count_grace"]),
    ("records.record_usage(", &["record_usage"]),
    ("records.record_wants(", &["record_wants"]),
    ("records.keep_history(", &["history.step"]),
    ("batch.published(", &["mark_published"]),
    ("register_organization(", &["register_organization"]),
];

/// The statuses that layers answer in front of every operation, of which the page does not speak.
const OF_LAYERS: [&str; 7] = ["400", "408", "413", "415", "422", "500", "503"];

/// The words that a script answers, as its head lists them.
fn script_answers(script: &str) -> BTreeSet<String> {
    if script.is_empty() {
        return BTreeSet::new();
    }
    let text = read(&format!("core/src/seat_store/{script}"));
    let start = text.find("-- Answers:\n").unwrap_or_else(|| panic!("{script} says what it answers"));
    let word = Regex::new(r"^--   ([A-Z]+)").unwrap();
    let head = text[start..].lines().skip(1).take_while(|line| line.starts_with("-- "));
    head.filter_map(|line| word.captures(line)).map(|found| found[1].to_owned()).collect()
}

/// The names of the scripts, as they begin their files.
fn scripts() -> BTreeSet<String> {
    let title = Regex::new(r"\A-- ([A-Z_]+): ").unwrap();
    let texts = files("core/src/seat_store", "lua");
    texts.iter().filter_map(|(_, text)| title.captures(text)).map(|found| found[1].to_owned()).collect()
}

/// The words that an SQL function answers.
fn function_answers(function: &str) -> BTreeSet<String> {
    let start = format!("create function {function}(");
    let migrations = files("migrations", "sql");
    let (_, text) = migrations.iter().find(|(_, text)| text.contains(&start)).expect("the function is somewhere");
    let word = Regex::new(r"(?:return|outcome :=) '([A-Z_]+)'").unwrap();
    word.captures_iter(&text[text.find(&start).unwrap()..]).map(|found| found[1].to_owned()).collect()
}

/// The texts of the messages of a section by one of these arrows, in order.
fn messages(section: &str, from: &str, arrow: &str, to: &str) -> Vec<String> {
    let start = format!("{from}{arrow}{to}: ");
    section.lines().filter_map(|line| line.trim().strip_prefix(&start)).map(str::to_owned).collect()
}

/// Words in capitals, of two letters or more, but for the names of things that are written so.
fn capitals(texts: &[String]) -> BTreeSet<String> {
    let word = Regex::new(r"\b[A-Z][A-Z_]+\b").unwrap();
    texts.iter().flat_map(|text| word.find_iter(text)).map(|found| found.as_str().to_owned()).collect()
}

/// What the section draws that it asks of both stores.
fn asked(section: &str, service: &str) -> BTreeSet<String> {
    let function = Regex::new(r"^([a-z]+(?:[_.][a-z]+)+)").unwrap();
    let mut asked = capitals(&messages(section, service, "->>", "redis"));
    let postgres = messages(section, service, "->>", "postgres");
    asked.extend(postgres.iter().filter_map(|text| function.captures(text)).map(|found| found[1].to_owned()));
    asked
}

/// What the operation asks of both stores.
fn called(workflow: &Workflow) -> BTreeSet<String> {
    let code: String = workflow.code.iter().map(|file| read(file)).collect();
    // A call that was broken after its object is one too.
    let code = Regex::new(r"\n\s*\.").unwrap().replace_all(&code, ".").into_owned();
    let calls = CALLS.iter().filter(|(call, _)| code.contains(call)).flat_map(|(_, run)| *run);
    let mut called: BTreeSet<String> = calls.map(|name| (*name).to_owned()).collect();
    if workflow.service == "register" {
        called.insert("TAKE_TOKEN".to_owned());
    }
    called
}

/// Statuses in a section beside those of its operation in openapi.json.
fn statuses(section: &str, path: &str) -> Vec<String> {
    let document: serde_json::Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let responses = document["paths"][path]["post"]["responses"].as_object().expect("the operation is documented");
    let status = Regex::new(r"\b[1-5][0-9]{2}\b").unwrap();
    let mut drawn: BTreeSet<String> = status.find_iter(section).map(|found| found.as_str().to_owned()).collect();
    let documented: BTreeSet<String> = responses.keys().cloned().collect();
    let of_layers = OF_LAYERS.iter().map(|status| (*status).to_owned()).filter(|status| documented.contains(status));
    drawn.extend(of_layers);
    differences("the status", &drawn, &documented)
}

fn wrong(text: &str) -> Vec<String> {
    let (scripts, functions) = (scripts(), rights("FUNCTIONS"));
    assert!(scripts.len() > 8, "the scripts have names: {scripts:?}");
    let mut wrong = Vec::new();
    for workflow in &WORKFLOWS {
        let Workflow { heading, service, .. } = workflow;
        let section = section(text, heading);
        let mut compare = |what: &str, page: &BTreeSet<String>, code: &BTreeSet<String>| {
            wrong.extend(differences(&format!("{heading}: {what}"), page, code));
        };
        let answered = capitals(&messages(section, "redis", "-->>", service));
        compare("the answer of Redis", &answered, &script_answers(workflow.script));
        let answered = capitals(&messages(section, "postgres", "-->>", service));
        compare("the answer of PostgreSQL", &answered, &workflow.function.map(function_answers).unwrap_or_default());
        let asked = asked(section, service);
        compare("the call of", &asked, &called(workflow));
        let known = |name: &String| {
            scripts.contains(name) || functions.iter().any(|function| function.name == *name || function.bare() == name)
        };
        wrong.extend(asked.iter().filter(|name| !known(name)).map(|name| format!("{heading}: there is no {name}")));
        wrong.extend(workflow.path.into_iter().flat_map(|path| statuses(section, path)));
    }
    wrong
}

#[test]
fn each_diagram_draws_what_its_operation_asks_and_every_answer() {
    let release = "## Release\n";
    let text = read("docs/WORKFLOWS.md");
    assert!(text.contains(release));
    let lies = [
        ("EPOCH_STALE, ENDED, or REFUSED (the license is not active)", "EPOCH_STALE or ENDED"),
        ("      redis-->>acquire: PRODUCT\n", ""),
        ("      redis-->>acquire: BADKEY\n", "      redis-->>acquire: WRONGKEY\n"),
        ("      redis-->>release: COLD\n", ""),
        ("      release->>redis: INVALIDATE, then ask again\n", ""),
        ("        release-->>client: 410 session_gone\n", "        release-->>client: 200\n"),
        ("    reaper->>postgres: history.step: a month", "    reaper->>postgres: a month"),
        ("heartbeat-->>client: 429 rate_limited", "heartbeat-->>client: 402 rate_limited"),
        ("    redis-->>heartbeat: RATED,", "    redis-->>heartbeat: not now,"),
        ("      postgres-->>heartbeat: GONE", "      postgres-->>heartbeat: OVER"),
        ("register_organization, with", "found_organization, with"),
        ("          reaper->>redis: FREE\n", ""),
    ];
    hold("docs/WORKFLOWS.md", wrong, &lies);
}

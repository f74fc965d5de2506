//! docs/OPERATING.md and .env.sample beside the code.

use super::{
    differences,
    facts::{database_role, files, found, readers, services, variables},
    hold,
    markdown::{code_spans, tables},
    read,
};
use license_functions::edge::config::{DefaultValue, REFUSED_VARIABLES, VARIABLES, Variable};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// A line of the sample: whether it is commented out, the name, the value, and the meaning.
fn sample_lines(sample: &str) -> BTreeMap<String, (bool, String, String)> {
    let line = Regex::new(r#"(?m)^(# )?([A-Z][A-Z0-9_]+)=("[^"]*"|\S*) +# (.+)$"#).unwrap();
    let of = |found: regex::Captures<'_>| {
        (found[2].to_owned(), (found.get(1).is_some(), found[3].to_owned(), found[4].trim_end().to_owned()))
    };
    line.captures_iter(sample).map(of).collect()
}

fn sample_variables(sample: &str) -> Vec<String> {
    let lines = sample_lines(sample);
    let mut wrong = differences("the variable", &lines.keys().cloned().collect(), &variables());
    for Variable { name, default, meaning, .. } in VARIABLES {
        let Some((commented_out, value, said)) = lines.get(*name) else { continue };
        match default {
            DefaultValue::Required if *commented_out => wrong.push(format!("{name} is required and commented out")),
            DefaultValue::Unset if !commented_out => wrong.push(format!("{name} may be absent and is set")),
            DefaultValue::Value(default) if value != default => wrong.push(format!("{name} is {default} unless set")),
            _ => {}
        }
        if said != meaning {
            wrong.push(format!("{name} means {meaning:?} and not {said:?}"));
        }
    }
    wrong
}

#[test]
fn the_sample_of_the_environment_is_the_table_of_variables() {
    let lies = [
        ("# KMS_ENDPOINT=", "# KMS_ADDRESS="),
        ("PORT=8080", ""),
        ("# DATABASE_POOL_SIZE=4 ", "# DATABASE_POOL_SIZE=8 "),
        ("LICENSE_PEPPER=1:", "# LICENSE_PEPPER=1:"),
        ("# RATE_LICENSE=", "RATE_LICENSE="),
        ("what session handles are signed with", "what license keys are hashed with"),
    ];
    hold(".env.sample", sample_variables, &lies);
}

/// The variables of PostgreSQL's driver that a page names.
fn refused_variables(text: &str) -> Vec<String> {
    let name = Regex::new(r"\bPG[A-Z]+\b").unwrap();
    let named: BTreeSet<String> = name.find_iter(text).map(|found| found.as_str().to_owned()).collect();
    differences("the refused variable", &named, &REFUSED_VARIABLES.iter().map(|&name| name.to_owned()).collect())
}

#[test]
fn the_sample_and_the_page_name_every_variable_that_is_refused() {
    for file in [".env.sample", "docs/OPERATING.md"] {
        hold(file, refused_variables, &[("PGHOSTADDR", "PGHOST"), ("PGAPPNAME", "PGAPP")]);
    }
}

/// The sentence about who reads the two keys of the service.
fn readers_of_keys(text: &str) -> Vec<String> {
    let sentence = r"`HANDLE_KEY` is read by ([a-z, ]+), `LICENSE_PEPPER` by ([a-z, ]+)\.";
    let found = Regex::new(sentence).unwrap().captures(text).expect("the page says who reads the keys");
    let named =
        |list: &str| -> BTreeSet<String> { list.replace(" and ", ", ").split(", ").map(str::to_owned).collect() };
    let mut wrong = differences("the reader of HANDLE_KEY", &named(&found[1]), &readers("HANDLE_KEY"));
    wrong.extend(differences("the reader of LICENSE_PEPPER", &named(&found[2]), &readers("LICENSE_PEPPER")));
    wrong
}

#[test]
fn the_page_names_every_service_that_reads_the_keys() {
    let lies = [
        ("`LICENSE_PEPPER` by acquire, register and admin", "`LICENSE_PEPPER` by acquire and register"),
        ("is read by acquire, heartbeat and release", "is read by acquire and heartbeat"),
    ];
    hold("docs/OPERATING.md", readers_of_keys, &lies);
}

/// Variables that a page names and nothing reads.
fn unknown_variables(text: &str) -> Vec<String> {
    let mut known = variables();
    known.extend(["K_SERVICE".to_owned(), "CLOUD_RUN_JOB".to_owned()]);
    let name = Regex::new(r"^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(=.*)?$").unwrap();
    // Words of the services' own family of names; other words in capitals are commands or states.
    let families: BTreeSet<&str> = known.iter().filter_map(|name| name.split('_').next()).collect();
    let words =
        code_spans(text).into_iter().flat_map(|span| span.split([' ', '\n']).map(str::to_owned).collect::<Vec<_>>());
    let named = words.filter_map(|word| name.captures(&word).map(|found| found[1].to_owned()));
    let ours = named.filter(|name| families.contains(name.split('_').next().unwrap()));
    ours.filter(|name| !known.contains(name)).map(|name| format!("nothing reads {name}")).collect()
}

#[test]
fn the_page_names_no_variable_that_nothing_reads() {
    let lies = [
        ("`TRUSTED_PROXIES` is the number", "`TRUSTED_HOSTS` is the number"),
        ("`API_TOKEN_DAYS` days", "`API_TOKEN_HOURS` days"),
    ];
    hold("docs/OPERATING.md", unknown_variables, &lies);
}

fn roles(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for row in tables(text, &["Service", "Role"]) {
        for service in row[0].split(", ") {
            named.insert(service.to_owned());
            let role = row[1].trim_matches('`');
            if services().contains(service) && database_role(service) != role {
                wrong.push(format!("{service} connects as {} and not as {role}", database_role(service)));
            }
        }
    }
    wrong.extend(differences("the service", &named, &services()));
    wrong
}

#[test]
fn the_page_names_the_database_role_of_every_service() {
    let lies = [("| register, admin | `admin` |", "| register, admin | `service` |"), ("| reaper | `reaper` |", "")];
    hold("docs/OPERATING.md", roles, &lies);
}

/// The paragraph that lists names of metrics and outcomes.
fn metrics(text: &str) -> Vec<String> {
    let start = text.find("`metric` is ").expect("the page lists the metrics");
    let (metrics, rest) = text[start..].split_once("`outcome` is ").expect("the page lists the outcomes");
    let named: BTreeSet<String> = code_spans(metrics).into_iter().filter(|span| span.contains('/')).collect();
    let code = found("functions/src/edge", "rs", r#" = "([a-z]+/[a-z_]*requests)""#);
    let mut wrong = differences("the metric", &named, &code);
    let outcomes = rest.split_once(". ").unwrap().0;
    let named: BTreeSet<String> = code_spans(outcomes).into_iter().collect();
    wrong.extend(differences("the outcome", &named, &outcome_labels()));
    wrong
}

/// The words that handlers give their answers for the log. They are chosen in lines of these forms.
fn outcome_labels() -> BTreeSet<String> {
    const FORMS: [&str; 5] =
        ["(status, label) =", "acknowledged(\"", "answer(StatusCode::", "unwrap_or(\"valid\")", ".unwrap_or(\"ok\")"];
    let word = Regex::new(r#""([a-z]+)""#).unwrap();
    let texts = files("functions/src", "rs");
    let lines = texts.iter().flat_map(|(_, text)| text.split("#[cfg(test)]").next().unwrap().lines());
    let chosen = lines.filter(|line| FORMS.iter().any(|form| line.contains(form)));
    chosen.flat_map(|line| word.captures_iter(line).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect()
}

#[test]
fn the_page_names_every_metric_and_every_outcome() {
    let lies =
        [("`acquire/keys_requests`", "`acquire/jwks_requests`"), ("`sent`, ", ""), ("`reaper/tick_requests`, ", "")];
    hold("docs/OPERATING.md", metrics, &lies);
}

fn options(text: &str) -> Vec<String> {
    let rows = tables(text, &["Option", ""]);
    let named = rows.iter().flat_map(|row| code_spans(&row[0]));
    let named: BTreeSet<String> = named.map(|span| span.split(' ').next().unwrap().to_owned()).collect();
    let options = read("local/src/options.rs");
    let long = Regex::new(r#"Long\("([a-z]+)"\)"#).unwrap();
    let mut code: BTreeSet<String> = long.captures_iter(&options).map(|found| format!("--{}", &found[1])).collect();
    // It belongs to `rotate`, section 6; and every command has help.
    for elsewhere in ["--finish", "--switch", "--help", "--version"] {
        code.remove(elsewhere);
    }
    differences("the option", &named, &code)
}

#[test]
fn the_page_names_every_option_of_license_local() {
    hold("docs/OPERATING.md", options, &[("| `--bind ADDR`", "| `--listen ADDR`")]);
}

/// What `license-local` takes from its environment, and what it sets for the services by itself.
fn on_one_machine() -> (BTreeSet<String>, BTreeSet<String>) {
    let code = read("local/src/environment.rs");
    let shipped = code.split("#[cfg(test)]").next().unwrap();
    let lines = || shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
    let known = variables();
    let word = Regex::new(r#""([A-Z][A-Z0-9_]+)""#).unwrap();
    let words = |lines: Vec<&str>| -> BTreeSet<String> {
        let text = lines.join("\n");
        word.captures_iter(&text).map(|found| found[1].to_owned()).filter(|name| known.contains(name)).collect()
    };
    // What is set stands as a pair of name and value, what is taken as a name alone.
    let (set, taken) = lines().partition(|line| line.trim_start().starts_with("(\""));
    (words(taken), words(set))
}

/// The list of variables that `license-local` takes.
fn taken_variables(text: &str) -> Vec<String> {
    let start = text.find("From the environment it takes `").expect("the page lists the variables of license-local");
    let list = text[start..].split_once(" and nothing else").expect("the list ends").0;
    let name = Regex::new(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b").unwrap();
    let named = name.find_iter(list).map(|found| found.as_str().to_owned()).collect();
    differences("the variable", &named, &on_one_machine().0)
}

#[test]
fn the_page_names_every_variable_that_license_local_takes() {
    let lies = [
        ("RATE_PEOPLE API_TOKEN_DAYS", "API_TOKEN_DAYS"),
        ("HEARTBEAT_SECONDS REAPER", "HEARTBEAT_SECONDS REDIS_URL REAPER"),
    ];
    hold("docs/OPERATING.md", taken_variables, &lies);
}

#[test]
fn on_one_machine_every_variable_is_taken_or_set_or_known_not_to_be() {
    // It has its own ports, its own stores and its own bus, and no Cloud KMS.
    const NEITHER: [&str; 13] = [
        "PORT",
        "BIND_ADDRESS",
        "DATABASE_GRANTS",
        "KMS_ENDPOINT",
        "GCE_METADATA_HOST",
        "REDIS_AUTH",
        "REDIS_CA",
        "DATABASE_AUTH",
        "DATABASE_CA",
        "PUBSUB_TOPIC_TICK",
        "PUBSUB_TOPIC_REAP",
        "PUBSUB_TOPIC_EVENTS",
        "PUBSUB_EMULATOR_HOST",
    ];
    let (taken, set) = on_one_machine();
    let left: BTreeSet<String> =
        variables().into_iter().filter(|name| !taken.contains(name) && !set.contains(name)).collect();
    assert_eq!(left, NEITHER.map(str::to_owned).into(), "what a service reads reaches it on one machine too");
}

/// The codes of section 8, beside those that ask to come again because something else is away.
fn codes_of_outages(text: &str) -> Vec<String> {
    let rows = tables(text, &["Code", "Look at", "Usual causes"]);
    let named = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let away = Regex::new(r"ProblemCode::(\w+) => later\(").unwrap();
    let problems = read("functions/src/edge/problem.rs");
    let codes: BTreeSet<&str> = away.captures_iter(&problems).map(|found| found.extract::<1>().1[0]).collect();
    let name = Regex::new(r#"(?m)^ +(\w+) = "([a-z_]+)""#).unwrap();
    let code = read("core/src/error.rs");
    let all = name.captures_iter(&code).map(|found| (found[1].to_owned(), found[2].to_owned()));
    let code: BTreeSet<String> = all.filter(|(code, _)| codes.contains(code.as_str())).map(|(_, name)| name).collect();
    assert_eq!(code.len(), codes.len(), "each code of problem.rs has its name in error.rs");
    differences("the code", &named, &code)
}

#[test]
fn the_page_says_of_every_503_where_to_look() {
    let lies = [("| `events_unavailable` |", "| `bus_unavailable` |"), ("| `seats_unavailable` |", "| `internal` |")];
    hold("docs/OPERATING.md", codes_of_outages, &lies);
}

fn topics(text: &str) -> Vec<String> {
    let rows = tables(text, &["Topic", "Published by", "Subscription"]);
    let named = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let defaults = VARIABLES.iter().filter(|variable| variable.name.starts_with("PUBSUB_TOPIC_"));
    let names = defaults.map(|variable| match &variable.default {
        DefaultValue::Value(name) => (*name).to_owned(),
        DefaultValue::Required | DefaultValue::Unset => panic!("{} has a name unless it is set", variable.name),
    });
    differences("the topic", &named, &names.collect())
}

#[test]
fn the_page_names_every_topic_as_it_is_called_unless_it_is_set() {
    let lies = [("| `reap` | the reaper,", "| `sweep` | the reaper,"), ("| `tick` |", "| `events` |")];
    hold("docs/OPERATING.md", topics, &lies);
}

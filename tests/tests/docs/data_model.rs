//! docs/DATA-MODEL.md beside `tests/tests/isolation/rights.rs`, which a test there compares with the catalog of a
//! migrated database.

use super::{
    differences,
    facts::{Right, files, rights},
    hold,
    markdown::{code_spans, section, tables},
};
use regex::Regex;
use std::collections::BTreeSet;

/// The names in a page's code spans; a name with its schema counts without it too.
fn names(text: &str) -> BTreeSet<String> {
    let word = Regex::new(r"[a-z_0-9]+").unwrap();
    code_spans(text).iter().flat_map(|span| word.find_iter(span).map(|found| found.as_str().to_owned())).collect()
}

fn table_names(text: &str) -> Vec<String> {
    // Parts of other tables, which the page names as such.
    let named = names(text);
    let missing = rights("TABLES").into_iter().filter(|table| !named.contains(table.bare()) && !is_part(table.bare()));
    let mut wrong: Vec<String> =
        missing.map(|table| format!("the page does not name the table {}", table.name)).collect();
    let rows = tables(text, &["Table", "Key after `tenant_id`"]).into_iter().chain(tables(text, &["Table", "Key"]));
    let known: BTreeSet<String> = rights("TABLES").iter().map(|table| table.bare().to_owned()).collect();
    for row in rows {
        let invented = names(&row[0]).into_iter().filter(|name| !["directory", "catalog"].contains(&name.as_str()));
        wrong.extend(invented.filter(|name| !known.contains(name)).map(|name| format!("there is no table {name}")));
    }
    wrong
}

fn is_part(table: &str) -> bool {
    table.ends_with("_rest")
}

#[test]
fn the_page_names_every_table_and_no_other() {
    let lies = [("| `graces` |", "| `mercies` |"), ("| `catalog.` `plans` |", "| `catalog.` `offers` |")];
    hold("docs/DATA-MODEL.md", table_names, &lies);
}

fn schemas(text: &str) -> Vec<String> {
    let rows = tables(text, &["Schema", "What"]);
    let named = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let made = Regex::new(r"(?m)^create schema (\w+)").unwrap();
    let migrations = files("migrations", "sql");
    let made = migrations.iter().flat_map(|(_, text)| made.captures_iter(text).map(|found| found[1].to_owned()));
    // PostgreSQL makes this one with the database.
    let mut code: BTreeSet<String> = made.collect();
    code.insert("public".to_owned());
    differences("the schema", &named, &code)
}

#[test]
fn the_page_names_every_schema() {
    hold("docs/DATA-MODEL.md", schemas, &[("| `directory` |", "| `index` |"), ("| `catalog` |", "| `public` |")]);
}

fn functions(text: &str) -> Vec<String> {
    let rights = rights("FUNCTIONS");
    let section = section(text, "## Functions");
    let named = names(section);
    let mut wrong: Vec<String> = rights
        .iter()
        .filter(|function| !named.contains(function.bare()))
        .map(|function| format!("the page does not name the function {}", function.name))
        .collect();
    let rows = tables(section, &["Function", "Called by", "What it does"]);
    let in_rows: BTreeSet<String> = rows.iter().flat_map(|row| code_spans(&row[0])).collect();
    let called = rights.iter().filter(|function| !function.names().is_empty() && !in_rows.contains(function.bare()));
    wrong.extend(called.map(|function| format!("{} has no row that says who calls it", function.name)));
    for row in rows {
        for name in code_spans(&row[0]) {
            let Some(function) = rights.iter().find(|function| function.bare() == name) else {
                wrong.push(format!("there is no function {name}"));
                continue;
            };
            let said: BTreeSet<String> = row[1].split(", ").map(str::to_owned).collect();
            let may = function.names();
            let nobody = may.is_empty()
                && !said.iter().any(|role| ["service", "reaper", "notify", "admin"].contains(&role.as_str()));
            if said != may && !nobody {
                wrong.push(format!("{name} is called by {may:?} and not by {said:?}"));
            }
            if row[2].contains("SECURITY DEFINER") && !function.as_owner {
                wrong.push(format!("{name} does not run as the owner"));
            }
        }
    }
    wrong
}

#[test]
fn the_page_names_every_function_and_who_may_call_it() {
    let lies = [
        ("| `grant_seat` | service |", "| `grant_seat` | service, reaper |"),
        ("| `resize_pool`, `kick_seat` | admin |", "| `grow_pool`, `kick_seat` | admin |"),
        ("| `after_restore` | owner |", "| `after_restore` | admin |"),
        ("`audit_blank` writes", "`audit_white` writes"),
        ("| `good_keys` | admin | the keys of a license that are valid now |\n", ""),
        ("| `staff_append`, `staff_seal` |", "| `staff_append` |"),
    ];
    hold("docs/DATA-MODEL.md", functions, &lies);
}

fn roles(text: &str) -> Vec<String> {
    let (tables_of, functions) = (rights("TABLES"), rights("FUNCTIONS"));
    let mut wrong = Vec::new();
    let rows = tables(text, &["Role", "Serves", "Reads", "Writes"]);
    let named: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
    wrong.extend(differences("the role", &named, &["service", "reaper", "notify", "admin"].map(str::to_owned).into()));
    for row in &rows {
        let role = row[0].trim_matches('`');
        let in_row = names(&format!("{} {}", row[2], row[3]));
        let may_call: BTreeSet<String> =
            functions.iter().filter(|f| !f.of(role).is_empty()).map(|f| f.bare().to_owned()).collect();
        let all: BTreeSet<String> = functions.iter().map(|f| f.bare().to_owned()).collect();
        let said: BTreeSet<String> = in_row.intersection(&all).cloned().collect();
        // The admin role calls too many to name them here; the table of functions has them all, by the test above.
        if role == "admin" {
            let by_table = row[3].contains("by functions alone, each of those that the table below gives it.");
            wrong.extend((!by_table).then(|| "the row of admin does not say where its functions are".to_owned()));
            wrong.extend(said.difference(&may_call).map(|name| format!("{role} may not call {name}")));
        } else {
            wrong.extend(differences(&format!("{role}:"), &said, &may_call));
        }
        wrong.extend(rights_of_row(role, &row[2], &row[3], &tables_of));
    }
    wrong.extend(deletes(text));
    wrong
}

/// The tables that a row says a role reads, inserts into, changes and deletes from, beside its rights.
fn rights_of_row(role: &str, reads: &str, writes: &str, tables_of: &[Right]) -> Vec<String> {
    let named = |text: &str| -> BTreeSet<String> {
        let spans: BTreeSet<String> = code_spans(text).into_iter().collect();
        let is_named = |table: &&Right| {
            let schema_is_public = table.name.starts_with("public.");
            spans.contains(&table.name) || schema_is_public && spans.contains(table.bare())
        };
        tables_of.iter().filter(is_named).map(|table| table.name.clone()).collect()
    };
    let may = |right: &str| -> BTreeSet<String> {
        let has = |table: &&Right| {
            table.of(role).split(", ").any(|part| part == right || part.starts_with(&format!("{right}(")))
        };
        tables_of.iter().filter(has).map(|table| table.name.clone()).collect()
    };
    let mut wrong = differences(&format!("{role} reads:"), &named(reads), &may("select"));
    if may("select").is_empty() != (reads == "no table") {
        wrong.push(format!("{role} reads {reads:?}"));
    }
    for (verb, right) in [("Inserts into", "insert"), ("Changes", "update"), ("Deletes from", "delete")] {
        let sentences = writes.split(". ").filter(|sentence| sentence.starts_with(verb));
        let said = sentences.flat_map(named).collect();
        wrong.extend(differences(&format!("{role}, {verb}:"), &said, &may(right)));
    }
    wrong
}

/// The words of a list of rights, of which `deleted_at` is another one than `delete`.
fn words(may: &str) -> impl Iterator<Item = &str> {
    may.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Which rows a role that serves may delete.
fn deletes(text: &str) -> Vec<String> {
    let tables_of = rights("TABLES");
    let may =
        tables_of.iter().filter(|table| table.roles.iter().any(|(_, may)| words(may).any(|word| word == "delete")));
    let may: Vec<&str> = may.map(|table| table.bare()).collect();
    let says = text.contains("may DELETE or TRUNCATE anywhere but for what `admin` does to idempotency keys");
    if may == ["idempotency_keys"] && says { vec![] } else { vec![format!("rows may be deleted from {may:?}")] }
}

#[test]
fn the_page_says_what_each_role_reads_calls_and_deletes() {
    let lies = [
        (
            "| `service` | acquire, heartbeat, release | no table |",
            "| `service` | acquire, heartbeat, release | licenses |",
        ),
        (
            "alone: `end_seats`, `rebuild_pool`, `record_usage`, `record_wants`, `count_grace`;",
            "alone: `end_seats`, `grant_seat`;",
        ),
        ("DELETE or TRUNCATE anywhere but for what `admin` does to idempotency keys", "DELETE or TRUNCATE anywhere"),
        ("`graces`, `usage_minutes`, `usage_hours`", "`graces`, `usage_hours`"),
        ("`pools` (names, sizes, epochs", "`sessions` (names, sizes, epochs"),
        ("(numbers and offline policies), and `outbox` |", "(numbers and offline policies) |"),
        ("Inserts into `users`, ", "Inserts into `users`, `licenses`, "),
        ("Changes what its columns' grants name of `organizations`, ", "Changes what its columns' grants name of "),
        (". Deletes from `idempotency_keys` |", " |"),
        ("each of those that the table below gives it", "of which there are many"),
    ];
    hold("docs/DATA-MODEL.md", roles, &lies);
}

/// The words that `grant_seat` answers.
fn answers(text: &str) -> Vec<String> {
    let sql = files("migrations", "sql")
        .into_iter()
        .map(|(_, text)| text)
        .find(|text| text.contains("create function grant_seat("));
    let sql = sql.expect("grant_seat is somewhere");
    let body = &sql[sql.find("create function grant_seat(").unwrap()..];
    let body = &body[..body.find("\n$$;").or_else(|| body.find("\nend $$")).unwrap_or(body.len())];
    let answer = Regex::new(r"return '([A-Z_]+)'").unwrap();
    let code: BTreeSet<String> = answer.captures_iter(body).map(|found| found[1].to_owned()).collect();
    let rows = tables(text, &["Function", "Called by", "What it does"]);
    let row = rows.iter().find(|row| row[0] == "`grant_seat`").expect("grant_seat has a row");
    let word = Regex::new(r"\b(?:OK|[A-Z]{5,}(?:_[A-Z]+)?)\b").unwrap();
    let after = row[2].split_once(':').unwrap().1;
    let said: BTreeSet<String> = word.find_iter(after).map(|found| found.as_str().to_owned()).collect();
    differences("the answer", &said, &code)
}

#[test]
fn the_page_names_every_answer_of_grant_seat() {
    hold("docs/DATA-MODEL.md", answers, &[("OK, FENCED, ENDED,", "OK, FENCED,")]);
}

/// The tables of which the functions that erase change rows. `places` names those that the history has parts of.
fn erased_tables() -> BTreeSet<String> {
    let named = Regex::new(r"update public\.([a-z_]+)").unwrap();
    let mut tables = BTreeSet::new();
    for (name, text) in files("migrations", "sql").into_iter().filter(|(name, _)| {
        let number = name.rsplit('/').next().unwrap();
        number.starts_with("031") || number.starts_with("0323") || number.starts_with("0340")
    }) {
        tables.extend(named.captures_iter(&text).map(|found| found[1].to_owned()));
        for (part, table) in
            [("sessions", "sessions"), ("denials", "denials"), ("deliveries", "webhook_deliveries"), ("mails", "mails")]
        {
            if text.contains(&format!("history.places('{part}')")) {
                tables.insert(table.to_owned());
            }
        }
        assert!(!text.contains("delete from public"), "{name} deletes");
    }
    tables
}

fn erased(text: &str) -> Vec<String> {
    let known = rights("TABLES");
    let is_table = |name: &String| known.iter().any(|table| table.bare() == name);
    let (mut changed, mut wrong) = (BTreeSet::new(), Vec::new());
    for row in tables(text, &["Erased", "becomes"]) {
        let named: Vec<String> =
            code_spans(&row[0]).iter().map(|span| span.split('.').next().unwrap().to_owned()).collect();
        if row[1].starts_with("stay") {
            let lies = named.iter().filter(|name| erased_tables().contains(*name));
            wrong.extend(lies.map(|name| format!("{name} does not stay as it is")));
        } else if row[0] == "labels in Redis" {
            changed.insert("pools".to_owned());
        } else {
            changed.extend(named.into_iter().filter(is_table));
        }
    }
    wrong.extend(differences("of what is erased, the table", &changed, &erased_tables()));
    wrong
}

#[test]
fn the_page_names_every_table_that_an_erasure_changes() {
    let lies = [
        ("| `users`, `invitations` | the address", "| `users` | the address"),
        ("| `outbox.payload` |", "| `directory.trials` |"),
        ("| labels in Redis | the pool's epoch", "| labels of Redis | the pool's epoch"),
        ("| `idempotency_keys.outcome` | null", "| `idempotency_keys.outcome` | stays"),
    ];
    hold("docs/DATA-MODEL.md", erased, &lies);
}

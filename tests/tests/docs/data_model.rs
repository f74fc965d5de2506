//! docs/DATA-MODEL.md beside `tests/tests/isolation/rights.rs`, which a test there compares with the catalog of a
//! migrated database.

use super::{
    differences,
    facts::{files, rights},
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

fn functions(text: &str) -> Vec<String> {
    let rights = rights("FUNCTIONS");
    let section = section(text, "## Functions");
    let named = names(section);
    let mut wrong: Vec<String> = rights
        .iter()
        .filter(|function| !named.contains(function.bare()))
        .map(|function| format!("the page does not name the function {}", function.name))
        .collect();
    for row in tables(section, &["Function", "Called by", "What it does"]) {
        for name in code_spans(&row[0]) {
            let Some(function) = rights.iter().find(|function| function.bare() == name) else {
                wrong.push(format!("there is no function {name}"));
                continue;
            };
            let said: BTreeSet<String> = row[1].split(", ").map(str::to_owned).collect();
            let may = function.names();
            let nobody =
                may.is_empty() && !said.iter().any(|role| ["service", "reaper", "admin"].contains(&role.as_str()));
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
    ];
    hold("docs/DATA-MODEL.md", functions, &lies);
}

fn roles(text: &str) -> Vec<String> {
    let (tables_of, functions) = (rights("TABLES"), rights("FUNCTIONS"));
    let mut wrong = Vec::new();
    let rows = tables(text, &["Role", "Serves", "Reads", "Writes"]);
    let named: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
    wrong.extend(differences("the role", &named, &["service", "reaper", "admin"].map(str::to_owned).into()));
    for row in &rows {
        let role = row[0].trim_matches('`');
        let in_row = names(&format!("{} {}", row[2], row[3]));
        let may_call: BTreeSet<String> =
            functions.iter().filter(|f| !f.of(role).is_empty()).map(|f| f.bare().to_owned()).collect();
        let all: BTreeSet<String> = functions.iter().map(|f| f.bare().to_owned()).collect();
        let said: BTreeSet<String> = in_row.intersection(&all).cloned().collect();
        // The admin role calls too many to name them here; the table of functions has them all.
        if role == "admin" {
            wrong.extend(said.difference(&may_call).map(|name| format!("{role} may not call {name}")));
        } else {
            wrong.extend(differences(&format!("{role}:"), &said, &may_call));
        }
        let reads_nothing = tables_of.iter().all(|table| table.of(role).is_empty());
        if reads_nothing != (row[2] == "no table") {
            wrong.push(format!("{role} reads no table: {reads_nothing}"));
        }
    }
    wrong.extend(deletes(text));
    wrong
}

/// Which rows a role that serves may delete.
fn deletes(text: &str) -> Vec<String> {
    let tables_of = rights("TABLES");
    let may = tables_of.iter().filter(|table| table.roles.iter().any(|(_, may)| may.contains("delete")));
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
        ("by `end_seats`, `rebuild_pool`, `record_usage`, `count_grace`;", "by `end_seats`, `grant_seat`;"),
        ("DELETE or TRUNCATE anywhere but for what `admin` does to idempotency keys", "DELETE or TRUNCATE anywhere"),
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

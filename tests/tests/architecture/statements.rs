//! Statements of the records are known by their names.

use crate::files;
use regex::Regex;
use std::collections::BTreeSet;

/// What is wrong with the names of statements in a file of the records: one that is more than a call of one SQL
/// function, and does not begin with its name as a comment. Names that are there are added to `names`.
fn unnamed_statements(name: &str, text: &str, names: &mut Vec<String>) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let literal = Regex::new(r#"(?s)"((?:[^"\\]|\\.)*)""#).unwrap();
    let statement = Regex::new(r"^(select|insert|update|delete|with)[ \n]").unwrap();
    let call = Regex::new(r"^select ([a-z0-9_:*, ]+ from )?[a-z_.]+\([^()]*\)$").unwrap();
    let named = Regex::new(r"^-- ([a-z_]+)\n").unwrap();
    let mut wrong = Vec::new();
    for found in literal.captures_iter(&lines.join("\n")) {
        let text = found[1].trim_start().to_owned();
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "\\").collect();
        match named.captures(&text) {
            Some(it) => names.push(it[1].to_owned()),
            None if text.starts_with("--") => wrong.push(format!("{name}: {text}")),
            None if statement.is_match(&text) && !call.is_match(&words.join(" ")) => {
                wrong.push(format!("{name}: {}", words.join(" ")));
            }
            None => {}
        }
    }
    wrong
}

#[test]
fn every_statement_of_the_records_begins_with_its_name_or_is_one_call() {
    let (mut wrong, mut names) = (Vec::new(), Vec::new());
    for (name, text) in files("core/src/records", &["rs"]) {
        wrong.extend(unnamed_statements(&name, &text, &mut names));
    }
    assert_eq!(wrong, Vec::<String>::new());
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "each has a name of its own: {names:?}");
    assert!(names.len() > 80, "they are found: {names:?}");
}

#[test]
fn a_statement_without_its_name_is_seen() {
    let unnamed = [
        r#"sqlx::query("select 1")"#,
        r#"let sql = "select name from organizations where tenant_id = $1";"#,
        "let sql = \"update users set role = $3, \\\n    version = 1\";",
        "const SQL: &str = \"\n    with held as (select 1) select * from held\";",
        r#"let sql = format!("select {COLUMNS} from licenses");"#,
        r#"let sql = "select cardinality(good_keys($1, $2))";"#,
        r#"let sql = "select user_id from locate($1) where tenant_id = $2";"#,
        "let sql = \"-- Two Words\n    select 1\";",
        r#"let sql = "-- name select 1";"#,
    ];
    for text in unnamed {
        assert_eq!(unnamed_statements("x.rs", text, &mut Vec::new()).len(), 1, "{text}");
    }
    let mut names = Vec::new();
    let told = r#"
        // "select 1"
        let sql = "-- set_role
            update users set role = $1";
        let call = "select a, null::uuid \
            as b from history.step($1, 'x')";
        let other = "select * from tell($1)";
    "#;
    assert_eq!(unnamed_statements("x.rs", told, &mut names), Vec::<String>::new());
    assert_eq!(names, ["set_role"]);
}

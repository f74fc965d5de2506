//! The parts of a Markdown page that are compared with the code.

use regex::Regex;

/// A row of a table: the text of its cells.
pub(crate) type TableRow = Vec<String>;

/// The rows of every table whose header begins with these cells.
pub(crate) fn tables(page: &str, header: &[&str]) -> Vec<TableRow> {
    let lines: Vec<&str> = page.lines().collect();
    let mut rows = Vec::new();
    for at in 1..lines.len() {
        let is_header = lines[at].starts_with("|--") && cells(lines[at - 1]).starts_with(&owned(header));
        if is_header {
            rows.extend(lines[at + 1..].iter().take_while(|line| line.starts_with('|')).map(|line| cells(line)));
        }
    }
    rows
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The cells of one line of a table. A bar that belongs to a cell is written `\|`.
fn cells(line: &str) -> TableRow {
    let line = line.replace("\\|", "\u{0}");
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// The page without the lines of its fenced blocks.
pub(crate) fn prose(page: &str) -> String {
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The texts between backticks.
pub(crate) fn code_spans(text: &str) -> Vec<String> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Where the links of a page lead: the text in the parentheses.
pub(crate) fn links(page: &str) -> Vec<String> {
    let without_code = Regex::new("`[^`\n]*`").unwrap().replace_all(&prose(page), "code").into_owned();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    link.captures_iter(&without_code).map(|found| found[1].to_owned()).collect()
}

/// The text below a heading, up to the next heading of the same depth or a higher one.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("the page has the heading {heading:?}"));
    let text = &page[start + heading.len() + 2..];
    let depth = heading.len() - heading.trim_start_matches('#').len();
    let end = (1..=depth).filter_map(|marks| text.find(&format!("\n{} ", "#".repeat(marks)))).min();
    &text[..end.unwrap_or(text.len())]
}

#[test]
fn a_page_is_read_as_it_is_shown() {
    let page = "# A page\n\nA [link](there.md#x) and `[none](here)`.\n\n| Name | |\n|---|---|\n| `a\\|b` | two |\n\n\
                ```\n# no heading\n[x](y)\n```\n## A page\n### Why: 2\n";
    assert_eq!(tables(page, &["Name"]), [["`a|b`", "two"]]);
    assert_eq!(links(page), ["there.md#x"]);
    assert_eq!(code_spans("`a` and `b c`"), ["a", "b c"]);
    assert_eq!(section(page, "## A page").trim(), "### Why: 2");
}

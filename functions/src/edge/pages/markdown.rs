//! The Markdown of our own pages as HTML: headings, paragraphs, lists, tables, blocks of code, and within a line code,
//! bold words and links. Everything else is shown as it is written.

use std::{fmt::Write, iter::Peekable, str::Lines};

/// Where a link of a page leads; `None`: its words are shown without a link.
pub(super) type LinkTarget = dyn Fn(&str) -> Option<String>;

/// Text that HTML shows as it is, also within the quotes of an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            other => safe.push(other),
        }
    }
    safe
}

/// A page, or a part of one.
pub(super) fn html(text: &str, link: &LinkTarget) -> String {
    let mut lines = text.lines().peekable();
    let mut body = String::new();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let level = line.bytes().take_while(|&byte| byte == b'#').count();
        if let Some(heading) = line.get(level..).and_then(|rest| rest.strip_prefix(' ')).filter(|_| level > 0) {
            let _ = writeln!(body, "<h{level}>{}</h{level}>", inline(heading, link));
        } else if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            let _ = writeln!(body, "<pre><code>{}</code></pre>", escaped(&code.join("\n")));
        } else if line.starts_with("* ") {
            list(line, &mut lines, link, &mut body);
        } else if line.starts_with('|') {
            table(line, &mut lines, link, &mut body);
        } else {
            let mut words = line.trim().to_owned();
            while let Some(more) = lines.next_if(|next| !begins_a_block(next)) {
                words = words + " " + more.trim();
            }
            let _ = writeln!(body, "<p>{}</p>", inline(&words, link));
        }
    }
    body
}

fn begins_a_block(line: &str) -> bool {
    line.trim().is_empty() || ["#", "```", "* ", "|"].iter().any(|start| line.starts_with(start))
}

fn list(first: &str, lines: &mut Peekable<Lines<'_>>, link: &LinkTarget, body: &mut String) {
    let mut points = vec![first.trim_start_matches("* ").to_owned()];
    while let Some(line) = lines.next_if(|next| next.starts_with("* ") || next.starts_with("  ")) {
        if let Some(point) = line.strip_prefix("* ") {
            points.push(point.to_owned());
        } else if let Some(point) = points.last_mut() {
            *point += " ";
            *point += line.trim();
        }
    }
    *body += "<ul>\n";
    for point in points {
        let _ = writeln!(body, "<li>{}</li>", inline(&point, link));
    }
    *body += "</ul>\n";
}

fn table(first: &str, lines: &mut Peekable<Lines<'_>>, link: &LinkTarget, body: &mut String) {
    let mut rows = vec![first];
    while let Some(line) = lines.next_if(|next| next.starts_with('|')) {
        rows.push(line);
    }
    *body += "<table>\n";
    // The second row is the line below the heads.
    for (number, row) in rows.into_iter().enumerate().filter(|&(number, _)| number != 1) {
        let cell = if number == 0 { "th" } else { "td" };
        *body += "<tr>";
        for text in row.trim().trim_matches('|').split('|') {
            let _ = write!(body, "<{cell}>{}</{cell}>", inline(text.trim(), link));
        }
        *body += "</tr>\n";
    }
    *body += "</table>\n";
}

/// The words of a line.
fn inline(text: &str, link: &LinkTarget) -> String {
    let mut safe = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '[', '*']) {
        let (before, from) = rest.split_at(at);
        safe += &escaped(before);
        let (shown, left) = marked(from, link).unwrap_or_else(|| {
            let (mark, left) = from.split_at(1);
            (escaped(mark), left)
        });
        safe += &shown;
        rest = left;
    }
    safe + &escaped(rest)
}

/// What begins with a mark, and what stands behind it; `None` where nothing ends it.
fn marked<'a>(text: &'a str, link: &LinkTarget) -> Option<(String, &'a str)> {
    if let Some(rest) = text.strip_prefix('`') {
        let (code, left) = rest.split_once('`')?;
        return Some((format!("<code>{}</code>", escaped(code)), left));
    }
    if let Some(rest) = text.strip_prefix("**") {
        let (words, left) = rest.split_once("**")?;
        return Some((format!("<strong>{}</strong>", inline(words, link)), left));
    }
    let (words, behind) = text.strip_prefix('[')?.split_once("](")?;
    let (target, left) = behind.split_once(')')?;
    let words = inline(words, link);
    let shown = match link(target) {
        Some(target) => format!("<a href=\"{}\">{words}</a>", escaped(&target)),
        None => words,
    };
    Some((shown, left))
}

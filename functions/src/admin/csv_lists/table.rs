//! Rows as CSV (RFC 4180).

use super::columns::{Column, columns};
use csv::{Terminator, WriterBuilder};
use license_core::Error;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use utoipa::ToSchema;

/// What a text must not begin with, because spreadsheets take it for a formula (OWASP, *CSV Injection*). Some also take
/// the full-width forms for it.
const FORMULAS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// What a spreadsheet may drop before a formula, or take for the end of a cell: in countries with a decimal comma the
/// semicolon is what it separates cells by, and quotes do not help there, since a cell of ours does not begin with them.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// How rows of one type are written.
pub(super) struct CsvTable(Vec<Column>);

impl CsvTable {
    /// For rows of this type.
    pub(super) fn of<T: ToSchema>() -> Self {
        Self(columns::<T>())
    }

    /// The line with the names of the columns.
    pub(super) fn header(&self) -> license_core::Result<Vec<u8>> {
        written(|writer| writer.write_record(self.0.iter().map(Column::name)))
    }

    /// A line for each row.
    pub(super) fn text<T: Serialize>(&self, rows: impl Iterator<Item = T>) -> license_core::Result<Vec<u8>> {
        written(|writer| {
            for row in rows {
                let row = serde_json::to_value(row).map_err(std::io::Error::from)?;
                writer.write_record(self.0.iter().map(|column| cell(column.value(&row)).into_owned()))?;
            }
            Ok(())
        })
    }
}

fn written(write: impl FnOnce(&mut csv::Writer<&mut Vec<u8>>) -> csv::Result<()>) -> license_core::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(&mut text);
    let done = write(&mut writer).and_then(|()| Ok(writer.flush()?));
    drop(writer);
    done.map_err(|error| Error::internal("a row of a list cannot be written as CSV", error))?;
    Ok(text)
}

/// A value as it is in JSON, a text without its quotes. Null is an empty cell; lists and objects stay JSON.
fn cell(value: Option<&Value>) -> Cow<'_, str> {
    match value {
        None | Some(Value::Null) => "".into(),
        Some(Value::String(text)) => defused(text),
        Some(value) => escaped(value.to_string()).into(),
    }
}

/// The text with an apostrophe before all of it that a spreadsheet would compute.
fn defused(text: &str) -> Cow<'_, str> {
    let harmless = !text.contains(SEPARATORS) && !text.starts_with(FORMULAS);
    if harmless {
        return text.into();
    }
    let (mut defused, mut before) = (String::new(), None);
    for character in text.chars() {
        let begins = before.is_none_or(|before| SEPARATORS.contains(&before));
        let ends_nothing = before.is_none() && character != ';' && SEPARATORS.contains(&character);
        if ends_nothing || (begins && FORMULAS.contains(&character)) {
            defused.push('\'');
        }
        defused.push(character);
        before = Some(character);
    }
    defused.into()
}

/// The same for JSON, where the character is written by its number instead: it is the same JSON. A semicolon is always
/// within a text there, and the other separators are written by their numbers already.
fn escaped(json: String) -> String {
    if !json.contains(';') {
        return json;
    }
    let before = std::iter::once(' ').chain(json.chars());
    let characters = before.zip(json.chars()).map(|(before, character)| {
        let computed = before == ';' && FORMULAS.contains(&character);
        if computed { format!("\\u{:04x}", u32::from(character)) } else { character.to_string() }
    });
    characters.collect()
}

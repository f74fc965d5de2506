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
const FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

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
        Some(value) => value.to_string().into(),
    }
}

/// The text with an apostrophe before it if a spreadsheet would compute it.
fn defused(text: &str) -> Cow<'_, str> {
    if text.starts_with(FORMULAS) { format!("'{text}").into() } else { text.into() }
}

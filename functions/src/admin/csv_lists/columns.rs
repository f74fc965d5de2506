//! The columns of a list: every field of its rows that is one value.
//!
//! They come from the description of the rows in the OpenAPI document and not from the rows, so that a list without
//! rows, and one whose rows all have null where an object may be, has the same header.

use serde_json::Value;
use std::collections::HashMap;
use utoipa::{
    ToSchema,
    openapi::{Object, RefOr, Schema},
};

/// A field of a row, or of an object in it.
pub(super) struct Column(Vec<String>);

impl Column {
    /// The names of the field and of the objects that it is in, with dots between them.
    pub(super) fn name(&self) -> String {
        self.0.join(".")
    }

    /// The field of this row; `None` where an object that it is in is null.
    pub(super) fn value<'a>(&self, row: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(row, |value, name| value.get(name))
    }
}

/// The columns of rows of this type, in the order of their names, but `id` first.
pub(super) fn columns<T: ToSchema>() -> Vec<Column> {
    let mut known = Vec::new();
    T::schemas(&mut known);
    let mut columns = Vec::new();
    add(&T::schema(), &known.into_iter().collect(), &mut Vec::new(), &mut columns);
    columns.sort_by_key(|column| (column.0 != ["id"], column.0.clone()));
    columns
}

fn add(
    schema: &RefOr<Schema>,
    known: &HashMap<String, RefOr<Schema>>,
    names: &mut Vec<String>,
    columns: &mut Vec<Column>,
) {
    if let Some(parts) = parts(schema, known) {
        parts.iter().for_each(|part| add(part, known, names, columns));
        return;
    }
    let Some(object) = object(schema, known) else {
        columns.push(Column(names.clone()));
        return;
    };
    for (name, field) in &object.properties {
        names.push(name.clone());
        add(field, known, names, columns);
        names.pop();
    }
}

/// What a row is put together of, one beside the other.
fn parts<'a>(schema: &'a RefOr<Schema>, known: &'a HashMap<String, RefOr<Schema>>) -> Option<&'a [RefOr<Schema>]> {
    match schema {
        RefOr::Ref(named) => parts(known.get(named.ref_location.rsplit('/').next()?)?, known),
        RefOr::T(Schema::AllOf(all)) => Some(&all.items),
        RefOr::T(_) => None,
    }
}

/// An object whose fields have names of ours, also where it may be null; `None`: a value of one cell.
fn object<'a>(schema: &'a RefOr<Schema>, known: &'a HashMap<String, RefOr<Schema>>) -> Option<&'a Object> {
    match schema {
        RefOr::Ref(named) => object(known.get(named.ref_location.rsplit('/').next()?)?, known),
        RefOr::T(Schema::Object(it)) => (!it.properties.is_empty()).then_some(it),
        RefOr::T(Schema::OneOf(either)) => either.items.iter().find_map(|it| object(it, known)),
        RefOr::T(_) => None,
    }
}

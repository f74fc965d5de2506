//! The columns of a list: every field of its rows that is one value.
//!
//! They come from the description of the rows in the OpenAPI document and not from the rows, so that a list without
//! rows, and one whose rows all have null where an object may be, has the same header.

use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
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
    columns.sort_by_key(|column| column.0 != ["id"]);
    columns
}

fn add(
    schema: &RefOr<Schema>,
    known: &HashMap<String, RefOr<Schema>>,
    names: &mut Vec<String>,
    columns: &mut Vec<Column>,
) {
    let Some(fields) = fields(schema, known) else {
        columns.push(Column(names.clone()));
        return;
    };
    for (name, field) in fields {
        names.push(name.clone());
        add(field, known, names, columns);
        names.pop();
    }
}

/// The fields of an object whose fields have names of ours, by their names, also where it may be null or is put
/// together of several; `None`: a value of one cell.
fn fields<'a>(
    schema: &'a RefOr<Schema>,
    known: &'a HashMap<String, RefOr<Schema>>,
) -> Option<BTreeMap<&'a String, &'a RefOr<Schema>>> {
    match schema {
        RefOr::Ref(named) => fields(known.get(named.ref_location.rsplit('/').next()?)?, known),
        RefOr::T(Schema::Object(it)) => (!it.properties.is_empty()).then(|| it.properties.iter().collect()),
        RefOr::T(Schema::OneOf(either)) => either.items.iter().find_map(|it| fields(it, known)),
        RefOr::T(Schema::AllOf(parts)) => {
            let parts: Option<Vec<_>> = parts.items.iter().map(|it| fields(it, known)).collect();
            Some(parts?.into_iter().flatten().collect())
        }
        RefOr::T(_) => None,
    }
}

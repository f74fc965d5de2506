//! Null and absent, the same everywhere: an answer has every field that is not declared absent by `nullable = false`,
//! null where there is nothing to say; a request's required field is never null, and a parameter never is.

use std::collections::BTreeSet;
use utoipa::openapi::{
    OpenApi as Document, Ref, RefOr,
    path::PathItem,
    schema::{ArrayItems, Object, Schema, SchemaType, Type},
};

/// Makes every schema say so.
pub(super) fn settle(document: &mut Document) {
    rows_by_name(document);
    let sent = asked(document);
    if let Some(components) = &mut document.components {
        for (name, schema) in &mut components.schemas {
            for object in objects(schema) {
                if sent.contains(name) { required_is_there(object) } else { null_is_there(object) }
            }
        }
    }
    for item in document.paths.paths.values_mut() {
        parameters_are_there(item);
        for operation in [&mut item.post, &mut item.put, &mut item.patch].into_iter().flatten() {
            let bodies =
                operation.request_body.iter_mut().filter_map(|it| if let RefOr::T(it) = it { Some(it) } else { None });
            for content in bodies.flat_map(|body| body.content.values_mut()) {
                if let RefOr::T(content) = content {
                    body_is_object(&mut content.schema);
                }
            }
        }
    }
}

/// utoipa writes the rows of a list out; clients want them under their own name.
fn rows_by_name(document: &mut Document) {
    let Some(components) = &mut document.components else { return };
    let mut rows = Vec::new();
    for (name, list) in &mut components.schemas {
        let (Some(row), RefOr::T(Schema::Object(list))) = (name.strip_prefix("ListOf_"), list) else { continue };
        let Some(RefOr::T(Schema::Array(array))) = list.properties.get_mut("items") else { continue };
        if let ArrayItems::RefOrSchema(items) = &mut array.items {
            rows.push((row.to_owned(), std::mem::replace(&mut **items, Ref::from_schema_name(row).into())));
        }
    }
    for (name, row) in rows {
        if let RefOr::T(_) = row {
            components.schemas.entry(name).or_insert(row);
        }
    }
}

/// A body that may be left out is an object all the same, never null.
fn body_is_object(schema: &mut Option<RefOr<Schema>>) {
    if let Some(RefOr::T(Schema::OneOf(either))) = schema
        && let Some(object) = either.items.iter().find(|it| matches!(it, RefOr::Ref(_)))
    {
        *schema = Some(object.clone());
    }
}

/// The schemas of requests, with what they are made of.
fn asked(document: &Document) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in document.paths.paths.values() {
        for operation in [&item.post, &item.put, &item.patch].into_iter().flatten() {
            names.extend(references(&operation.request_body));
        }
    }
    let mut left: Vec<String> = names.iter().cloned().collect();
    let schemas = document.components.as_ref().map(|components| &components.schemas);
    while let Some(name) = left.pop() {
        for inner in schemas.and_then(|schemas| schemas.get(&name)).map(references).unwrap_or_default() {
            if names.insert(inner.clone()) {
                left.push(inner);
            }
        }
    }
    names
}

/// The names of the schemas that something refers to.
fn references(part: &impl serde::Serialize) -> Vec<String> {
    let text = serde_json::to_string(part).unwrap_or_default();
    let start = Ref::from_schema_name("").ref_location;
    text.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// A schema's own object; of one that is put together, each that has no name elsewhere.
fn objects(schema: &mut RefOr<Schema>) -> Vec<&mut Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => vec![object],
        RefOr::T(Schema::AllOf(parts)) => parts.items.iter_mut().flat_map(objects).collect(),
        _ => vec![],
    }
}

fn null_is_there(object: &mut Object) {
    for (name, property) in &object.properties {
        if nullable(property) && !object.required.contains(name) {
            object.required.push(name.clone());
        }
    }
}

fn required_is_there(object: &mut Object) {
    for name in &object.required {
        if let Some(property) = object.properties.get_mut(name) {
            without_null(property);
        }
    }
}

fn nullable(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => null(&array.schema_type),
        RefOr::T(Schema::OneOf(either)) => either.items.iter().any(nullable),
        _ => false,
    }
}

fn null(kind: &SchemaType) -> bool {
    match kind {
        SchemaType::Type(kind) => *kind == Type::Null,
        SchemaType::Array(kinds) => kinds.contains(&Type::Null),
        SchemaType::AnyValue => false,
    }
}

fn without_null(schema: &mut RefOr<Schema>) {
    let kind = match schema {
        RefOr::T(Schema::Object(object)) => &mut object.schema_type,
        RefOr::T(Schema::Array(array)) => &mut array.schema_type,
        _ => return,
    };
    if let SchemaType::Array(kinds) = kind {
        kinds.retain(|kind| *kind != Type::Null);
        if let [one] = kinds.as_slice() {
            *kind = SchemaType::Type(one.clone());
        }
    }
}

fn parameters_are_there(item: &mut PathItem) {
    let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    for parameter in operations.into_iter().flatten().flat_map(|operation| operation.parameters.iter_mut().flatten()) {
        if let RefOr::T(parameter) = parameter
            && let Some(schema) = &mut parameter.schema
        {
            without_null(schema);
        }
    }
}

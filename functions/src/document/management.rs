//! What the access table and the gate add to every operation of the management API.

use crate::admin::{
    access::{AccessRule, LeastRole, rule_of},
    csv_lists::KIND,
    step_up::is_guarded,
};
use utoipa::openapi::{
    Content, Header, Ref, RefOr, Required, Response,
    extensions::ExtensionsBuilder,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Schema, SchemaFormat, Type},
    security::SecurityRequirement,
};

/// Adds who may do it, the parameters that every such operation has, and what the gate refuses; nothing to operations
/// of other services.
pub(super) fn describe(operation: &mut Operation, method: &str, path: &str) {
    let Some(rule) = rule_of(method, path) else { return };
    who(operation, rule);
    parameters(operation, method, path);
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with('2')
        {
            for name in ["RateLimit", "RateLimit-Policy"] {
                response.headers.insert(name.to_owned(), header(name));
            }
            as_csv(response);
        }
    }
}

/// A list is also answered as CSV, and so is a series, which has no next part.
fn as_csv(response: &mut Response) {
    let is = |name: &str| {
        response.content.values().any(|content| match content {
            RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => schema.ref_location.contains(name),
            _ => false,
        })
    };
    let is_list = is("/ListOf_");
    if is_list || is("/schemas/Usage") {
        let text = ObjectBuilder::new().schema_type(Type::String).description(Some(
            "The same rows (RFC 4180): a line with the names of the columns, then one for each row.",
        ));
        response.content.insert(KIND.to_owned(), RefOr::T(Content::new(Some(text.build()))));
    }
    if is_list {
        response.headers.insert("Link".to_owned(), header("Link"));
    }
}

pub(super) fn header(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}

fn who(operation: &mut Operation, rule: &AccessRule) {
    let scope = rule.scope.map(|scope| scope.as_str());
    let who = match scope {
        Some(scope) => format!("Least role: {}. Scope of an API token: `{scope}`.", rule.least.as_str()),
        None => format!("Least role: {}. Not for API tokens.", rule.least.as_str()),
    };
    let who = match rule.vendor {
        Some(scope) => format!("{who} Scope of a vendor token: `{}`.", scope.as_str()),
        None => who,
    };
    let who = if is_guarded(rule) && rule.least != LeastRole::Staff {
        format!("{who} The organization may demand a fresher or stronger sign-in (RFC 9470).")
    } else {
        who
    };
    operation.description = Some(operation.description.take().map_or(who.clone(), |text| format!("{text}\n\n{who}")));
    // For code that is generated: what may be shown to whom.
    let least = ExtensionsBuilder::new().add("x-least", rule.least.as_str());
    let vendor = rule.vendor.map(|scope| scope.as_str());
    let said = scope.into_iter().fold(least, |said, scope| said.add("x-scope", scope));
    let said = vendor.into_iter().fold(said, |said, scope| said.add("x-vendor-scope", scope)).build();
    operation.extensions.get_or_insert_default().merge(said);
    let schemes = [
        ("person", rule.least != LeastRole::Staff),
        ("token", scope.is_some()),
        ("staff", rule.least != LeastRole::Person),
        ("vendor", vendor.is_some()),
    ];
    let may = schemes.into_iter().filter(|(_, may)| *may);
    operation.security = Some(may.map(|(name, _)| SecurityRequirement::new(name, Vec::<String>::new())).collect());
}

fn parameters(operation: &mut Operation, method: &str, path: &str) {
    let parameters = operation.parameters.get_or_insert_default();
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        if !has(parameters, name) {
            let id = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".into())));
            let text = format!("The id of the {}.", name.replace('_', " "));
            parameters.push(parameter(name, ParameterIn::Path, Required::True, text, id.build()));
        }
    }
    if method == "POST" && path.contains("{organization}") && !has(parameters, "Idempotency-Key") {
        let text = "Drawn once for what you want done: the same request again is done once and answered the same.";
        let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).build();
        parameters.push(parameter("Idempotency-Key", ParameterIn::Header, Required::False, text.to_owned(), key));
    }
}

fn has(parameters: &[RefOr<Parameter>], name: &str) -> bool {
    parameters.iter().any(|parameter| matches!(parameter, RefOr::T(known) if known.name == name))
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
    text: String,
    schema: impl Into<Schema>,
) -> RefOr<Parameter> {
    let built = ParameterBuilder::new().name(name).parameter_in(place).required(required).description(Some(text));
    RefOr::T(built.schema(Some(schema.into())).build())
}

/// What the gate and the layers refuse of such an operation, as statuses with codes.
pub(super) fn refusals(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut refusals = vec![
        ("401", "token_invalid, token_expired, insufficient_user_authentication"),
        ("403", "insufficient_role, insufficient_scope, address_not_allowed"),
        ("429", "rate_limited"),
        ("503", "records_unavailable, seats_unavailable, identity_unavailable"),
    ];
    let parameters = operation.parameters.iter().flatten();
    let parameters: Vec<&Parameter> =
        parameters.filter_map(|it| if let RefOr::T(it) = it { Some(it) } else { None }).collect();
    if parameters.iter().any(|it| it.parameter_in == ParameterIn::Path) {
        refusals.push(("404", "not_found"));
    }
    if parameters.iter().any(|it| it.parameter_in == ParameterIn::Query) {
        refusals.push(("422", "invalid_request"));
    }
    if parameters.iter().any(|it| it.name == "Idempotency-Key") {
        // The whole body is read to know whether it is the same.
        refusals.extend([("400", "invalid_request"), ("408", "request_timeout"), ("413", "payload_too_large")]);
        refusals.push(("422", "invalid_request, idempotency_key_reused"));
    }
    refusals
}

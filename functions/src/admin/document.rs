//! The OpenAPI description of the management API: what the handlers say of themselves, and what the access table and the rim say of all.

use super::{
    access::{Least, Rule, rule_of},
    operations,
};
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        HttpMethod, OpenApi as Document, RefOr, Response,
        content::Content,
        path::{Operation, ParameterBuilder, ParameterIn, PathItem},
        response::ResponseBuilder,
        schema::{ObjectBuilder, Ref, Schema, SchemaFormat, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

/// An answer that is a refusal or an error (RFC 9457). Each code has a section in docs/ERRORS.md.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"type": "https://docs.example/license-server/errors/not_found", "title": "Not found", "status": 404,
    "detail": "There is nothing of this id here, or nothing that you may see.", "code": "not_found", "request_id": "01a1fc28-9c4b-7096-b2f2-f5d5a5372872"}))]
struct Problem {
    /// The page that explains the code.
    r#type: String,
    /// The same for every occurrence of the code.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do, for this request.
    detail: String,
    /// The code, for programs.
    code: String,
    /// What the log has it under.
    request_id: Option<String>,
    /// With `invalid_request`: what is wrong with which field.
    errors: Option<Vec<FieldProblem>>,
    /// With `insufficient_role` and `insufficient_scope`: what it takes.
    required: Option<String>,
}

/// A field of the request and what is wrong with it.
#[derive(Serialize, ToSchema)]
struct FieldProblem {
    /// The field, header or parameter.
    field: String,
    /// What is wrong with it.
    problem: String,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "License server", description = "Organizations, their people, licenses and sessions. See docs/API.md.",
         license(name = "MIT", identifier = "MIT")),
    servers((url = "/", description = "Every path as it is served behind one address")),
    tags((name = "Organizations", description = "Customers"), (name = "People", description = "Who belongs to an organization, and what they may do"),
         (name = "Sessions", description = "Who is on which seat, and who was"), (name = "Projects", description = "What sessions can be told apart by besides the license"),
         (name = "Licenses", description = "What was bought, and the use of it"), (name = "Plans", description = "What can be bought"),
         (name = "API tokens", description = "What scripts of an organization authenticate with"),
         (name = "Audit log", description = "Who did what, to what, from where"),
         (name = "Staff", description = "The vendor's own")),
    components(schemas(Problem, FieldProblem))
)]
struct Base;

/// The description of every operation there is.
pub fn document() -> Document {
    let mut document = Base::openapi();
    document.merge(operations().into_openapi());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in methods(item) {
            if let Some(rule) = rule_of(method_name(&method), path) {
                describe(operation, rule, path);
            }
        }
    }
    let bearer = |description: &str| {
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.description = Some(description.to_owned());
        SecurityScheme::Http(http)
    };
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("person", bearer("The ID token of somebody of the organization."));
    components.add_security_scheme("token", bearer("An API token, cdt_live_…, with the operation's scope."));
    components
        .add_security_scheme("staff", bearer("The ID token of somebody of the vendor, of the staff's own audience."));
    document
}

/// The operations of a path with their methods.
fn methods(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?))).collect()
}

const fn method_name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Patch => "PATCH",
        _ => "DELETE",
    }
}

/// Adds what the access table, the gate and the rim do to every operation.
fn describe(operation: &mut Operation, rule: &Rule, path: &str) {
    let scope = rule.scope.map(|scope| scope.as_str());
    let who = match scope {
        Some(scope) => format!("Least role: {}. Scope of an API token: `{scope}`.", rule.least.as_str()),
        None => format!("Least role: {}. Not for API tokens.", rule.least.as_str()),
    };
    operation.description = Some(operation.description.take().map_or(who.clone(), |text| format!("{text}\n\n{who}")));
    let mut security = vec![];
    if rule.least != Least::Staff {
        security.push(SecurityRequirement::new("person", Vec::<String>::new()));
    }
    if scope.is_some() {
        security.push(SecurityRequirement::new("token", Vec::<String>::new()));
    }
    if rule.least != Least::Person {
        security.push(SecurityRequirement::new("staff", Vec::<String>::new()));
    }
    operation.security = Some(security);

    let parameters = operation.parameters.get_or_insert_default();
    for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        if !parameters.iter().any(|parameter| matches!(parameter, RefOr::T(known) if known.name == name)) {
            let id = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("uuid".into())));
            parameters.push(RefOr::T(
                ParameterBuilder::new()
                    .name(name)
                    .parameter_in(ParameterIn::Path)
                    .required(utoipa::openapi::Required::True)
                    .description(Some(format!("The id of the {}.", name.replace('_', " "))))
                    .schema(Some(Schema::from(id.build())))
                    .build(),
            ));
        }
    }
    let (body, query) = (operation.request_body.is_some(), !parameters.is_empty());
    let mut errors = vec![
        ("401", "token_invalid, token_expired"),
        ("403", "insufficient_role, insufficient_scope"),
        ("429", "rate_limited"),
        ("500", "internal"),
        ("503", "records_unavailable, seats_unavailable, identity_unavailable"),
    ];
    if path.contains('{') {
        errors.push(("404", "not_found: nothing of that id, or nothing you may see"));
    }
    if body {
        errors.extend([
            ("400", "invalid_request: not JSON"),
            ("413", "payload_too_large"),
            ("415", "unsupported_media_type"),
        ]);
    }
    if body || query {
        errors.push(("422", "invalid_request: names each wrong field"));
    }
    for (status, codes) in errors {
        let response = RefOr::T(ResponseBuilder::new().description(codes).build());
        operation.responses.responses.entry(status.to_owned()).or_insert(response);
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
        {
            problem(response);
        }
    }
}

fn problem(response: &mut Response) {
    let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
    response.content.insert("application/problem+json".to_owned(), RefOr::T(content));
}

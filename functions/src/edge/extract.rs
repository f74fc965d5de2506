//! Taking a request apart: JSON bodies, bearer credentials, and fields that are checked together.

use super::{Problem, connection_limit::ConnectionEvicted};
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use license_core::{ProblemCode, domain::pasted};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use std::{borrow::Cow, fmt};

/// The largest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// A JSON object as request body: 415 if declared as something else, 413 if too large, 400 if not JSON, 422 if JSON but
/// not a `T`.
///
/// `T` must `deny_unknown_fields`. Texts never repeat a value of the request, since it may be a secret.
pub struct JsonBody<T>(pub T);

/// Like [`JsonBody`], but an empty body, with whatever content type, counts as an object without fields.
pub struct JsonOrEmpty<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        parse(&read(request).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonOrEmpty<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let content_type = check_content_type(request.headers());
        let body = read(request).await?;
        if body.is_empty() {
            return parse(b"{}").map(Self);
        }
        content_type?;
        parse(&body).map(Self)
    }
}

/// The parameters of the path's query, each given once, as a `T` whose fields are texts: 422 for an unknown one.
pub struct QueryParameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let mut given = serde_json::Map::new();
        for (name, value) in form_urlencoded::parse(query) {
            // Its name may be anything, a secret too: only names that a field could have are repeated.
            let plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let field = if plain { name.clone().into_owned() } else { "query".to_owned() };
            if value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(Problem::invalid(&field, "is not UTF-8, percent-encoded"));
            }
            // An empty one counts as absent: forms send what nobody filled in.
            if !value.is_empty() && given.insert(name.into_owned(), value.into_owned().into()).is_some() {
                return Err(Problem::invalid(&field, "is given twice"));
            }
        }
        serde_json::from_value(given.into()).map(Self).map_err(|error| {
            let (field, problem) = explain(".", &error.to_string());
            Problem::invalid(&field, problem)
        })
    }
}

/// The whole body, at most [`MAX_BODY`] bytes.
///
/// # Errors
/// 413 when it is larger, 400 when the client went away before its end: its doing, and no outage of ours. 408 when its
/// connection was needed for others before it had sent all.
pub async fn read(request: Request) -> Result<Bytes, Problem> {
    let mut body = Limited::new(request.into_body(), MAX_BODY);
    // Copied: a frame of one byte would keep the whole buffer in which it came, and a body may be as many frames as it
    // has bytes.
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => whole.extend_from_slice(&frame.into_data().unwrap_or_default()),
            // axum wraps the body's errors: the limit is somewhere down the chain.
            Err(error) if caused_by::<LengthLimitError>(&*error) => return Err(too_large()),
            Err(error) if caused_by::<ConnectionEvicted>(&*error) => {
                let detail = "The whole body had not arrived when its connection was needed for others, \
                    and nothing was done. Send the request again.";
                return Err(Problem::new(ProblemCode::RequestTimeout, detail));
            }
            Err(_) => return Err(Problem::not_json("the connection ended before the whole body had arrived")),
        }
    }
    Ok(whole.into())
}

pub(super) fn too_large() -> Problem {
    Problem::new(ProblemCode::PayloadTooLarge, "The body is larger than 64 KiB, which no request of this API needs.")
}

fn caused_by<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<E>() || error.source().is_some_and(caused_by::<E>)
}

/// `application/json` and its relatives; none at all is fine, since a body of this API can be nothing else.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if json {
        return Ok(());
    }
    let detail = if essence == "application/x-www-form-urlencoded" {
        "The body is declared as a form, which is what curl -d does unless told otherwise. Send JSON and say so: \
         curl --json '{…}', or curl -H 'Content-Type: application/json' -d '{…}'."
    } else {
        "The body is declared as something else than JSON. Send JSON with Content-Type: application/json."
    };
    Err(Problem::new(ProblemCode::UnsupportedMediaType, detail))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::not_json("is empty; send a JSON object"));
    }
    // Looked at as a whole first: a body that is not JSON is 400 even where a wrong field comes before the error.
    serde_json::from_slice::<IgnoredAny>(body).map_err(|error| not_json(&error))?;
    // serde reads a list as a struct's fields in order; nobody means that.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::invalid("body", "must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| match error.inner().classify() {
        Category::Data => {
            let (field, problem) = explain(&error.path().to_string(), &error.inner().to_string());
            Problem::invalid(&field, problem)
        }
        Category::Syntax | Category::Eof | Category::Io => not_json(error.inner()),
    })
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::not_json(format!("is not JSON; the error is at line {}, column {}", error.line(), error.column()))
}

/// serde's message as a field and what is wrong with it, without the value it may quote.
fn explain(path: &str, message: &str) -> (String, Cow<'static, str>) {
    let quoted = || message.split('`').nth(1).unwrap_or_default();
    let within = |name: &str| match path {
        "." | "" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if message.starts_with("unknown field") {
        (within(quoted()), "is not a field of this request".into())
    } else if message.starts_with("missing field") {
        (within(quoted()), "is required".into())
    } else if message.starts_with("duplicate field") {
        (within(quoted()), "is given twice".into())
    } else if let Some((_, expected)) = message.split_once(", expected ") {
        (path.to_owned(), format!("must be {}", expected.split(" at line ").next().unwrap_or_default()).into())
    } else {
        (path.to_owned(), "is not valid".into())
    }
}

/// The credential of `Authorization: Bearer <credential>`: opaque here, never printed.
pub struct BearerCredential(pub String);

impl fmt::Debug for BearerCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[bearer]")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BearerCredential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::token_invalid("Send the credential as a header: Authorization: Bearer <credential>.");
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
        let text = std::str::from_utf8(value.as_bytes()).ok();
        let (scheme, credential) = text.and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
        let credential = credential.trim();
        // Two credentials are none.
        if credential.contains([' ', '\t']) {
            return Err(missing());
        }
        let credential = pasted::clean_word(credential);
        // The characters of RFC 6750, section 2.1.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if !scheme.eq_ignore_ascii_case("bearer") || credential.is_empty() || !credential.bytes().all(fits) {
            return Err(missing());
        }
        Ok(Self(credential.into_owned()))
    }
}

/// Checks the fields of a request together, so that one answer names everything that is wrong.
#[derive(Default)]
pub struct FieldChecks(Vec<(String, Cow<'static, str>)>);

impl FieldChecks {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field that must be there, read by `parse`; `None` if it is wrong, which [`FieldChecks::check`] will say.
    pub fn required<V: ?Sized, T, E: fmt::Display>(
        &mut self,
        field: &str,
        value: Option<&V>,
        parse: impl FnOnce(&V) -> Result<T, E>,
    ) -> Option<T> {
        if value.is_none() {
            self.wrong(field, "is required");
        }
        self.optional(field, value, parse)
    }

    /// A field that may be missing, read by `parse`; `None` if it is missing or wrong.
    pub fn optional<V: ?Sized, T, E: fmt::Display>(
        &mut self,
        field: &str,
        value: Option<&V>,
        parse: impl FnOnce(&V) -> Result<T, E>,
    ) -> Option<T> {
        parse(value?).map_err(|problem| self.wrong(field, problem.to_string())).ok()
    }

    /// Notes that a field is wrong.
    pub fn wrong(&mut self, field: &str, problem: impl Into<Cow<'static, str>>) {
        self.0.push((field.to_owned(), problem.into()));
    }

    /// 422 naming every wrong field, or the values themselves, each of which then was read.
    pub fn check<T>(self, values: Option<T>) -> Result<T, Problem> {
        match values {
            Some(values) if self.0.is_empty() => Ok(values),
            _ => Err(Problem::invalid_fields(self.0)),
        }
    }
}

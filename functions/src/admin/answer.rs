//! What the operations of the management API have in common: versions and pages.

pub(super) use crate::refusals::{insufficient_role, not_found};

use crate::{
    edge::{FieldChecks, Problem},
    refusals::{read, version_mismatch},
};
use axum::{
    extract::{FromRequestParts, RawPathParams},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use license_core::records::{ListedRows, PageCursor, PageRequest};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;
use uuid::Uuid;

/// The longest page.
const MAX_LIMIT: u16 = 100;

/// A body that says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmptyBody {}

/// `If-Match`: the version an edit is meant for; `None` where there is none or it is `*`.
pub(super) struct IfMatch(pub(super) Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
        // A tag that is none of ours matches nothing (RFC 9110, section 13.1.1).
        version.map(|version| Self(Some(version))).ok_or_else(version_mismatch)
    }
}

/// A thing with its version as `ETag` (RFC 9110, section 8.8.3).
pub(super) fn versioned(status: StatusCode, version: i64, body: impl Serialize) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// The license that something is about.
#[derive(Serialize, ToSchema)]
pub(super) struct OfLicense {
    pub(super) id: Uuid,
    pub(super) number: String,
    pub(super) product: String,
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListOf<T> {
    /// The rows, at most `limit`.
    items: Vec<T>,
    /// Send it as `cursor` for the next page; null on the last.
    #[schema(example = "AZofwoyXcL6BEkv9sOqxCQ")]
    next_cursor: Option<String>,
}

impl<T> ListOf<T> {
    pub(super) fn new<R>(listed: ListedRows<R>, dress: impl Fn(R) -> T) -> axum::Json<Self> {
        let next_cursor = listed.next.map(|cursor| cursor.to_string());
        axum::Json(Self { items: listed.items.into_iter().map(dress).collect(), next_cursor })
    }
}

/// The part of a list that `limit` and `cursor` ask for; what is wrong with them goes into `fields`.
pub(super) fn page(fields: &mut FieldChecks, limit: Option<&str>, cursor: Option<&str>) -> PageRequest {
    page_of(fields, limit, cursor, (MAX_LIMIT, PageRequest::FIRST.limit))
}

/// The same of a list whose pages have up to `most` rows, and `unless_said` where nothing is said.
pub(super) fn page_of(
    fields: &mut FieldChecks,
    limit: Option<&str>,
    cursor: Option<&str>,
    (most, unless_said): (u16, u16),
) -> PageRequest {
    let limit = fields.optional("limit", limit, |text| {
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| format!("must be a whole number from 1 to {most}"))
    });
    let after = fields.optional("cursor", cursor, read::<PageCursor>);
    PageRequest { after, limit: limit.unwrap_or(unless_said) }
}

/// A time of a request: RFC 3339, with an offset.
pub(super) fn time(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "must be a time as RFC 3339 writes it, such as 2026-11-21T03:31:22Z")
}

/// The id at the end of the path, or before its verb, of what is asked about; one that is none names nothing.
pub(super) struct PathTarget<T>(pub(super) T);

impl<T: std::str::FromStr, S: Send + Sync> FromRequestParts<S> for PathTarget<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = RawPathParams::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        named.iter().last().and_then(|(_, id)| id.parse().ok()).map(Self).ok_or_else(not_found)
    }
}

/// The last two ids of the path: of what something belongs to, and of that itself.
pub(super) struct PathTargets<A, B>(pub(super) A, pub(super) B);

impl<A: std::str::FromStr, B: std::str::FromStr, S: Send + Sync> FromRequestParts<S> for PathTargets<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = RawPathParams::from_request_parts(parts, state).await.map_err(|_| not_found())?;
        let ids: Vec<&str> = named.iter().map(|(_, id)| id).collect();
        let [.., owner, target] = ids[..] else { return Err(not_found()) };
        let parsed = owner.parse().ok().zip(target.parse().ok());
        parsed.map(|(owner, target)| Self(owner, target)).ok_or_else(not_found)
    }
}

//! The public keys that clients pin.

use super::AcquireService;
use crate::edge::Problem;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use std::sync::Arc;
use utoipa::ToSchema;

/// The root keys as a JWK set (RFC 7517): the current one first, then the next one if there is one.
// In the words of the document; core's own `Jwks` is what is sent, and knows no documents.
#[derive(ToSchema)]
#[schema(as = LicenseKeys)]
#[expect(dead_code, reason = "describes what core writes")]
struct RootKeySet {
    /// At most two.
    keys: Vec<RootJwk>,
}

/// A root key, RSA-4096.
#[derive(ToSchema)]
#[schema(as = RootKey, example = json!({"kty": "RSA", "alg": "RS256", "use": "sig",
    "kid": "q3B1Zq0aWmQ2mI0b3gVQqg5mGm6m1Wn6o2w9c0c7r2A", "n": "0vx7agoebGcQ…", "e": "AQAB"}))]
#[expect(dead_code, reason = "describes what core writes")]
struct RootJwk {
    /// `RSA`.
    kty: String,
    /// `RS256`.
    alg: String,
    /// `sig`.
    r#use: String,
    /// The key's thumbprint (RFC 7638).
    kid: String,
    /// The modulus, in base64url.
    n: String,
    /// The exponent, in base64url.
    e: String,
}

/// The public keys
///
/// What certificates of answers are signed with. Clients pin these keys: what is fetched at run time proves nothing.
/// May be cached for five minutes.
// Five minutes old is fine, since the next key is published long before it signs.
#[utoipa::path(get, path = "/.well-known/license-keys", tag = "Seats", operation_id = "license_keys", security(),
    responses((status = 200, description = "The keys", body = RootKeySet),
              (status = 503, description = "records_unavailable, signer_unavailable")))]
pub(super) async fn keys(State(service): State<Arc<AcquireService>>) -> Result<Response, Problem> {
    let keys = service.protocol.signer().jwks().await?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], axum::Json(keys)).into_response())
}

//! register: a person who signed in gets an organization, and its first license with its key.

use crate::{
    answer,
    edge::{
        Bearer, Fields, JsonOrEmpty, Problem,
        config::{self, Env},
        rate::ByAddress,
        rim::about,
        serve::{Check, Service, StartError},
        telemetry::Outcome as Label,
    },
    rooms, words,
};
use axum::{
    Extension, Router,
    extract::State as From,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{StatusCode, request::Parts};
use license_core::{
    Clock, Code,
    domain::{key::LicenseKey, rate::Rate, secret::KeyRing},
    identity::{Claims, Refused, Verifier},
    records::{NewOrganization, Records, Registered, Registration, Role},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What register may touch: no seats, no signing key.
#[derive(Clone)]
pub struct State {
    /// As [`Role::Admin`].
    pub records: Records,
    /// Knows who signed the person in.
    pub verifier: Verifier,
    /// Under which license keys are hashed.
    pub peppers: Arc<KeyRing>,
    /// For each address.
    pub limit: ByAddress,
}

/// `POST /api/v1/auth/register`.
pub fn router(state: State) -> Router {
    Router::new().route("/api/v1/auth/register", post(register)).with_state(state)
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Env, clock: Clock) -> Result<Service, StartError> {
    let records = rooms::records(env, Role::Admin)?;
    let verifier = Verifier::new(config::identity(env)?, clock.clone());
    let asked = records.clone();
    let check = Check::new("records", move || {
        let records = asked.clone();
        async move { records.ready().await }
    });
    let peppers = Arc::new(config::peppers(env)?);
    let seats = rooms::seats(env, config::timing(env)?, clock)?;
    let limit = rooms::by_address(env, "register", "RATE_REGISTER", Rate::per_minute(5), seats)?;
    Ok(Service { router: router(State { records, verifier, peppers, limit }), checks: vec![check] })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    organization_name: Option<String>,
    product: Option<String>,
}

async fn register(
    From(state): From<State>,
    parts: Parts,
    bearer: Bearer,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::new();
    let name = fields.optional("organization_name", body.organization_name.as_deref(), words::name);
    let product = fields.optional("product", body.product.as_deref(), words::slug);
    fields.check(Some(()))?;
    let standing = state.limit.admit(&parts).await?;
    let claims = state.verifier.verify(&bearer.0).await?.map_err(refused)?;
    let new = newcomer(claims, name, product)?;
    let mut answered = match state.records.register(&new, &state.peppers).await? {
        Registration::Created(made) => answer(StatusCode::CREATED, "created", &made, &new.email),
        Registration::Existing(found) => answer(StatusCode::OK, "existing", &found, &new.email),
        Registration::NoProduct => return Err(Problem::invalid("product", "is not a product of this server")),
    };
    if let Some(standing) = standing {
        standing.write(&mut answered);
    }
    Ok(answered)
}

fn refused(why: Refused) -> Problem {
    let code = if why == Refused::Expired { Code::TokenExpired } else { Code::TokenInvalid };
    Problem::new(code, format!("{why}."))
}

/// Who asks. Only a verified address is believed: the organization will be known by it.
fn newcomer(claims: Claims, name: Option<String>, product: Option<String>) -> Result<NewOrganization, Problem> {
    let email = claims.email.filter(|email| claims.email_verified && !email.is_empty());
    let unverified =
        "The identity provider has not verified an e-mail address of this account. Verify it there and sign in again.";
    let email = email.ok_or_else(|| Problem::token_invalid(unverified))?;
    let person = claims.name.and_then(|name| words::name(&name).ok());
    let organization = name.or_else(|| person.clone()).unwrap_or_else(|| short(&email));
    Ok(NewOrganization { issuer: claims.issuer, subject: claims.subject, email, person, organization, product })
}

fn short(email: &str) -> String {
    email.chars().take(200).collect()
}

fn answer(status: StatusCode, label: &'static str, registered: &Registered, email: &str) -> Response {
    let license = &registered.license;
    about(Some(registered.tenant), Some(license.number));
    let body = json!({
        "organization": {
            "id": registered.tenant,
            "name": registered.organization,
            "created_at": answer::rfc3339(registered.created_at),
        },
        "user": { "id": registered.user, "email": email, "role": registered.role },
        "license": {
            "id": license.id,
            "number": license.number,
            "key": registered.key.as_ref().map_or(Value::Null, |key: &LicenseKey| key.reveal().into()),
            "product": license.product,
            "tier": license.tier,
            "status": license.status,
            "seats_total": license.seats_total,
            "expires_at": license.expires_at.map(answer::rfc3339),
        },
    });
    (status, Extension(Label(label)), axum::Json(body)).into_response()
}

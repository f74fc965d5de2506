//! register: a person who signed in gets an organization, and its first license with its key; or joins the one that invited them.

use crate::{
    answer,
    edge::{
        Bearer, Fields, JsonOrEmpty, Problem,
        config::{self, Env},
        rate::ByAddress,
        rim::{about, request_id},
        serve::{Check, Service, StartError},
        telemetry::Outcome as Label,
    },
    rooms, words,
};
use axum::{
    Extension, Router,
    extract::State as Extract,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{StatusCode, request::Parts};
use license_core::{
    Clock, Code,
    domain::{
        key::LicenseKey,
        opaque::{Kind, Opaque},
        rate::Rate,
        secret::KeyRing,
    },
    identity::{Claims, Refused, Verifier},
    records::{Joining, NewOrganization, Records, Registered, Registration, Role},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{net::IpAddr, sync::Arc};

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
    invitation: Option<String>,
}

async fn register(
    Extract(state): Extract<State>,
    parts: Parts,
    bearer: Bearer,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::new();
    let name = fields.optional("organization_name", body.organization_name.as_deref(), words::name);
    let product = fields.optional("product", body.product.as_deref(), words::slug);
    if body.invitation.is_some() {
        // Who is invited joins what there is: it has its name, and its licenses.
        let without = "cannot be sent with an invitation";
        for (field, value) in [("organization_name", &body.organization_name), ("product", &body.product)] {
            if value.is_some() {
                fields.wrong(field, without);
            }
        }
    }
    fields.check(Some(()))?;
    let standing = state.limit.admit(&parts).await?;
    let claims = state.verifier.verify(&bearer.0).await?.map_err(refused)?;
    let person = Person::of(claims, state.limit.address(&parts))?;
    let mut answered = match body.invitation {
        Some(secret) => join(&state, person, &secret).await?,
        None => found(&state, person, name, product).await?,
    };
    if let Some(standing) = standing {
        standing.write(&mut answered);
    }
    Ok(answered)
}

/// An organization of the person's own, or the one they have.
async fn found(state: &State, it: Person, name: Option<String>, product: Option<String>) -> Result<Response, Problem> {
    let organization = name.or_else(|| it.name.clone()).unwrap_or_else(|| it.email.chars().take(200).collect());
    let new = NewOrganization {
        issuer: it.issuer,
        subject: it.subject,
        email: it.email,
        person: it.name,
        organization,
        product,
        from: it.from,
        request_id: request_id(),
    };
    match state.records.register(&new, &state.peppers).await? {
        Registration::Created(made) => Ok(answer(StatusCode::CREATED, "created", &made, &new.email)),
        Registration::Existing(found) => Ok(answer(StatusCode::OK, "existing", &found, &new.email)),
        Registration::NoProduct => Err(Problem::invalid("product", "is not a product of this server")),
    }
}

/// The organization that invited the person. A secret that is none and one that nobody was given are the same: there is no such invitation.
async fn join(state: &State, it: Person, secret: &str) -> Result<Response, Problem> {
    let secret = Opaque::parse(Kind::Invitation, secret.trim()).ok_or_else(no_invitation)?;
    let joining = Joining {
        secret,
        issuer: it.issuer,
        subject: it.subject,
        email: it.email,
        person: it.name,
        from: it.from,
        request_id: request_id(),
    };
    let joined = state.records.join(&joining).await?.map_err(|refused| match refused {
        license_core::records::Refused::Conflict(detail) => Problem::new(Code::Conflict, detail),
        _ => no_invitation(),
    })?;
    about(Some(joined.organization.id), None);
    let (status, label) = if joined.first { (StatusCode::CREATED, "joined") } else { (StatusCode::OK, "existing") };
    let body = json!({
        "organization": {
            "id": joined.organization.id,
            "name": joined.organization.name,
            "created_at": answer::rfc3339(joined.organization.created_at),
        },
        "user": { "id": joined.user, "email": joining.email, "role": joined.role },
        "license": null,
    });
    Ok((status, Extension(Label(label)), axum::Json(body)).into_response())
}

fn no_invitation() -> Problem {
    Problem::new(Code::NotFound, "There is no such invitation. Copy the whole of it, from cdi_ to its end.")
}

fn refused(why: Refused) -> Problem {
    let code = if why == Refused::Expired { Code::TokenExpired } else { Code::TokenInvalid };
    Problem::new(code, format!("{why}."))
}

/// Who asks. Only a verified address is believed: the person will be known by it.
struct Person {
    issuer: String,
    subject: String,
    email: String,
    name: Option<String>,
    from: Option<IpAddr>,
}

impl Person {
    fn of(claims: Claims, from: Option<IpAddr>) -> Result<Self, Problem> {
        let email = claims.email.filter(|email| claims.email_verified && !email.is_empty());
        let unverified = "The identity provider has not verified an e-mail address of this account. Verify it there and sign in again.";
        let email = email.ok_or_else(|| Problem::token_invalid(unverified))?;
        let name = claims.name.and_then(|name| words::name(&name).ok());
        Ok(Self { issuer: claims.issuer, subject: claims.subject, email, name, from })
    }
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

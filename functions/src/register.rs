//! register: a person who signed in gets an organization, and its first license with its key; or joins the one that
//! invited them.

use crate::{
    admin::credential::{in_force, token_rejected},
    edge::{
        BearerCredential, FieldChecks, JsonOrEmpty, Problem,
        config::{Environment, RegisterConfig},
        context::{about, request_id},
        credential_guesses::CredentialGuesses,
        names,
        rate::ByAddress,
        serve::{Service, StartError, StoreCheck},
        telemetry::MetricOutcome,
    },
    wiring,
};
use axum::{
    Extension, Json, Router,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use license_core::{
    Clock, ProblemCode,
    domain::{
        id::{LicenseId, LicenseNumber, TenantId, UserId},
        key::LicenseKey,
        opaque::{OpaqueSecret, SecretKind},
        secret::KeyRing,
        step_up::SignIn,
    },
    identity::{IdentityVerifier, VerifiedClaims, VerifyError},
    management::{JoinRequest, Management, NewMember, NewOrganization},
    records::{DatabaseRole, Records, RegisteredTenant, VerifiedPerson},
    refusal::{ChangeError, ChangeRefusal},
};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Admin;

/// What register may touch: no seats, no signing key.
#[derive(Clone)]
pub struct RegisterService {
    /// As [`DatabaseRole::Admin`].
    pub records: Records,
    /// Registers and lets people join.
    pub management: Management,
    /// Knows who signed the person in.
    pub verifier: IdentityVerifier,
    /// Under which license keys are hashed.
    pub peppers: Arc<KeyRing>,
    /// For each address, since whoever makes new identities makes as many as they like; for each person where one was
    /// invited, since then an organization vouches for them and many may sit behind one address.
    pub limit: ByAddress,
    /// Wrong credentials from each address: ID tokens and invitations.
    pub credential_guesses: CredentialGuesses,
}

/// `POST /api/v1/auth/register`.
pub fn router(service: RegisterService) -> Router {
    operations().split_for_parts().0.with_state(service)
}

/// The paths with their handlers; the document is made of the same list.
pub(crate) fn operations() -> OpenApiRouter<RegisterService> {
    OpenApiRouter::new().routes(routes!(register))
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    let RegisterConfig { stores, peppers, credentials, limit } = RegisterConfig::from_env(env)?;
    let peppers = Arc::new(peppers);
    let tokens = wiring::access_tokens(&stores.token_source, &clock);
    let records = wiring::records(&stores.records, ROLE, &tokens)?.sealing(peppers.clone());
    let seats = wiring::seats(&stores.redis, stores.timing, &tokens, clock.clone())?;
    let credential_guesses = wiring::credential_guesses(&credentials, seats.clone(), clock.clone());
    let limit = wiring::by_address("register", limit, credentials.proxies, seats);
    let verifier = IdentityVerifier::new(credentials.identity, clock);
    let check = StoreCheck::of_records(records.clone());
    Ok(Service {
        router: router(RegisterService {
            management: Management::new(records.clone()),
            records,
            verifier,
            peppers,
            limit,
            credential_guesses,
        }),
        checks: vec![check],
    })
}

/// What a person who registers may ask for. The name and the product matter only the first time.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RegisterRequest, example = json!({"organization_name": "Engines Ltd"}))]
struct RegisterBody {
    /// 1 to 200 characters, none of them a control character. Without it the person's name, else their address.
    #[schema(min_length = 1, max_length = 200)]
    organization_name: Option<String>,
    /// What to license: 1 to 63 of a-z, 0-9 and -. Without it the vendor's default; one the vendor does not have is
    /// 422.
    #[schema(min_length = 1, max_length = 63, pattern = "^[a-z0-9][a-z0-9-]{0,62}$", example = "coditect")]
    product: Option<String>,
    /// `cdi_…`: joins the organization that invited this address, instead of making one. Not together with the others.
    #[schema(pattern = "^cdi_[0-9a-z]{78}$")]
    invitation: Option<String>,
}

/// A person's organization and its first license.
#[derive(Serialize, ToSchema)]
#[schema(as = Registration, example = json!({
    "organization": {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "name": "Engines Ltd", "created_at": "2026-11-21T03:31:22.221389Z"},
    "user": {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10a", "email": "me@example.com", "role": "owner"},
    "license": {"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "number": "9PSN3QSHY0G8H", "key": "CODI-9PSN3-QSHY0-G8HQ6-62Q5C-VNMR1-CC2WY",
        "product": "coditect", "tier": "trial", "status": "active", "seats_total": 5, "expires_at": "2026-12-05T03:31:22Z"}}))]
struct RegisterResponse<'a> {
    organization: RegisteredOrganization<'a>,
    user: RegisteredUser<'a>,
    /// Null for who joined with an invitation.
    license: Option<RegisteredLicense<'a>>,
}

/// The organization that registered.
#[derive(Serialize, ToSchema)]
#[schema(as = RegisteredOrganization, example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab109", "name": "Engines Ltd", "created_at": "2026-11-21T03:31:22.221389Z"}))]
struct RegisteredOrganization<'a> {
    /// Stays the same for good; `{organization}` in the paths of the management API.
    #[schema(value_type = String, format = Uuid)]
    id: TenantId,
    /// What people call it.
    name: &'a str,
    /// When it registered.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The person who registered.
#[derive(Serialize, ToSchema)]
#[schema(as = RegisteredUser, example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10a", "email": "me@example.com", "role": "owner"}))]
struct RegisteredUser<'a> {
    /// The same in every organization.
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    /// The verified address of the ID token.
    email: &'a str,
    /// What the person is in the organization: `owner`, `admin`, `member` or `viewer`.
    role: &'a str,
}

/// The organization's first license.
#[derive(Serialize, ToSchema)]
#[schema(as = RegisteredLicense, example = json!({"id": "01a1fc28-9b31-70be-8112-4bfdb0eab10b", "number": "9PSN3QSHY0G8H",
    "key": "CODI-9PSN3-QSHY0-G8HQ6-62Q5C-VNMR1-CC2WY", "product": "coditect", "tier": "trial", "status": "active", "seats_total": 5,
    "expires_at": "2026-12-05T03:31:22Z"}))]
struct RegisteredLicense<'a> {
    /// Stays the same for good.
    #[schema(value_type = String, format = Uuid)]
    id: LicenseId,
    /// The public part of the key: names the license and opens nothing.
    #[schema(value_type = String)]
    number: LicenseNumber,
    /// A secret, shown once: null for good after the license was first used. Until then every registration draws a new
    /// key and ends the old one, since the first answer may have been lost; null where the organization demands another
    /// sign-in for that (its access policy).
    key: Option<String>,
    /// What it is a license of.
    product: &'a str,
    /// What was sold.
    tier: &'a str,
    /// `active`, `suspended` or `revoked`.
    status: &'a str,
    /// How many seats it has.
    seats_total: u32,
    /// The end of the term; null for none.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// Register
///
/// The person of the ID token receives an organization, which they own, and its first license with its key. The
/// identity provider must have verified the person's address. If the same person, by `iss` and `sub`, registers again,
/// the answer is 200 with what exists already. With an `invitation` the person joins the organization that invited
/// their address.
#[utoipa::path(post, path = "/api/v1/auth/register", tag = "Registration", request_body = Option<RegisterBody>, security(("person" = [])),
    responses((status = 201, description = "Registered now", body = RegisterResponse<'_>),
              (status = 200, description = "Registered before", body = RegisterResponse<'_>),
              (status = 401, description = "token_invalid, token_expired"),
              (status = 404, description = "not_found: no such invitation"),
              (status = 409, description = "conflict: the invitation is for another address, over, or was used; or no more trials are given"),
              (status = 429, description = "rate_limited: for each address, or for each person who brings an invitation"),
              (status = 503, description = "records_unavailable, identity_unavailable")))]
async fn register(
    State(service): State<RegisterService>,
    parts: Parts,
    bearer: BearerCredential,
    JsonOrEmpty(body): JsonOrEmpty<RegisterBody>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let name = fields.optional("organization_name", body.organization_name.as_deref(), names::name);
    let product = fields.optional("product", body.product.as_deref(), names::slug);
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
    let claims = match service.verifier.verify(&bearer.0).await {
        Ok(claims) => claims,
        Err(VerifyError::Unavailable(error)) => return Err(error.into()),
        Err(VerifyError::Rejected(why)) => {
            return Err(service.credential_guesses.refused(&parts, &bearer.0, token_rejected(why)).await);
        }
    };
    let standing = match body.invitation {
        Some(_) => service.limit.admit_person(&claims).await?,
        None => service.limit.admit(&parts).await?,
    };
    let person = NewRegistrant::of(claims.clone(), service.limit.address(&parts))?;
    let mut answered = match body.invitation {
        Some(secret) => join(&service, &parts, &claims, person, &secret).await?,
        None => {
            not_void(&service, &claims).await?;
            create_organization(&service, person, name, product).await?
        }
    };
    if let Some(standing) = standing {
        standing.write(&mut answered);
    }
    Ok(answered)
}

/// Refuses a token that is void for an organization it would open: one that the person belongs to.
async fn not_void(service: &RegisterService, claims: &VerifiedClaims) -> Result<(), Problem> {
    for membership in service.records.memberships(&claims.issuer, &claims.subject).await? {
        in_force(claims, membership.tokens_not_before)?;
    }
    Ok(())
}

/// An organization of the person's own, or the one they have.
async fn create_organization(
    service: &RegisterService,
    it: NewRegistrant,
    name: Option<String>,
    product: Option<String>,
) -> Result<Response, Problem> {
    let organization = name.or_else(|| it.person.name.clone());
    let organization = organization.unwrap_or_else(|| it.person.email.chars().take(200).collect());
    let new = NewOrganization {
        person: it.person,
        organization,
        product,
        address: it.address,
        request_id: request_id(),
        sign_in: it.sign_in,
    };
    let outcome = service.management.register(&new, &service.peppers).await?;
    let (status, label) = if outcome.created { (StatusCode::CREATED, "created") } else { (StatusCode::OK, "existing") };
    Ok(answer(status, label, &outcome.registered, &new.person.email))
}

/// The organization that invited the person. A secret that is none and one that nobody was given are the same: there is
/// no such invitation.
async fn join(
    service: &RegisterService,
    parts: &Parts,
    claims: &VerifiedClaims,
    it: NewRegistrant,
    secret: &str,
) -> Result<Response, Problem> {
    let secret = OpaqueSecret::parse(SecretKind::Invitation, secret).ok_or_else(no_invitation)?;
    let joining = JoinRequest { secret, person: it.person, address: it.address, request_id: request_id() };
    let hash = joining.secret.hash();
    let ask = async {
        // A token that is void for who invited opens nothing there. Asked only where the limit leaves a token to ask
        // the records at all.
        in_force(claims, service.records.tokens_not_before(joining.secret.tenant).await?)?;
        match service.management.join(&joining).await {
            Ok(joined) => Ok(Some(joined)),
            Err(ChangeError::Refused(ChangeRefusal::NotFound)) => Ok(None),
            Err(error) => Err(Problem::from(error)),
        }
    };
    let joined = service.credential_guesses.judge(parts, &hash, ask).await?.ok_or_else(no_invitation)?;
    Ok(answer_joined(&joined, &joining.person.email))
}

fn answer_joined(joined: &NewMember, email: &str) -> Response {
    about(Some(joined.organization.id), None);
    let (status, label) = if joined.first { (StatusCode::CREATED, "joined") } else { (StatusCode::OK, "existing") };
    let organization = &joined.organization;
    let body = RegisterResponse {
        organization: RegisteredOrganization {
            id: organization.id,
            name: &organization.name,
            created_at: organization.created_at,
        },
        user: RegisteredUser { id: joined.user, email, role: joined.role.as_str() },
        license: None,
    };
    (status, Extension(MetricOutcome(label)), Json(body)).into_response()
}

fn no_invitation() -> Problem {
    Problem::new(ProblemCode::NotFound, "There is no such invitation. Copy the whole of it, from cdi_ to its end.")
}

/// Who asks. Only a verified address is believed: the person will be known by it.
struct NewRegistrant {
    person: VerifiedPerson,
    address: Option<IpAddr>,
    sign_in: SignIn,
}

impl NewRegistrant {
    fn of(claims: VerifiedClaims, address: Option<IpAddr>) -> Result<Self, Problem> {
        let email = claims.address().map_err(|why| Problem::token_invalid(why.to_string()))?;
        let name = claims.name.and_then(|name| names::name(&name).ok());
        let (issuer, subject, email) = (claims.issuer, claims.subject, email.as_str().to_owned());
        Ok(Self { person: VerifiedPerson { issuer, subject, email, name }, address, sign_in: claims.sign_in })
    }
}

fn answer(status: StatusCode, label: &'static str, registered: &RegisteredTenant, email: &str) -> Response {
    let license = &registered.license;
    about(Some(registered.tenant), Some(license.number));
    let body = RegisterResponse {
        organization: RegisteredOrganization {
            id: registered.tenant,
            name: &registered.organization,
            created_at: registered.created_at,
        },
        user: RegisteredUser { id: registered.user, email, role: &registered.role },
        license: Some(RegisteredLicense {
            id: license.id,
            number: license.number,
            key: registered.key.as_ref().map(LicenseKey::reveal),
            product: &license.product,
            tier: &license.tier,
            status: &license.status,
            seats_total: license.seats_total,
            expires_at: license.expires_at,
        }),
    };
    (status, Extension(MetricOutcome(label)), Json(body)).into_response()
}

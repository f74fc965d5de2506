//! In front of every operation of the management API: who asks, whether they may, and what makes the request the same as another one.

use super::{
    AdminService,
    access::{AccessRule, LeastRole, rule_of},
    recognize::recognized,
    step_up,
    voiding::in_force,
};
use crate::edge::{
    BearerCredential, Problem,
    extract::read,
    layers::{about, request_id},
};
use axum::{
    body::Body,
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, Method, request::Parts};
use license_core::{
    ProblemCode,
    domain::{
        access::Scope,
        id::TenantId,
        opaque::{OpaqueSecret, SecretKind},
        pasted,
        step_up::SignIn,
    },
    identity::{TokenRejected, VerifiedClaims},
    records::{Caller, Operation, PresentedToken, Principal, RepeatableRequest, StaffAct},
};
use std::net::IpAddr;
use uuid::Uuid;

/// A person who signed in, of whatever organization or none.
#[derive(Clone, Debug)]
pub(super) struct SignedIn(pub(super) VerifiedClaims);

/// A request to one organization by somebody who may make it.
#[derive(Clone, Debug)]
pub(super) struct OrganizationCaller(pub(super) Caller);

/// How whoever asks signed in; a script never did.
#[derive(Clone, Debug)]
pub(super) struct HowSignedIn(pub(super) SignIn);

macro_rules! from_the_gate {
    ($($name:ident),*) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                // Missing only where an operation's row and its handler disagree about what it is for.
                let passed = parts.extensions.get::<Self>().cloned();
                passed.ok_or_else(|| Problem::new(ProblemCode::Internal, "The request could not be completed because of a fault on our side."))
            }
        }
    )*};
}
from_the_gate!(SignedIn, OrganizationCaller, HowSignedIn);

/// Lets a request through to its handler, or refuses it. What a caller may not see does not exist for it: 404.
pub(super) async fn gate(
    State(service): State<AdminService>,
    path: MatchedPath,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(rule) = rule_of(request.method().as_str(), path.as_str()) else {
        tracing::error!(path = path.as_str(), "an operation without a row in the access table");
        return Err(Problem::new(
            ProblemCode::Internal,
            "The request could not be completed because of a fault on our side.",
        ));
    };
    let organization = parameters.iter().find(|(name, _)| *name == "organization").map(|(_, value)| value.to_owned());
    let target = parameters.iter().last().and_then(|(_, value)| value.parse::<Uuid>().ok());
    let (mut parts, body) = request.into_parts();
    let from = crate::edge::address::of(&parts, service.proxies);
    let bearer = BearerCredential::from_request_parts(&mut parts, &()).await?;
    let (credential, standing) = recognized(&service, &parts, bearer, from).await?;
    let sign_in = credential.sign_in();
    parts.extensions.insert(HowSignedIn(sign_in.clone()));
    let body = match organization {
        None => {
            may(rule, &credential)?;
            match credential {
                VerifiedCredential::Person(claims) => drop(parts.extensions.insert(SignedIn(claims))),
                VerifiedCredential::Staff(claims) => {
                    step_up::check_staff(&service, rule, &sign_in)?;
                    let email = email(&claims);
                    let act = StaffAct { subject: claims.subject, email, from, request_id: request_id() };
                    parts.extensions.insert(StaffCaller(act));
                }
                VerifiedCredential::Token(..) => {}
            }
            body
        }
        Some(organization) => {
            let tenant: TenantId = organization.parse().map_err(|_| no_organization())?;
            about(Some(tenant), None);
            let by = principal(&service, credential, tenant).await?;
            allowed(rule, &by)?;
            step_up::check(&service, rule, &by, &sign_in, tenant).await?;
            let (repeat, body) = repeat(&service, &parts, body).await?;
            let operation = Some(Operation { name: called(rule), target: target.unwrap_or(tenant.0).to_string() });
            let act = Caller { tenant, by, from, request_id: request_id(), repeat, operation };
            // What staff changes is written down where it is done, and where nothing changes as a read; what they only read is here, before
            // they see it.
            if parts.method.is_safe() {
                service.records.note_read(&act).await?;
            }
            parts.extensions.insert(OrganizationCaller(act));
            body
        }
    };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(standing) = standing {
        standing.write(&mut response);
    }
    Ok(response)
}

/// Somebody of the vendor, where no organization is named.
#[derive(Clone, Debug)]
pub(super) struct StaffCaller(pub(super) StaffAct);
from_the_gate!(StaffCaller);

/// How an operation is called in the log of what staff read: without what the path of each begins with.
fn called(rule: &AccessRule) -> String {
    format!("{} {}", rule.method, rule.path.trim_start_matches("/api/v1"))
}

/// A credential that is good.
pub(super) enum VerifiedCredential {
    Person(VerifiedClaims),
    Staff(VerifiedClaims),
    Token(TenantId, Principal),
}

impl VerifiedCredential {
    /// How it came to be.
    fn sign_in(&self) -> SignIn {
        match self {
            Self::Person(claims) | Self::Staff(claims) => claims.sign_in.clone(),
            Self::Token(..) => SignIn::default(),
        }
    }

    /// Whose requests are counted together.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Person(claims) | Self::Staff(claims) => format!("{} {}", claims.issuer, claims.subject),
            Self::Token(_, by) => by.id(),
        }
    }
}

pub(super) async fn authenticate(
    service: &AdminService,
    bearer: BearerCredential,
    from: Option<IpAddr>,
) -> Result<VerifiedCredential, Problem> {
    let prefix = SecretKind::ApiToken.prefix();
    if bearer.0.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix)) {
        let token = OpaqueSecret::parse(SecretKind::ApiToken, &bearer.0).ok_or_else(bad_token)?;
        return match service.records.api_token(&token, from).await?.ok_or_else(bad_token)? {
            PresentedToken::Here(by) => Ok(VerifiedCredential::Token(token.tenant, by)),
            PresentedToken::Elsewhere(id) => {
                tracing::warn!(api_token = %id, from = ?from, "an API token was shown from where it is not good");
                Err(elsewhere("This API token is good", "Use it from there, or make another token.", from))
            }
        };
    }
    let (claims, staff) = match service.people.verify(&bearer.0).await? {
        Ok(claims) => (claims, false),
        Err(why @ (TokenRejected::Audience | TokenRejected::Issuer | TokenRejected::UnknownKey)) => {
            match &service.staff {
                Some(staff) => (staff.verify(&bearer.0).await?.map_err(refused)?, true),
                None => return Err(refused(why)),
            }
        }
        Err(why) => return Err(refused(why)),
    };
    if staff {
        in_force(&claims, service.records.staff_tokens_not_before().await?)?;
    }
    claims.address().map_err(|why| Problem::token_invalid(why.to_string()))?;
    if !staff {
        return Ok(VerifiedCredential::Person(claims));
    }
    if !service.staff_rules.admit(from) {
        tracing::warn!(staff = claims.subject, from = ?from, "staff asked from where staff is not let in");
        return Err(elsewhere("Staff is let in", "Come from there.", from));
    }
    Ok(VerifiedCredential::Staff(claims))
}

fn refused(why: TokenRejected) -> Problem {
    let code = if why == TokenRejected::Expired { ProblemCode::TokenExpired } else { ProblemCode::TokenInvalid };
    Problem::new(code, format!("{why}."))
}

/// 403 for a credential that is good, from somewhere else. The networks themselves are not told.
fn elsewhere(what: &str, advice: &str, from: Option<IpAddr>) -> Problem {
    let said = |from: &str| format!("{what} from certain networks alone, and the request came from {from}. {advice}");
    match from {
        Some(from) => {
            Problem::new(ProblemCode::AddressNotAllowed, said(&from.to_string())).with("address", from.to_string())
        }
        None => Problem::new(ProblemCode::AddressNotAllowed, said("an address that is not known")),
    }
}

pub(super) fn bad_token() -> Problem {
    Problem::token_invalid("No API token like this is in force: unknown, revoked or past its end.")
}

fn no_organization() -> Problem {
    Problem::new(ProblemCode::NotFound, "You belong to no organization of this id. GET /api/v1/me lists yours.")
}

fn email(claims: &VerifiedClaims) -> String {
    // The gate lets nobody in without one.
    claims.address().map_or_else(|_| String::new(), |email| email.as_str().to_owned())
}

/// Who that is in this organization.
async fn principal(
    service: &AdminService,
    credential: VerifiedCredential,
    tenant: TenantId,
) -> Result<Principal, Problem> {
    match credential {
        VerifiedCredential::Person(claims) => {
            let found = service.records.membership(&claims.issuer, &claims.subject, tenant).await?;
            let found = found.ok_or_else(no_organization)?;
            in_force(&claims, found.tokens_not_before)?;
            let person = found.person;
            Ok(Principal::Person { user: person.id, email: email(&claims), role: person.role })
        }
        VerifiedCredential::Token(of, by) if of == tenant => Ok(by),
        VerifiedCredential::Token(..) => Err(no_organization()),
        VerifiedCredential::Staff(claims) => {
            service
                .records
                .organization(tenant)
                .await?
                .ok_or_else(|| Problem::new(ProblemCode::NotFound, "There is no organization of this id."))?;
            let email = email(&claims);
            Ok(Principal::Staff { subject: claims.subject, email })
        }
    }
}

/// Whether who asks may do this in their organization.
fn allowed(rule: &AccessRule, by: &Principal) -> Result<(), Problem> {
    match (by, rule.least) {
        (Principal::Staff { .. }, _) | (Principal::Person { .. }, LeastRole::SignedIn | LeastRole::Person) => Ok(()),
        (Principal::Person { role, .. }, LeastRole::Role(least)) if *role >= least => Ok(()),
        (Principal::Person { .. }, least) => Err(insufficient_role(least.as_str())),
        (Principal::Token { scopes, .. }, _) => in_scope(rule, scopes),
    }
}

fn in_scope(rule: &AccessRule, scopes: &[Scope]) -> Result<(), Problem> {
    match rule.scope {
        Some(scope) if scopes.contains(&scope) => Ok(()),
        scope => Err(insufficient_scope(scope.map_or("person", |scope| scope.as_str()))),
    }
}

/// The same where no organization is named.
fn may(rule: &AccessRule, credential: &VerifiedCredential) -> Result<(), Problem> {
    match (credential, rule.least) {
        (VerifiedCredential::Staff(_), LeastRole::Staff | LeastRole::SignedIn)
        | (VerifiedCredential::Person(_), LeastRole::SignedIn | LeastRole::Person) => Ok(()),
        (VerifiedCredential::Token(_, Principal::Token { scopes, .. }), _) => in_scope(rule, scopes),
        (_, least) => Err(insufficient_role(least.as_str())),
    }
}

/// 403 for a person.
pub(super) fn insufficient_role(required: &'static str) -> Problem {
    let detail = format!("This needs the role {required}. Ask somebody who has it.");
    Problem::new(ProblemCode::InsufficientRole, detail).with("required", required)
}

fn insufficient_scope(required: &'static str) -> Problem {
    let detail = match required {
        "person" => "No API token may do this: sign in yourself.".to_owned(),
        scope => format!("The API token needs the scope {scope}. Make one that has it."),
    };
    Problem::new(ProblemCode::InsufficientScope, detail).with("required", required)
}

/// `Idempotency-Key` of a POST, with the body it stands for.
async fn repeat(
    service: &AdminService,
    parts: &Parts,
    body: Body,
) -> Result<(Option<RepeatableRequest>, Body), Problem> {
    let Some(key) = idempotency_key(&parts.headers)?.filter(|_| parts.method == Method::POST) else {
        return Ok((None, body));
    };
    let bytes = read(Request::new(body)).await?;
    // Everything that may make it another request: what is asked of which version is as much of it as the body.
    let header = |name| parts.headers.get(name).map_or(&b""[..], http::HeaderValue::as_bytes);
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let request =
        [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), query, header(http::header::IF_MATCH), &bytes];
    Ok((Some(RepeatableRequest::new(&key, &request, &service.peppers)), Body::from(bytes)))
}

/// A key is the same with quotes or without: the header's draft standard has them (draft-ietf-httpapi-idempotency-key-header).
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or_default();
    // Blanks within are the client's own.
    let key =
        if text.contains(' ') && text.is_ascii() { text.to_owned() } else { pasted::clean_word(text).into_owned() };
    let fits = (1..=255).contains(&key.len()) && key.bytes().all(|b| (0x20..0x7f).contains(&b));
    if fits {
        Ok(Some(key))
    } else {
        Err(Problem::invalid("Idempotency-Key", "must be 1 to 255 printable ASCII characters"))
    }
}

//! In front of every operation of the management API: who asks, whether they may, and what makes the request the same
//! as another one.

use super::{
    AdminService,
    access::{AccessRule, LeastRole, rule_of},
    answer::insufficient_role,
    callers::{HowSignedIn, OrganizationCaller, SignedIn, StaffCaller},
    check_credential::check_credential,
    credential::{VerifiedCredential, in_force},
    step_up,
};
use crate::edge::{
    BearerCredential, Problem,
    context::{about, request_id},
    extract::read,
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
        access::{Scope, VendorScope},
        id::TenantId,
        pasted,
    },
    identity::VerifiedClaims,
    records::{Caller, Operation, Principal, RepeatableRequest},
};
use std::net::IpAddr;
use uuid::Uuid;

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
        return Err(Problem::internal());
    };
    let (mut parts, body) = request.into_parts();
    let address = crate::edge::address::of(&parts, service.proxies);
    let bearer = BearerCredential::from_request_parts(&mut parts, &()).await?;
    let (credential, rate_headers) = check_credential(&service, &parts, bearer, address).await?;
    parts.extensions.insert(HowSignedIn(credential.sign_in()));
    let request = Request::from_parts(parts, body);
    let request = match parameters.iter().find(|(name, _)| *name == "organization") {
        None => admit_without_organization(&service, rule, credential, address, request).await?,
        Some((_, organization)) => {
            let tenant: TenantId = organization.parse().map_err(|_| no_organization())?;
            let target = parameters.iter().last().and_then(|(_, value)| value.parse::<Uuid>().ok());
            let operation = Some(Operation { name: called(rule), target: target.unwrap_or(tenant.0).to_string() });
            about(Some(tenant), None);
            let principal = authorized_principal(&service, rule, credential, tenant).await?;
            let caller = Caller { tenant, principal, address, request_id: request_id(), repeat: None, operation };
            admit_to_organization(&service, caller, request).await?
        }
    };
    let mut response = next.run(request).await;
    if let Some(headers) = rate_headers {
        headers.write(&mut response);
    }
    Ok(response)
}

/// A request that names no organization, with who asks put where its handler finds it.
async fn admit_without_organization(
    service: &AdminService,
    rule: &AccessRule,
    credential: VerifiedCredential,
    address: Option<IpAddr>,
    mut request: Request,
) -> Result<Request, Problem> {
    authorize_without_organization(rule, &credential)?;
    let sign_in = credential.sign_in();
    let principal = match credential {
        VerifiedCredential::Person(claims) => {
            request.extensions_mut().insert(SignedIn(claims));
            return Ok(request);
        }
        VerifiedCredential::Token(..) => return Ok(request),
        VerifiedCredential::Staff(claims) => {
            step_up::check_staff(service, rule, &sign_in)?;
            let email = email(&claims);
            Principal::Staff { subject: claims.subject, email }
        }
        VerifiedCredential::Vendor(principal) => principal,
    };
    let (mut parts, body) = request.into_parts();
    let (repeat, body) = repeat(service, &parts, body).await?;
    let (tenant, request_id) = (TenantId::VENDOR, request_id());
    let caller = Caller { tenant, principal, address, request_id, repeat, operation: None };
    parts.extensions.insert(StaffCaller(caller));
    Ok(Request::from_parts(parts, body))
}

/// A request to the caller's organization, with the caller put where its handler finds it: with what makes it the same
/// as another one.
async fn admit_to_organization(service: &AdminService, caller: Caller, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let (repeat, body) = repeat(service, &parts, body).await?;
    let caller = Caller { repeat, ..caller };
    // What staff changes is written down where it is done, and where nothing changes as a read; what they only read is
    // here, before they see it.
    if parts.method.is_safe() {
        service.records.note_read(&caller).await?;
    }
    parts.extensions.insert(OrganizationCaller(caller));
    Ok(Request::from_parts(parts, body))
}

/// How an operation is called in the log of what staff read: without what the path of each begins with.
fn called(rule: &AccessRule) -> String {
    format!("{} {}", rule.method, rule.path.trim_start_matches("/api/v1"))
}

fn no_organization() -> Problem {
    Problem::new(
        ProblemCode::NotFound,
        "You do not belong to an organization with this id. GET /api/v1/me lists yours.",
    )
}

fn email(claims: &VerifiedClaims) -> String {
    // The gate lets nobody in without one.
    claims.address().map_or_else(|_| String::new(), |email| email.as_str().to_owned())
}

/// Who that is in this organization, if they may do this there and signed in as its policy demands.
async fn authorized_principal(
    service: &AdminService,
    rule: &AccessRule,
    credential: VerifiedCredential,
    tenant: TenantId,
) -> Result<Principal, Problem> {
    let sign_in = credential.sign_in();
    let principal = principal(service, credential, tenant).await?;
    authorize_in_organization(rule, &principal)?;
    step_up::check(service, rule, &principal, &sign_in, tenant).await?;
    Ok(principal)
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
        VerifiedCredential::Token(of, principal) if of == tenant => Ok(principal),
        VerifiedCredential::Token(..) => Err(no_organization()),
        VerifiedCredential::Staff(claims) => {
            exists(service, tenant).await?;
            let email = email(&claims);
            Ok(Principal::Staff { subject: claims.subject, email })
        }
        VerifiedCredential::Vendor(principal) => {
            exists(service, tenant).await?;
            Ok(principal)
        }
    }
}

/// Who acts for the vendor may see every organization that there is.
async fn exists(service: &AdminService, tenant: TenantId) -> Result<(), Problem> {
    let found = service.records.organization(tenant).await?;
    found.map(drop).ok_or_else(|| Problem::new(ProblemCode::NotFound, "There is no organization with this id."))
}

/// Whether who asks may do this in their organization.
fn authorize_in_organization(rule: &AccessRule, principal: &Principal) -> Result<(), Problem> {
    match (principal, rule.least) {
        (Principal::Staff { .. }, _) | (Principal::Person { .. }, LeastRole::SignedIn | LeastRole::Person) => Ok(()),
        (Principal::Person { role, .. }, LeastRole::Role(least)) if *role >= least => Ok(()),
        (Principal::Person { .. }, least) => Err(insufficient_role(least.as_str())),
        (Principal::Token { scopes, .. }, _) => in_scope(rule, scopes),
        (Principal::VendorToken { scopes, .. }, _) => in_vendor_scope(rule, scopes),
    }
}

fn in_scope(rule: &AccessRule, scopes: &[Scope]) -> Result<(), Problem> {
    match rule.scope {
        Some(scope) if scopes.contains(&scope) => Ok(()),
        scope => Err(insufficient_scope(scope.map_or("person", |scope| scope.as_str()))),
    }
}

fn in_vendor_scope(rule: &AccessRule, scopes: &[VendorScope]) -> Result<(), Problem> {
    match rule.vendor {
        Some(scope) if scopes.contains(&scope) => Ok(()),
        scope => Err(insufficient_scope(scope.map_or("person", |scope| scope.as_str()))),
    }
}

/// The same where no organization is named.
fn authorize_without_organization(rule: &AccessRule, credential: &VerifiedCredential) -> Result<(), Problem> {
    match (credential, rule.least) {
        (VerifiedCredential::Staff(_), LeastRole::Staff | LeastRole::SignedIn)
        | (VerifiedCredential::Person(_), LeastRole::SignedIn | LeastRole::Person) => Ok(()),
        (VerifiedCredential::Token(_, Principal::Token { scopes, .. }), _) => in_scope(rule, scopes),
        (VerifiedCredential::Vendor(Principal::VendorToken { scopes, .. }), _) => in_vendor_scope(rule, scopes),
        (_, least) => Err(insufficient_role(least.as_str())),
    }
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

/// A key is the same with quotes or without: the header's draft standard has them
/// (draft-ietf-httpapi-idempotency-key-header).
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

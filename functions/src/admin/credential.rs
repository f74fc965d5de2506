//! Credentials: whose an ID token or an API token is, and whether it is in force.

use super::AdminService;
use crate::edge::{BearerCredential, Problem};
use license_core::{
    ProblemCode,
    domain::{
        id::TenantId,
        opaque::{OpaqueSecret, SecretKind},
        step_up::SignIn,
    },
    identity::{TokenRejected, VerifiedClaims, VerifyError},
    records::{PresentedToken, Principal},
};
use std::net::IpAddr;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A credential that is good.
pub(super) enum VerifiedCredential {
    /// An ID token of a customer's person.
    Person(VerifiedClaims),
    /// An ID token of the vendor's staff.
    Staff(VerifiedClaims),
    /// An API token of this organization.
    Token(TenantId, Principal),
    /// A vendor token.
    Vendor(Principal),
}

impl VerifiedCredential {
    /// How it came to be.
    pub(super) fn sign_in(&self) -> SignIn {
        match self {
            Self::Person(claims) | Self::Staff(claims) => claims.sign_in.clone(),
            Self::Token(..) | Self::Vendor(_) => SignIn::default(),
        }
    }

    /// Whose requests are counted together.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Person(claims) | Self::Staff(claims) => format!("{} {}", claims.issuer, claims.subject),
            Self::Token(_, by) | Self::Vendor(by) => by.id(),
        }
    }
}

/// Who sent the credential: its signature or its hash is checked, and whether it may come from where it comes from.
///
/// # Errors
/// 401 for a credential that is not good, 403 for one that is good from elsewhere.
pub(super) async fn authenticate(
    service: &AdminService,
    bearer: BearerCredential,
    from: Option<IpAddr>,
) -> Result<VerifiedCredential, Problem> {
    for kind in [SecretKind::ApiToken, SecretKind::VendorToken] {
        if bearer.0.get(..kind.prefix().len()).is_some_and(|begin| begin.eq_ignore_ascii_case(kind.prefix())) {
            let token = OpaqueSecret::parse(kind, &bearer.0).ok_or_else(bad_token)?;
            return token_bearer(service, kind, &token, from).await;
        }
    }
    let (claims, staff) = match (service.people.verify(&bearer.0).await, &service.staff) {
        (Ok(claims), _) => (claims, false),
        (Err(VerifyError::Rejected(why)), Some(staff)) if may_be_of_another_issuer(why) => {
            (staff.verify(&bearer.0).await.map_err(not_verified)?, true)
        }
        (Err(error), _) => return Err(not_verified(error)),
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
        return Err(elsewhere("Staff may sign in", "Use one of these networks.", from));
    }
    Ok(VerifiedCredential::Staff(claims))
}

/// Whose an API token or a vendor token is.
async fn token_bearer(
    service: &AdminService,
    kind: SecretKind,
    token: &OpaqueSecret,
    from: Option<IpAddr>,
) -> Result<VerifiedCredential, Problem> {
    let of_vendor = kind == SecretKind::VendorToken;
    let presented = match of_vendor {
        true => service.records.vendor_token(token, from).await?,
        false => service.records.api_token(token, from).await?,
    };
    match presented.ok_or_else(bad_token)? {
        PresentedToken::Here(by) if of_vendor => Ok(VerifiedCredential::Vendor(by)),
        PresentedToken::Here(by) => Ok(VerifiedCredential::Token(token.tenant, by)),
        PresentedToken::Elsewhere(id) => {
            tracing::warn!(api_token = %id, from = ?from, "an API token was shown from where it is not good");
            Err(elsewhere("This API token may be used", "Use it from there, or make another token.", from))
        }
    }
}

/// Whether a token that the customers' verifier rejects for this reason may be one of staff.
fn may_be_of_another_issuer(why: TokenRejected) -> bool {
    matches!(why, TokenRejected::Audience | TokenRejected::Issuer | TokenRejected::UnknownKey)
}

fn not_verified(error: VerifyError) -> Problem {
    match error {
        VerifyError::Rejected(why) => token_rejected(why),
        VerifyError::Unavailable(error) => error.into(),
    }
}

/// 401 for an ID token that says nothing of who asks, with why.
pub(crate) fn token_rejected(why: TokenRejected) -> Problem {
    let code = if why == TokenRejected::Expired { ProblemCode::TokenExpired } else { ProblemCode::TokenInvalid };
    Problem::new(code, format!("{why}."))
}

/// 403 for a credential that is good, from somewhere else. The networks themselves are not told.
fn elsewhere(what: &str, advice: &str, from: Option<IpAddr>) -> Problem {
    let said = |from: &str| format!("{what} from certain networks only, and the request came from {from}. {advice}");
    match from {
        Some(from) => {
            Problem::new(ProblemCode::AddressNotAllowed, said(&from.to_string())).with("address", from.to_string())
        }
        None => Problem::new(ProblemCode::AddressNotAllowed, said("an address that is not known")),
    }
}

/// 401 for whatever names no API token that is in force.
pub(super) fn bad_token() -> Problem {
    Problem::token_invalid("This API token is not valid: it is unknown, was revoked or has ended.")
}

/// Refuses a token that was issued before the time from which on tokens must be.
///
/// # Errors
/// 401 that says so; a client that signs in again, or refreshes its token, goes on.
pub(crate) fn in_force(claims: &VerifiedClaims, not_before: Option<OffsetDateTime>) -> Result<(), Problem> {
    let Some(time) = not_before.filter(|time| claims.is_older_than(*time)) else { return Ok(()) };
    let time = time.format(&Rfc3339).unwrap_or_default();
    Err(Problem::new(
        ProblemCode::TokenExpired,
        format!("ID tokens that were issued before {time} were declared void. Sign in again."),
    ))
}

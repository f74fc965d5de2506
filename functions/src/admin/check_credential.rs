//! Before a request is looked at: its credential is checked, and who asks too often or with wrong ones is refused. The
//! records come last.

use super::{
    AdminService,
    credential::{VerifiedCredential, authenticate, bad_token},
};
use crate::edge::{
    BearerCredential, Problem,
    rate::{NamedLimit, RateHeaders},
};
use http::request::Parts;
use license_core::{
    ProblemCode,
    domain::opaque::{OpaqueSecret, SecretKind},
};
use std::net::IpAddr;

/// Who asks, and how they stand to their limit.
pub(super) async fn check_credential(
    service: &AdminService,
    parts: &Parts,
    bearer: BearerCredential,
    address: Option<IpAddr>,
) -> Result<(VerifiedCredential, Option<RateHeaders>), Problem> {
    let limits = [(SecretKind::ApiToken, &service.token_limit), (SecretKind::VendorToken, &service.vendor_limit)];
    let token = limits.into_iter().find_map(|(kind, limit)| Some((OpaqueSecret::parse(kind, &bearer.0)?, limit)));
    match token {
        Some((token, limit)) => api_token(service, limit, parts, bearer, address, &token.hash()).await,
        None => {
            let token = bearer.0.clone();
            let credential = match authenticate(service, bearer, address).await {
                Ok(credential) => credential,
                Err(why) => return Err(service.credential_guesses.refused(parts, &token, why).await),
            };
            let rate_headers = service.people_limit.admit(&credential.subject()).await?;
            Ok((credential, rate_headers))
        }
    }
}

/// An API token or a vendor token is known by the records alone. One that was good before is counted by its own limit
/// before they are asked again, however it is spelled; any other by where it comes from.
async fn api_token(
    service: &AdminService,
    limit: &NamedLimit,
    parts: &Parts,
    bearer: BearerCredential,
    address: Option<IpAddr>,
    hash: &str,
) -> Result<(VerifiedCredential, Option<RateHeaders>), Problem> {
    let mut rate_headers = None;
    let known = service.credential_guesses.knows(hash);
    if known {
        rate_headers = limit.admit(hash).await?;
    }
    let ask = async {
        match authenticate(service, bearer, address).await {
            Ok(credential) => Ok(Some(credential)),
            Err(why) if why.code() == ProblemCode::TokenInvalid => Ok(None),
            Err(why) => Err(why),
        }
    };
    let credential = service.credential_guesses.judge(parts, hash, ask).await?.ok_or_else(bad_token)?;
    if !known {
        rate_headers = limit.admit(hash).await?;
    }
    Ok((credential, rate_headers))
}

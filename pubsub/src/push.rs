//! The receiver's side of a push: its body, and the check of who sent it.

pub use crate::envelope::{Envelope, MalformedPush, PushDelivery};
use license_core::{
    Error,
    identity::{IdentityVerifier, TokenRejected, VerifyError},
};

/// Checks that a push comes from our subscriptions and nobody else: signature, times, issuer and exact audience by the
/// [`IdentityVerifier`], then the exact service account.
#[derive(Clone)]
pub struct PushCheck {
    /// Checks issuer, audience and signature: in the cloud [`license_core::identity::IdentitySettings::google`]
    /// (<https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions>).
    pub verifier: IdentityVerifier,
    /// The service account that the subscriptions push as. Anybody with a Google account can get a token of the same
    /// issuer and audience; only this tells them apart.
    pub email: String,
}

/// Why a push is not believed. The text is for logs: a client is told no more than 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushRefused {
    /// No `Authorization: Bearer …`.
    #[error("the push carries no bearer token")]
    NoToken,
    /// The token itself is refused.
    #[error("the push's token is refused")]
    Token(#[source] TokenRejected),
    /// A valid token of another account.
    #[error("the push's token belongs to another account than the configured one")]
    Email,
    /// The issuer has not verified that the account owns the address.
    #[error("the push's token carries an unverified e-mail address")]
    EmailUnverified,
}

/// Why [`PushCheck::check`] did not accept a push.
#[derive(Debug, thiserror::Error)]
pub enum PushCheckError {
    /// The push is not believed.
    #[error(transparent)]
    Refused(#[from] PushRefused),
    /// The issuer could not be asked for its keys: let the push be redelivered.
    #[error(transparent)]
    Unavailable(Error),
}

impl From<VerifyError> for PushCheckError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(rejected) => Self::Refused(PushRefused::Token(rejected)),
            VerifyError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl PushCheck {
    /// Checks the value of the `Authorization` header.
    ///
    /// # Errors
    /// [`PushCheckError::Refused`] says why the push is not believed; [`PushCheckError::Unavailable`], with
    /// [`Error::Identity`], that the issuer's keys could not be fetched.
    pub async fn check(&self, authorization: Option<&str>) -> Result<(), PushCheckError> {
        let token = authorization.and_then(bearer).ok_or(PushRefused::NoToken)?;
        let claims = self.verifier.verify(token).await?;
        if claims.email.as_ref() != Some(&self.email) {
            return Err(PushRefused::Email.into());
        }
        if !claims.email_verified {
            return Err(PushRefused::EmailUnverified.into());
        }
        Ok(())
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

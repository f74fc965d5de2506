//! Who is the person: verification of ID tokens against the issuer's published keys. Google's push tokens are verified
//! by the same code.
//!
//! RS256 only; every other `alg` is refused before a key is looked up (RFC 8725 section 3.1).

mod keys;

use crate::{
    Clock, Error,
    domain::{
        email::Email,
        name::{clean, clean_for_display, is_invisible},
        step_up::SignIn,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use keys::IssuerKeys;
use serde::Deserialize;
use std::sync::Arc;
use time::OffsetDateTime;

/// What two honest clocks may differ by, in seconds.
const LEEWAY: i64 = 60;

/// No ID token is longer.
const MAX_LEN: usize = 16 * 1024;

/// For how long an ID token may be good unless a setting says otherwise, in seconds.
///
/// Providers give one hour (Identity Platform, Google, Okta) to ten (Auth0); a token is good for whoever finds it, and
/// nobody can take it back.
pub const LONGEST_LIFE: u32 = 12 * 3600;

/// The longest name of a person that is kept, in characters.
const NAME_CHARS: usize = 200;

/// Whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// Exactly what `iss` must say.
    pub issuer: String,
    /// Exactly what `aud` must say, alone.
    pub audience: String,
    /// Where the issuer publishes its keys (a JWKS).
    pub jwks_url: String,
    /// The longest time from `iat` to `exp` that is accepted, in seconds.
    pub longest_life: u32,
}

impl IdentitySettings {
    /// People who signed in through Identity Platform in that project.
    pub fn identity_platform(project: &str) -> Self {
        Self {
            issuer: format!("https://securetoken.google.com/{project}"),
            audience: project.into(),
            jwks_url: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
                .into(),
            longest_life: LONGEST_LIFE,
        }
    }

    /// Google's own services acting as a service account: Pub/Sub push, Scheduler. The caller must still compare the
    /// email.
    pub fn google(audience: impl Into<String>) -> Self {
        Self {
            issuer: "https://accounts.google.com".into(),
            audience: audience.into(),
            jwks_url: "https://www.googleapis.com/oauth2/v3/certs".into(),
            longest_life: LONGEST_LIFE,
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRejected {
    /// No JWT, or without the claims every ID token has.
    #[error("the credential is not an ID token")]
    Malformed,
    /// Signed with anything but RS256, or not at all.
    #[error("the ID token is not signed with RS256")]
    Algorithm,
    /// Signed with a key the issuer does not publish.
    #[error("the ID token is signed with a key its issuer does not publish")]
    UnknownKey,
    /// The bytes were not signed by that key.
    #[error("the ID token's signature is wrong")]
    Signature,
    /// Another issuer's.
    #[error("the ID token is of another issuer")]
    Issuer,
    /// For somebody else.
    #[error("the ID token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the ID token has expired; sign in again")]
    Expired,
    /// Its time has not begun.
    #[error("the ID token is not valid yet; check the clock")]
    NotYetValid,
    /// Good for longer than tokens may be.
    #[error("the ID token is good for longer than this server accepts; have the identity provider give shorter ones")]
    TooLong,
}

/// Why [`IdentityVerifier::verify`] named nobody.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token was read and rejected: asking again gives the same answer.
    #[error(transparent)]
    Rejected(#[from] TokenRejected),
    /// The issuer could not be asked for its keys.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

/// Why the address of a token cannot stand for its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// There is none, or the issuer does not vouch for it.
    #[error(
        "The identity provider has not verified an e-mail address of this account. Verify it there and sign in again."
    )]
    Unverified,
    /// What it says is no address, or one that only looks like another.
    #[error(
        "The e-mail address of this account cannot be used here: it is none by its form, has characters that cannot \
         be seen, or mixes \
         letters of several scripts. Sign in with another account."
    )]
    Unusable,
}

/// What a verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// The issuer; together with `subject` it names a person for good.
    pub issuer: String,
    /// The person (or service account) at this issuer.
    pub subject: String,
    /// The email address as the token spells it, whoever vouches for it. People are known by
    /// [`VerifiedClaims::address`].
    pub email: Option<String>,
    /// True only if the issuer says that it checked the address.
    pub email_verified: bool,
    /// The person's name, as the provider knows it: for display, and cleaned for it.
    pub name: Option<String>,
    /// How the person signed in (`firebase.sign_in_provider`): `google.com`, `github.com`, `password` …
    pub provider: Option<String>,
    /// The Identity Platform tenant (`firebase.tenant`); not our tenant.
    pub provider_tenant: Option<String>,
    /// How the person signed in, as far as the issuer says it.
    pub sign_in: SignIn,
    /// When the token was issued, Unix seconds.
    pub issued_at: i64,
    /// When it ends, Unix seconds.
    pub expires_at: i64,
}

impl VerifiedClaims {
    /// True for a token issued before `time`. Tokens carry whole seconds, so one of the same second counts as issued
    /// before it.
    pub fn is_older_than(&self, time: OffsetDateTime) -> bool {
        i128::from(self.issued_at) * 1_000_000_000 < time.unix_timestamp_nanos()
    }

    /// The address that the issuer vouches for, checked as one that is typed.
    ///
    /// # Errors
    /// If it vouches for none, or for one that could be taken for another.
    pub fn address(&self) -> Result<Email, NoAddress> {
        let email = self.email.as_deref().filter(|email| self.email_verified && !clean(email).is_empty());
        email.ok_or(NoAddress::Unverified)?.parse().map_err(|_| NoAddress::Unusable)
    }
}

/// Verifies ID tokens of one issuer for one audience. Clones share the cached keys.
#[derive(Clone)]
pub struct IdentityVerifier {
    inner: Arc<VerifierInner>,
}

struct VerifierInner {
    settings: IdentitySettings,
    clock: Clock,
    keys: IssuerKeys,
    validation: Validation,
}

#[derive(Deserialize)]
struct IdTokenHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// Dates are mandatory as `OpenID` Connect Core section 2 has them.
#[derive(Deserialize)]
struct WireClaims {
    iss: String,
    sub: String,
    aud: AudienceClaim,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    email: Option<String>,
    /// Some providers write "true"; a string is no vouching.
    email_verified: Option<serde_json::Value>,
    name: Option<String>,
    /// Whatever else than a number and a text these two are, they say nothing.
    auth_time: Option<serde_json::Value>,
    acr: Option<serde_json::Value>,
    firebase: Option<FirebaseClaims>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AudienceClaim {
    One(String),
    Many(Vec<String>),
}

impl AudienceClaim {
    /// True if the token is for this audience and for nobody else: one for others too could be presented to us by those
    /// others.
    fn is_only(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => *many == [audience],
        }
    }
}

/// True for what may be a subject. `OpenID` Connect Core, section 2, has 255 ASCII characters. Letters beyond ASCII harm
/// nobody; what cannot be seen could pass for another.
fn is_subject(text: &str) -> bool {
    let unseen = |c: char| c.is_control() || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}');
    (1..=255).contains(&text.len()) && !text.contains(unseen)
}

#[derive(Deserialize)]
struct FirebaseClaims {
    sign_in_provider: Option<String>,
    tenant: Option<String>,
}

impl IdentityVerifier {
    /// A verifier that has fetched no keys yet.
    ///
    /// # Panics
    /// If no rustls crypto provider is installed.
    pub fn new(settings: IdentitySettings, clock: Clock) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        // jsonwebtoken checks the signature. Dates go by our clock and the rest is stricter than it offers (see
        // `judge`).
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let keys = IssuerKeys::new(&settings.jwks_url, clock.clone());
        Self { inner: Arc::new(VerifierInner { settings, clock, keys, validation }) }
    }

    /// Who presents this token?
    ///
    /// # Errors
    /// [`VerifyError::Rejected`] says what is wrong with the token; [`VerifyError::Unavailable`], with
    /// [`Error::Identity`], that the issuer's keys could not be fetched and none that are held decide the matter.
    pub async fn verify(&self, token: &str) -> Result<VerifiedClaims, VerifyError> {
        let kid = key_named(token)?;
        let key = self.inner.keys.get(&kid).await?.ok_or(TokenRejected::UnknownKey)?;
        Ok(self.inner.judge(self.inner.read(token, &key)?)?)
    }
}

/// The name of the key, from a header that asks for nothing unusual.
fn key_named(token: &str) -> Result<String, TokenRejected> {
    if token.len() > MAX_LEN || token.split('.').count() != 3 {
        return Err(TokenRejected::Malformed);
    }
    let header = token.split('.').next().and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let header: IdTokenHeader =
        header.and_then(|json| serde_json::from_slice(&json).ok()).ok_or(TokenRejected::Malformed)?;
    if header.alg != "RS256" {
        return Err(TokenRejected::Algorithm);
    }
    if header.crit.is_some() {
        return Err(TokenRejected::Malformed);
    }
    header.kid.ok_or(TokenRejected::UnknownKey)
}

impl VerifierInner {
    fn read(&self, token: &str, key: &DecodingKey) -> Result<WireClaims, TokenRejected> {
        match jsonwebtoken::decode(token, key, &self.validation) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => TokenRejected::Signature,
                ErrorKind::InvalidAlgorithm => TokenRejected::Algorithm,
                _ => TokenRejected::Malformed,
            }),
        }
    }

    fn judge(&self, wire: WireClaims) -> Result<VerifiedClaims, TokenRejected> {
        let now = self.clock.now_seconds();
        if wire.iss != self.settings.issuer {
            return Err(TokenRejected::Issuer);
        }
        if !wire.aud.is_only(&self.settings.audience) {
            return Err(TokenRejected::Audience);
        }
        if now >= wire.exp.saturating_add(LEEWAY) {
            return Err(TokenRejected::Expired);
        }
        if wire.iat.max(wire.nbf.unwrap_or(wire.iat)) > now + LEEWAY {
            return Err(TokenRejected::NotYetValid);
        }
        if wire.exp.saturating_sub(wire.iat) > i64::from(self.settings.longest_life) {
            return Err(TokenRejected::TooLong);
        }
        if !is_subject(&wire.sub) {
            return Err(TokenRejected::Malformed);
        }
        let shown = |text: Option<String>| text.and_then(|text| clean_for_display(&text, NAME_CHARS));
        let signed_in = wire.auth_time.as_ref().and_then(serde_json::Value::as_i64).filter(|&at| at <= now + LEEWAY);
        let acr = wire.acr.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
        let (provider, provider_tenant) = wire.firebase.map_or((None, None), |f| (f.sign_in_provider, f.tenant));
        Ok(VerifiedClaims {
            issuer: wire.iss,
            subject: wire.sub,
            email: wire.email,
            email_verified: wire.email_verified == Some(true.into()),
            name: shown(wire.name),
            provider: shown(provider),
            provider_tenant: shown(provider_tenant),
            sign_in: SignIn { seconds_ago: signed_in.map(|at| now.saturating_sub(at)), acr },
            issued_at: wire.iat,
            expires_at: wire.exp,
        })
    }
}

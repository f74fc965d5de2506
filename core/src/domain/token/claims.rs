//! What is said and signed. Times are Unix seconds (RFC 7519 section 2, NumericDate); absent options are left out.

use super::{REFUSAL_LIFE, jwk::InstanceJwk};
use crate::{
    ProblemCode,
    domain::id::{Holder, Hw, LicenseNumber, Nonce, SeatNo, SessionId, TenantId},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{fmt::Display, str::FromStr};
use uuid::Uuid;

/// A license token: this machine holds this seat, until then, with these features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The server, as its configuration spells it.
    pub iss: String,
    /// The vendor's product.
    pub aud: String,
    /// What occupies the seat.
    #[serde(deserialize_with = "deserialize_text")]
    pub sub: Holder,
    /// This token's own id.
    pub jti: Uuid,
    /// When it was signed, by the clock of the instance that signed it.
    pub iat: i64,
    /// The end of the lease, by that same clock.
    pub exp: i64,
    /// The session the lease belongs to.
    pub session_id: SessionId,
    /// The license's public number.
    pub license: LicenseNumber,
    /// The organization.
    pub tenant: TenantId,
    /// The seat.
    pub seat: SeatNo,
    /// The machine; a client compares it with its own.
    #[serde(deserialize_with = "deserialize_text")]
    pub hw: Hw,
    /// The license's tier.
    pub tier: String,
    /// Feature names and their values.
    pub features: serde_json::Map<String, serde_json::Value>,
    /// The end of the license's term; absent for a perpetual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_exp: Option<i64>,
    /// Until when the client may go on without contact; at least the lease's end unless the term ends before.
    pub offline_until: i64,
    /// What the client drew for the request this answers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_text_option")]
    pub nonce: Option<Nonce>,
    /// Which state of the license's facts this shows.
    pub facts_version: u64,
}

/// A signed "no", so that a fake server cannot lock people out unseen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusalClaims {
    /// The server, as its configuration spells it.
    pub iss: String,
    /// When it was signed.
    pub iat: i64,
    /// `iat` + 60 s.
    pub exp: i64,
    /// What the client drew for the request this answers.
    #[serde(deserialize_with = "deserialize_text")]
    pub nonce: Nonce,
    /// The code of the refusal, as in the problem document beside it.
    pub code: String,
    /// Why the session is over, as in the problem document: whether a client may come back by itself hangs on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The license's public number.
    pub license: LicenseNumber,
    /// The session refused, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
}

impl RefusalClaims {
    /// A refusal said at `now_seconds`, which lives for a minute.
    pub fn new(
        issuer: &str,
        now_seconds: i64,
        nonce: Nonce,
        code: ProblemCode,
        reason: Option<&str>,
        license: LicenseNumber,
        session_id: Option<SessionId>,
    ) -> Self {
        Self {
            iss: issuer.into(),
            iat: now_seconds,
            exp: now_seconds + REFUSAL_LIFE,
            nonce,
            code: code.as_str().into(),
            reason: reason.map(str::to_owned),
            license,
            session_id,
        }
    }
}

/// What the root says about an instance's key, and what that key may say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateClaims {
    /// The server, as its configuration spells it.
    pub iss: String,
    /// When it was signed.
    pub iat: i64,
    /// From when on the key may sign.
    pub nbf: i64,
    /// Until when the key may sign; at most 24 h after `nbf`.
    pub exp: i64,
    /// The key (RFC 7800).
    pub cnf: ConfirmationClaim,
    /// The longest `exp - iat` of a token under this key, in seconds.
    pub max_token_ttl: i64,
    /// The longest time without contact a token under this key may grant, in seconds.
    pub max_grace: i64,
}

/// The key a certificate is for (RFC 7800 section 3.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfirmationClaim {
    /// The instance's public key.
    pub jwk: InstanceJwk,
}

/// Words parse themselves; a word of the wrong form makes the whole malformed.
fn deserialize_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn deserialize_text_option<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserialize_text(deserializer).map(Some)
}

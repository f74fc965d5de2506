//! The claims of the signed texts. Times are Unix seconds (RFC 7519 section 2, NumericDate); options without a value
//! are left out.

use super::{REFUSAL_LIFE, jwk::InstanceJwk};
use crate::{
    ProblemCode,
    domain::id::{Holder, Hw, LicenseNumber, Nonce, SeatNo, SessionId, TenantId},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{fmt::Display, str::FromStr};
use uuid::Uuid;

/// The claims of a license token: which machine holds which seat, until when, and with which features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The server, as its configuration spells it.
    pub iss: String,
    /// The vendor's product.
    pub aud: String,
    /// What occupies the seat.
    #[serde(deserialize_with = "deserialize_text")]
    pub sub: Holder,
    /// The id of this token.
    pub jti: Uuid,
    /// The time of signing, by the clock of the instance that signed it.
    pub iat: i64,
    /// The end of the lease, by the same clock.
    pub exp: i64,
    /// The session to which the lease belongs.
    pub session_id: SessionId,
    /// The license's public number.
    pub license: LicenseNumber,
    /// The organization.
    pub tenant: TenantId,
    /// The seat.
    pub seat: SeatNo,
    /// The machine hash; a client compares it with that of its own machine.
    #[serde(deserialize_with = "deserialize_text")]
    pub hw: Hw,
    /// The license's tier.
    pub tier: String,
    /// Feature names and their values.
    pub features: serde_json::Map<String, serde_json::Value>,
    /// The end of the license's term; absent for a perpetual license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_exp: Option<i64>,
    /// The time until which the client may go on without contact: at least the end of the lease, unless the term ends
    /// before.
    pub offline_until: i64,
    /// The nonce of the request that this token answers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "deserialize_text_option")]
    pub nonce: Option<Nonce>,
    /// The version of the license's facts that this token states.
    pub facts_version: u64,
}

/// The claims of a signed refusal. It is signed so that a fake server cannot refuse clients unnoticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusalClaims {
    /// The server, as its configuration spells it.
    pub iss: String,
    /// The time of signing.
    pub iat: i64,
    /// `iat` + 60 s.
    pub exp: i64,
    /// The nonce of the request that this refusal answers.
    #[serde(deserialize_with = "deserialize_text")]
    pub nonce: Nonce,
    /// The code of the refusal, as in the problem document of the same answer.
    pub code: String,
    /// The reason for which the session is over, as in the problem document. It determines whether a client may acquire
    /// again without a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The license's public number.
    pub license: LicenseNumber,
    /// The session that was refused, if the request named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
}

impl RefusalClaims {
    /// A refusal that is signed at `now_seconds` and is valid for [`REFUSAL_LIFE`] seconds.
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

/// The claims of a certificate: which key an instance has, and what that key may sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateClaims {
    /// The server, as its configuration spells it.
    pub iss: String,
    /// The time of signing.
    pub iat: i64,
    /// The time from which the key may sign.
    pub nbf: i64,
    /// The time until which the key may sign; at most 24 h after `nbf`.
    pub exp: i64,
    /// The key (RFC 7800).
    pub cnf: ConfirmationClaim,
    /// The longest `exp - iat` of a token under this key, in seconds.
    pub max_token_ttl: i64,
    /// The longest time without contact that a token under this key may grant, in seconds.
    pub max_grace: i64,
}

/// The key for which a certificate is made (RFC 7800 section 3.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfirmationClaim {
    /// The instance's public key.
    pub jwk: InstanceJwk,
}

/// Deserializes a text by its [`FromStr`]; a text of the wrong form makes the whole JWS malformed.
fn deserialize_text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn deserialize_text_option<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserialize_text(deserializer).map(Some)
}

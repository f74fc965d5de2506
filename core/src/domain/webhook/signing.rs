//! The secret that an endpoint shares with this server, and the signatures that are made with it.

use crate::domain::secret::{self, KeyRing, KeyVersion, Secret, ShownSecret};
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{fmt, str::FromStr};
use uuid::Uuid;

const PREFIX: &str = "whsec_";

/// The secret of one endpoint.
///
/// It has 24 to 64 bytes, as the Standard Webhooks specification demands
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme>).
/// `Debug` prints `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Secret<Vec<u8>>);

/// The text is not `whsec_` followed by 24 to 64 bytes in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ followed by 24 to 64 bytes in base64")]
pub struct InvalidWebhookSecret;

impl WebhookSecret {
    /// A new secret of 32 random bytes.
    ///
    /// # Panics
    /// If the random source of the operating system fails.
    pub fn draw() -> Self {
        Self(Secret::new(secret::random::<32>().to_vec()))
    }

    fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (24..=64).contains(&bytes.len()).then(|| Self(Secret::new(bytes)))
    }

    /// The text that the endpoint's owner copies into the receiver: `whsec_` and the bytes in base64 (RFC 4648 section
    /// 4, with padding).
    pub fn shown(&self) -> ShownSecret {
        ShownSecret::new(format!("{PREFIX}{}", BASE64_STANDARD.encode(self.0.reveal())))
    }

    /// The signature of one attempt: `v1,` and the HMAC-SHA-256 of `{id}.{timestamp}.{body}` in base64.
    ///
    /// Neither the id nor the time may be chosen by anybody outside, and the id has no full stop; otherwise one
    /// signature could be read in two ways. The time is the attempt's, in Unix seconds.
    pub fn sign(&self, id: &str, timestamp_unix_seconds: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.reveal()));
        context.update(format!("{id}.{timestamp_unix_seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }

    /// Encrypts the secret for the row of this endpoint, under the current key of the ring. The version of the key
    /// stands in front: `1.…`.
    ///
    /// `None` only if the library refuses the input, which it does for no secret.
    pub fn seal(&self, keys: &KeyRing, endpoint: Uuid) -> Option<String> {
        let sealed = secret::seal(&endpoint_key(&keys.current, endpoint), self.0.reveal())?;
        Some(format!("{}.{sealed}", keys.current.version))
    }

    /// Decrypts what [`WebhookSecret::seal`] made for this endpoint with the current or the previous key of the ring.
    /// `None` for every other text, such as one that was sealed for another endpoint.
    pub fn unseal(keys: &KeyRing, endpoint: Uuid, sealed: &str) -> Option<Self> {
        let (version, sealed) = sealed.split_once('.')?;
        let key = keys.get(version.parse().ok()?)?;
        Self::from_bytes(secret::unseal(&endpoint_key(key, endpoint), sealed)?)
    }
}

/// Each endpoint has a key of its own, so that a sealed secret that is moved to the row of another endpoint does not
/// open there.
fn endpoint_key(key: &KeyVersion, endpoint: Uuid) -> [u8; 32] {
    secret::hash("webhook secret", &[key.key.reveal(), endpoint.as_bytes()])
}

impl FromStr for WebhookSecret {
    type Err = InvalidWebhookSecret;
    fn from_str(text: &str) -> Result<Self, InvalidWebhookSecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|bytes| BASE64_STANDARD.decode(bytes).ok());
        bytes.and_then(Self::from_bytes).ok_or(InvalidWebhookSecret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The value of the header `webhook-signature` of one attempt: the signature with the current secret and, while a
/// secret is being replaced, behind a space the one with the previous secret.
///
/// A receiver accepts the request if one of them is right, so it may hold either secret. For the other parameters see
/// [`WebhookSecret::sign`].
pub fn signature_header(
    current: &WebhookSecret,
    previous: Option<&WebhookSecret>,
    id: &str,
    timestamp_unix_seconds: i64,
    body: &[u8],
) -> String {
    let secrets = std::iter::once(current).chain(previous);
    let signatures: Vec<String> = secrets.map(|secret| secret.sign(id, timestamp_unix_seconds, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: Uuid = Uuid::from_u128(1);

    #[test]
    fn a_signature_is_the_one_of_the_specification_s_libraries() {
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let sign = |secret: &WebhookSecret| {
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        assert_eq!(sign(&secret), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_ne!(sign(&WebhookSecret::draw()), sign(&secret));
    }

    #[test]
    fn while_a_secret_is_replaced_a_request_carries_the_signatures_of_both() {
        let (new, old) = (WebhookSecret::draw(), WebhookSecret::draw());
        assert_eq!(signature_header(&new, None, "id", 7, b"{}"), new.sign("id", 7, b"{}"));
        let both = format!("{} {}", new.sign("id", 7, b"{}"), old.sign("id", 7, b"{}"));
        assert_eq!(signature_header(&new, Some(&old), "id", 7, b"{}"), both);
    }

    #[test]
    fn a_secret_is_read_from_the_text_that_is_shown_and_from_no_other() {
        let secret = WebhookSecret::draw();
        let shown = secret.shown();
        assert_eq!(shown.reveal().len(), "whsec_".len() + 44);
        assert_eq!(shown.reveal().parse::<WebhookSecret>().unwrap(), secret);
        assert_ne!(WebhookSecret::draw(), secret);
        assert_eq!(format!("{secret:?} {shown:?}"), "[secret] [secret]");
        let text = |bytes: usize| format!("whsec_{}", BASE64_STANDARD.encode(vec![7; bytes]));
        for (bytes, accepted) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(text(bytes).parse::<WebhookSecret>().is_ok(), accepted, "{bytes} bytes");
        }
        let unpadded = text(32).replace('=', "");
        for wrong in ["", "whsec_", &text(32)[6..], &unpadded, &format!(" {}", text(32)), &text(32).to_uppercase()] {
            assert_eq!(wrong.parse::<WebhookSecret>(), Err(InvalidWebhookSecret), "{wrong:?}");
        }
    }

    #[test]
    fn a_sealed_secret_opens_for_its_endpoint_only() {
        let (secret, keys) = (WebhookSecret::draw(), KeyRing::single(vec![7; 32]));
        let sealed = secret.seal(&keys, ENDPOINT).unwrap();
        assert!(sealed.starts_with("1."));
        assert_eq!(WebhookSecret::unseal(&keys, ENDPOINT, &sealed), Some(secret));
        assert_eq!(WebhookSecret::unseal(&keys, Uuid::from_u128(2), &sealed), None);
        assert_eq!(WebhookSecret::unseal(&KeyRing::single(vec![8; 32]), ENDPOINT, &sealed), None);
        for wrong in ["", "1", "1.", ".", "x.y", &sealed[2..], &format!("2{}", &sealed[1..]), &format!("{sealed}A")] {
            assert_eq!(WebhookSecret::unseal(&keys, ENDPOINT, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_sealed_secret_opens_until_its_key_has_left_the_ring() {
        let version = |version: u8| KeyVersion { version, key: Secret::new(vec![version; 32]) };
        let ring =
            |current, previous: Option<u8>| KeyRing { current: version(current), previous: previous.map(version) };
        let secret = WebhookSecret::draw();
        let sealed = secret.seal(&ring(1, None), ENDPOINT).unwrap();
        let opened = |ring| WebhookSecret::unseal(&ring, ENDPOINT, &sealed);
        assert_eq!(opened(ring(2, Some(1))), Some(secret.clone()));
        assert_eq!(opened(ring(3, Some(2))), None);
        let again = secret.seal(&ring(2, Some(1)), ENDPOINT).unwrap();
        assert!(again.starts_with("2."), "what is sealed is sealed with the current key");
    }
}

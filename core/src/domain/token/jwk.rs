//! Public keys as JSON (RFC 7517, RFC 8037) and their key ids, which are thumbprints (RFC 7638).

use super::pem;
use crate::domain::{
    id::InvalidText,
    secret::{base64url, from_base64url},
};
use aws_lc_rs::{
    digest,
    encoding::AsDer,
    signature::{
        ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The number of bytes of an RSA-4096 modulus.
const RSA_4096_BYTES: usize = 512;

/// The public half of a root key, which clients pin. It is always an RSA-4096 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKey {
    kid: String,
    n: Vec<u8>,
    e: Vec<u8>,
}

impl RootKey {
    /// The key with that modulus and exponent (big endian, leading zeros ignored).
    ///
    /// # Errors
    /// [`InvalidText`] unless the modulus has 4096 bits.
    pub fn new(n: &[u8], e: &[u8]) -> Result<Self, InvalidText> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        if n.len() != RSA_4096_BYTES || n[0] < 0x80 || e.is_empty() || e.len() > 8 {
            return Err(InvalidText("must be an RSA key of 4096 bits"));
        }
        let members = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, base64url(e), base64url(n));
        Ok(Self { kid: thumbprint(&members), n: n.into(), e: e.into() })
    }

    /// Reads a `PUBLIC KEY` PEM block (SubjectPublicKeyInfo), as Cloud KMS and OpenSSL write it.
    ///
    /// # Errors
    /// [`InvalidText`] if the text is not such a block, or the key is not an RSA-4096 key.
    pub fn from_pem(text: &str) -> Result<Self, InvalidText> {
        let wrong = InvalidText("must be a PEM block of an RSA public key");
        let der = pem::decode("PUBLIC KEY", text).ok_or(wrong)?;
        let key = aws_lc_rs::rsa::PublicKey::from_der(&der).map_err(|_| wrong)?;
        Self::from_public_key(&key)
    }

    /// The public half of a key pair.
    ///
    /// # Errors
    /// [`InvalidText`] unless the key has 4096 bits.
    pub(crate) fn from_public_key(key: &aws_lc_rs::rsa::PublicKey) -> Result<Self, InvalidText> {
        let (n, e) = (key.modulus(), key.exponent());
        Self::new(n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero())
    }

    /// The key as a `PUBLIC KEY` PEM block, which a vendor builds into a client.
    pub fn to_pem(&self) -> String {
        // Every key that was parsed can be written. If it could not, the block would be empty, which every reader
        // refuses.
        let der = self.components().as_der();
        pem::encode("PUBLIC KEY", der.as_ref().map_or(&[], |der| der.as_ref()))
    }

    /// The key id, which is the thumbprint of the key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// True if `signature` is this key's RSASSA-PKCS1-v1_5 signature with SHA-256 (RS256) over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.components().verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }

    fn components(&self) -> RsaPublicKeyComponents<&[u8]> {
        RsaPublicKeyComponents { n: &self.n, e: &self.e }
    }
}

#[derive(Serialize, Deserialize)]
struct RsaMembers {
    kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    n: String,
    e: String,
}

impl Serialize for RootKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let some = |text: &str| Some(text.to_owned());
        let (n, e) = (base64url(&self.n), base64url(&self.e));
        RsaMembers { kty: "RSA".into(), alg: some("RS256"), usage: some("sig"), kid: some(&self.kid), n, e }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RootKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = RsaMembers::deserialize(deserializer)?;
        let (n, e) = (from_base64url(&members.n), from_base64url(&members.e));
        match (members.kty.as_str(), n, e) {
            // The key id is computed from the key; the one in the text is ignored.
            ("RSA", Some(n), Some(e)) => Self::new(&n, &e).map_err(D::Error::custom),
            _ => Err(D::Error::custom("must be an RSA key with n and e in base64url")),
        }
    }
}

/// The public keys of a server, the current one first (RFC 7517 section 5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeySet {
    /// The keys.
    pub keys: Vec<RootKey>,
}

/// The public half of an instance's Ed25519 key (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceJwk {
    x: [u8; 32],
}

impl InstanceJwk {
    /// The key with these 32 bytes.
    pub fn new(x: [u8; 32]) -> Self {
        Self { x }
    }

    /// The key id, which is the thumbprint of the key.
    pub fn kid(&self) -> String {
        thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(&self.x)))
    }

    /// True if `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = &ED25519;
        UnparsedPublicKey::new(algorithm, &self.x).verify(message, signature).is_ok()
    }
}

#[derive(Serialize, Deserialize)]
struct OkpMembers {
    kty: String,
    crv: String,
    x: String,
}

impl Serialize for InstanceJwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        OkpMembers { kty: "OKP".into(), crv: "Ed25519".into(), x: base64url(&self.x) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for InstanceJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = OkpMembers::deserialize(deserializer)?;
        let x = from_base64url(&members.x).and_then(|x| x.try_into().ok());
        match (members.kty.as_str(), members.crv.as_str(), x) {
            ("OKP", "Ed25519", Some(x)) => Ok(Self { x }),
            _ => Err(D::Error::custom("must be an Ed25519 key")),
        }
    }
}

/// SHA-256 of a key's required members in lexical order without whitespace (RFC 7638 section 3).
fn thumbprint(members: &str) -> String {
    base64url(digest::digest(&digest::SHA256, members.as_bytes()).as_ref())
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().position(|&b| b != 0).unwrap_or(bytes.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_ed25519_key_is_that_of_the_standard_s_example() {
        // RFC 8037 appendix A.3.
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key: InstanceJwk = serde_json::from_str(jwk).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(serde_json::to_string(&key).unwrap(), jwk);
    }

    #[test]
    fn only_rsa_keys_of_4096_bits_are_roots() {
        assert!(RootKey::new(&[0xff; 512], &[1, 0, 1]).is_ok());
        assert_eq!(RootKey::new(&[[0; 8].as_slice(), &[0xff; 512]].concat(), &[1, 0, 1]).unwrap().n.len(), 512);
        for n in [vec![0xff; 256], vec![0x7f; 512], vec![], vec![0; 512]] {
            assert!(RootKey::new(&n, &[1, 0, 1]).is_err());
        }
    }

    #[test]
    fn a_root_key_s_name_is_computed_and_never_believed() {
        let key = RootKey::new(&[0xff; 512], &[1, 0, 1]).unwrap();
        let mut json = serde_json::to_value(&key).unwrap();
        assert_eq!(
            (json["kty"].as_str(), json["alg"].as_str(), json["use"].as_str()),
            (Some("RSA"), Some("RS256"), Some("sig"))
        );
        json["kid"] = "mine".into();
        assert_eq!(serde_json::from_value::<RootKey>(json).unwrap(), key);
    }
}

//! Secrets that carry their tenant inside, so that whoever presents one is found without a list of everybody's: API
//! tokens and invitations.
//!
//! A prefix that says what it is, then three groups of 26 lower-case Crockford base32 symbols without a separator: the
//! tenant, the id, and 128 random bits. Letters and digits only, so that a double click selects the whole.

use super::{
    base32,
    id::TenantId,
    pasted,
    secret::{self, Secret},
};
use uuid::Uuid;

/// How many symbols spell 128 bits.
const GROUP_SYMBOLS: usize = 26;

/// A kind of secret by how its text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `cdt_live_…`: what scripts authenticate with.
    ApiToken,
    /// `cdi_…`: what an invited person registers with.
    Invitation,
}

impl SecretKind {
    /// Every kind there is.
    pub const ALL: &[Self] = &[Self::ApiToken, Self::Invitation];

    /// How its text begins.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiToken => "cdt_live_",
            Self::Invitation => "cdi_",
        }
    }
}

/// A secret with the ids of the row that knows its hash. Prints neither.
#[derive(Clone)]
pub struct OpaqueSecret {
    kind: SecretKind,
    /// The organization it is of.
    pub tenant: TenantId,
    /// Its row.
    pub id: Uuid,
    secret: Secret<u128>,
}

impl OpaqueSecret {
    /// Draws a new one.
    pub fn draw(kind: SecretKind, tenant: TenantId) -> Self {
        Self { kind, tenant, id: Uuid::now_v7(), secret: Secret::new(u128::from_be_bytes(secret::random())) }
    }

    /// Reads one of that kind, typed or pasted: case, blanks, line ends and quotes are forgiven. `None` for anything
    /// else. Nothing is said about whether it exists.
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let text = pasted::clean_word(text).to_ascii_lowercase();
        let body = text.strip_prefix(kind.prefix())?;
        if body.len() != 3 * GROUP_SYMBOLS || !body.is_ascii() {
            return None;
        }
        let number_at = |at: usize| -> Option<u128> {
            let (first, rest) = body[at * GROUP_SYMBOLS..(at + 1) * GROUP_SYMBOLS].split_at(1);
            // 26 symbols are 130 bits: a first symbol above 7 was never written by us.
            let first = base32::decode(first).filter(|&value| value < 8)?;
            Some(first << 125 | base32::decode(rest)?)
        };
        let [tenant, id] = [number_at(0)?, number_at(1)?].map(Uuid::from_u128);
        Some(Self { kind, tenant: TenantId(tenant), id, secret: Secret::new(number_at(2)?) })
    }

    /// The whole text. For the one answer that shows it.
    pub fn reveal(&self) -> String {
        let group = |bits: u128| base32::encode(bits >> 125, 1) + &base32::encode(bits, 25);
        let body = group(self.tenant.0.as_u128()) + &group(self.id.as_u128()) + &group(*self.secret.reveal());
        self.kind.prefix().to_owned() + &body.to_ascii_lowercase()
    }

    /// How it is kept. 128 random bits need neither salt nor pepper.
    pub fn hash(&self) -> String {
        secret::base64url(&secret::hash(self.kind.prefix(), &[&self.secret.reveal().to_be_bytes()]))
    }
}

impl std::fmt::Debug for OpaqueSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{} {}]", self.kind.prefix(), self.tenant, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_as_printed_and_as_no_other_kind() {
        for _ in 0..1000 {
            let one = OpaqueSecret::draw(SecretKind::ApiToken, TenantId(Uuid::new_v4()));
            let text = one.reveal();
            assert_eq!(text.len(), 9 + 78);
            let back = OpaqueSecret::parse(SecretKind::ApiToken, &text).unwrap();
            assert_eq!(
                (back.tenant, back.id, back.hash(), back.reveal()),
                (one.tenant, one.id, one.hash(), text.clone())
            );
            assert!(OpaqueSecret::parse(SecretKind::Invitation, &text).is_none());
            let cut_in_two = format!("{}\r\n {}", &text[..40], &text[40..]);
            for pasted in [
                format!("{text}\n"),
                format!("“{text}”"),
                format!("\u{FEFF}{text}\u{A0}"),
                text.to_uppercase(),
                cut_in_two,
            ] {
                assert_eq!(
                    OpaqueSecret::parse(SecretKind::ApiToken, &pasted).map(|read| read.reveal()),
                    Some(text.clone()),
                    "{pasted:?}"
                );
            }
            assert!(!format!("{one:?}").contains(&text[61..]), "what proves is not printed");
        }
    }

    #[test]
    fn what_is_none_is_refused_without_a_panic() {
        let good = OpaqueSecret::draw(SecretKind::ApiToken, TenantId(Uuid::new_v4())).reveal();
        let spoilt = [
            good[..86].to_owned(),
            format!("{good}0"),
            good.replacen("live_", "live_z", 1),
            "cdt_live_".to_owned() + &"é".repeat(39),
        ];
        for text in spoilt.iter().map(String::as_str).chain(["", "cdt_live_", "cdt_test_"]) {
            assert!(OpaqueSecret::parse(SecretKind::ApiToken, text).is_none(), "{text}");
        }
        let z = "cdt_live_".to_owned() + &"z".repeat(78);
        assert!(OpaqueSecret::parse(SecretKind::ApiToken, &z).is_none(), "130 bits are more than an id has");
    }
}

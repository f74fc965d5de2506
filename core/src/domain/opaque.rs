//! Secrets that contain the id of their tenant: API tokens, vendor tokens and invitations. The row of such a secret is
//! found without a directory of all tenants' secrets.
//!
//! The text is a prefix that names the kind, followed by three groups of 26 lower-case Crockford base32 symbols without
//! a separator: the tenant, the id and 128 random bits. There are only letters, digits and underscores, so that a
//! double click selects the whole text.

use super::{
    base32,
    id::{TenantId, draw_uuid},
    pasted,
    secret::{self, Secret},
};
use uuid::Uuid;

/// The number of symbols that spell 128 bits.
const GROUP_SYMBOLS: usize = 26;

/// The kind of a secret, which the prefix of its text shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `cdt_live_…`: a token with which scripts authenticate.
    ApiToken,
    /// `cdi_…`: an invitation with which a person joins an organization.
    Invitation,
    /// `cdv_live_…`: a token with which machines of the vendor authenticate. Its tenant is the vendor.
    VendorToken,
}

impl SecretKind {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::ApiToken, Self::Invitation, Self::VendorToken];

    /// The prefix of the text.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiToken => "cdt_live_",
            Self::Invitation => "cdi_",
            Self::VendorToken => "cdv_live_",
        }
    }
}

/// A secret with the tenant and the id of the row that stores its hash. Its `Debug` output does not show the secret.
#[derive(Clone)]
pub struct OpaqueSecret {
    kind: SecretKind,
    /// The organization to which the secret belongs.
    pub tenant: TenantId,
    /// The id of the row that stores its hash.
    pub id: Uuid,
    secret: Secret<u128>,
}

impl OpaqueSecret {
    /// Makes a new random secret with a new id.
    pub fn draw(kind: SecretKind, tenant: TenantId) -> Self {
        Self { kind, tenant, id: draw_uuid(), secret: Secret::new(u128::from_be_bytes(secret::random())) }
    }

    /// Reads a secret of that kind as it was typed or pasted; its case, blanks, line ends and quotes around it do not
    /// matter. Returns `None` for every other text. `Some` does not mean that the secret exists.
    pub fn parse(kind: SecretKind, text: &str) -> Option<Self> {
        let text = pasted::clean_word(text).to_ascii_lowercase();
        let body = text.strip_prefix(kind.prefix())?;
        if body.len() != 3 * GROUP_SYMBOLS || !body.is_ascii() {
            return None;
        }
        let number_at = |at: usize| -> Option<u128> {
            let (first, rest) = body[at * GROUP_SYMBOLS..(at + 1) * GROUP_SYMBOLS].split_at(1);
            // 26 symbols hold 130 bits. In a text that this server wrote, the first symbol is at most 7.
            let first = base32::decode(first).filter(|&value| value < 8)?;
            Some(first << 125 | base32::decode(rest)?)
        };
        let [tenant, id] = [number_at(0)?, number_at(1)?].map(Uuid::from_u128);
        // The hash does not cover the tenant, so a token of the vendor's that names an organization is none.
        if kind == SecretKind::VendorToken && TenantId(tenant) != TenantId::VENDOR {
            return None;
        }
        Some(Self { kind, tenant: TenantId(tenant), id, secret: Secret::new(number_at(2)?) })
    }

    /// The whole text. It is only for the one answer that shows the secret.
    pub fn reveal(&self) -> String {
        let group = |bits: u128| base32::encode(bits >> 125, 1) + &base32::encode(bits, 25);
        let body = group(self.tenant.0.as_u128()) + &group(self.id.as_u128()) + &group(*self.secret.reveal());
        self.kind.prefix().to_owned() + &body.to_ascii_lowercase()
    }

    /// The hash that is stored. A secret of 128 random bits needs neither salt nor pepper.
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

    #[test]
    fn a_vendor_token_is_the_vendors_and_nobody_elses() {
        let good = OpaqueSecret::draw(SecretKind::VendorToken, TenantId::VENDOR);
        let text = good.reveal();
        assert!(text.starts_with("cdv_live_0000"), "26 symbols for the id of zeros");
        assert_eq!(OpaqueSecret::parse(SecretKind::VendorToken, &text).unwrap().hash(), good.hash());
        assert!(OpaqueSecret::parse(SecretKind::ApiToken, &text).is_none());
        let of_an_organization = OpaqueSecret::draw(SecretKind::VendorToken, TenantId(Uuid::new_v4())).reveal();
        assert!(OpaqueSecret::parse(SecretKind::VendorToken, &of_an_organization).is_none());
        let renamed = text.replacen("cdv_", "cdt_", 1);
        let as_an_api_token = OpaqueSecret::parse(SecretKind::ApiToken, &renamed).unwrap();
        assert_ne!(as_an_api_token.hash(), good.hash(), "the kind is part of the hash");
    }
}

//! The caller of a change, and the request that the change is asked for with.

use crate::domain::{
    access::{PersonRole, Scope, VendorScope},
    id::{TenantId, UserId},
    secret::{self, KeyRing},
};
use std::net::IpAddr;
use uuid::Uuid;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Somebody of the organization.
    Person {
        /// The person.
        user: UserId,
        /// The verified address, in small letters.
        email: String,
        /// What the person is in this organization.
        role: PersonRole,
    },
    /// A script of the organization.
    Token {
        /// Its API token.
        id: Uuid,
        /// The token's name.
        name: String,
        /// What it may be used for.
        scopes: Vec<Scope>,
    },
    /// Somebody of the vendor.
    Staff {
        /// Who, at the staff's identity provider.
        subject: String,
        /// The verified address.
        email: String,
    },
    /// A machine of the vendor, such as a shop.
    VendorToken {
        /// Its vendor token.
        id: Uuid,
        /// The token's name.
        name: String,
        /// What it may be used for.
        scopes: Vec<VendorScope>,
    },
}

impl Principal {
    /// `person`, `token`, `staff` or `vendor_token`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person { .. } => "person",
            Self::Token { .. } => "token",
            Self::Staff { .. } => "staff",
            Self::VendorToken { .. } => "vendor_token",
        }
    }

    /// The id it is known by for good.
    pub fn id(&self) -> String {
        match self {
            Self::Person { user, .. } => user.to_string(),
            Self::Token { id, .. } | Self::VendorToken { id, .. } => id.to_string(),
            Self::Staff { subject, .. } => subject.clone(),
        }
    }

    /// Kind and id in one word, as idempotency keys know their owner.
    pub(super) fn kind_and_id(&self) -> String {
        format!("{} {}", self.kind(), self.id())
    }

    /// Kind and name in one word, as events say who did something.
    pub(super) fn kind_and_name(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    /// The name people know it by.
    pub fn name(&self) -> &str {
        match self {
            Self::Person { email, .. } | Self::Staff { email, .. } => email,
            Self::Token { name, .. } | Self::VendorToken { name, .. } => name,
        }
    }

    /// The person, if it is one of the organization.
    pub const fn person(&self) -> Option<UserId> {
        match self {
            Self::Person { user, .. } => Some(*user),
            Self::Token { .. } | Self::Staff { .. } | Self::VendorToken { .. } => None,
        }
    }

    /// True if it may give a person this role, or take it from one who has it: only owners make owners.
    pub fn may_grant(&self, role: PersonRole) -> bool {
        match self {
            Self::Person { role: own, .. } => own.may_grant(role),
            Self::Token { .. } | Self::VendorToken { .. } => false,
            Self::Staff { .. } => true,
        }
    }

    /// True if it acts for the vendor: somebody of the staff, or a machine.
    pub const fn is_of_vendor(&self) -> bool {
        matches!(self, Self::Staff { .. } | Self::VendorToken { .. })
    }
}

/// An operation of the management API, as the log of what staff read names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its method and path, without what the path of each begins with.
    pub name: String,
    /// The id of what it is about.
    pub target: String,
}

/// A request of somebody to one organization, or to the vendor's catalog.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The organization; [`TenantId::VENDOR`] for changes to the catalog, which belongs to none.
    pub tenant: TenantId,
    /// Who asks.
    pub principal: Principal,
    /// The address that the request comes from, as far as it is known.
    pub address: Option<IpAddr>,
    /// The request's id, which its log lines carry too.
    pub request_id: Option<String>,
    /// Set where the same request may come again and must then do nothing.
    pub repeat: Option<RepeatableRequest>,
    /// What is asked for; `None` where nobody asked by the API.
    pub operation: Option<Operation>,
}

/// What makes two requests the same: `Idempotency-Key` and everything that was asked.
#[derive(Clone)]
pub struct RepeatableRequest {
    pub(super) key_hash: String,
    pub(super) request_hash: String,
    /// The key that the outcome is sealed with, and after it the one that an outcome may have been sealed with before
    /// the pepper was replaced. An outcome may hold a secret that is shown once, and only a caller who knows the
    /// idempotency key may receive it again.
    seals: Vec<[u8; 32]>,
}

impl RepeatableRequest {
    /// Of a request (`request`: its method, path and body) that carries the idempotency key `key`.
    pub fn new(key: &str, request: &[&[u8]], peppers: &KeyRing) -> Self {
        Self {
            key_hash: secret::base64url(&secret::hash("idempotency-key-v1", &[key.as_bytes()])),
            request_hash: secret::base64url(&secret::hash("idempotency-request-v1", request)),
            seals: peppers.all().map(|pepper| pepper.sign(&[b"idempotency-v1", key.as_bytes()].concat())).collect(),
        }
    }

    pub(super) fn seal(&self, outcome: &[u8]) -> Option<String> {
        secret::seal(self.seals.first()?, outcome)
    }

    pub(super) fn unseal(&self, sealed: &str) -> Option<Vec<u8>> {
        self.seals.iter().find_map(|seal| secret::unseal(seal, sealed))
    }
}

impl std::fmt::Debug for RepeatableRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repeat({})", self.key_hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::{KeyVersion, Secret};

    #[test]
    fn what_was_answered_opens_while_its_pepper_is_accepted_and_only_with_its_key() {
        let pepper = |version, byte| KeyVersion { version, key: Secret::new(vec![byte; 32]) };
        let ring = |current, previous| KeyRing { current, previous };
        let (before, under_way, after) =
            (ring(pepper(1, 1), None), ring(pepper(2, 2), Some(pepper(1, 1))), ring(pepper(2, 2), None));
        let repeat = |key: &str, peppers: &KeyRing| RepeatableRequest::new(key, &[b"POST"], peppers);
        let old = repeat("k", &before).seal(b"a secret").unwrap();
        let new = repeat("k", &under_way).seal(b"a secret").unwrap();
        assert_eq!(repeat("k", &under_way).unseal(&old).as_deref(), Some(&b"a secret"[..]));
        assert_eq!(
            repeat("k", &after).unseal(&new).as_deref(),
            Some(&b"a secret"[..]),
            "sealed with the new one at once"
        );
        assert_eq!(repeat("k", &after).unseal(&old), None);
        assert_eq!(repeat("another", &under_way).unseal(&old), None);
    }

    /// Computed outside of this code. If one of these differs, every request that is repeated during a rollout is
    /// refused, or what it was answered cannot be opened.
    #[test]
    fn a_request_and_what_it_was_answered_look_the_same_to_every_version() {
        let repeat = RepeatableRequest::new("a key", &[b"POST", b"/api/v1/x"], &KeyRing::single(vec![1; 32]));
        assert_eq!(repeat.key_hash, "p9ywvdQEXK_c8CZrLV6bdJGWYPwietqFacvS_2gqt6w");
        assert_eq!(repeat.request_hash, "_kw3pDASKZKLVTps-qi02hiQ22D4TGvO2AgYUL9B6lA");
        let kept = "AAECAwQFBgcICQoLSkpQ_BcKqvq7T_FO0KaJZyYeernEVqQ-QdM";
        assert_eq!(repeat.unseal(kept).as_deref(), Some(&b"an outcome"[..]));
    }
}

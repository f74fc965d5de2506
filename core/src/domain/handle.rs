//! The session handle: an opaque bearer string that clients present with heartbeat and release. A forged handle is
//! refused by its keyed hash, before any store is asked.

use super::{
    id::{Hw, LicenseNumber, PoolId, PoolName, SeatNo, SessionId, TenantId},
    secret::{self, KeyRing},
};
use uuid::Uuid;

/// The version of the format of a handle.
const VERSION: u8 = 1;
/// The number of bytes of the HMAC that a handle contains.
const MAC_BYTES: usize = 16;

/// The contents of a session handle: everything that heartbeat and release need, so that no store has to be asked for
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionHandle {
    /// The organization.
    pub tenant: TenantId,
    /// The license's public number, one half of the pool's hash tag in Redis.
    pub license: LicenseNumber,
    /// The pool's name, the other half of the hash tag.
    pub pool: PoolName,
    /// The pool's id in PostgreSQL.
    pub pool_id: PoolId,
    /// The seat.
    pub seat: SeatNo,
    /// The session.
    pub session: SessionId,
    /// The machine hash.
    pub hw: Hw,
}

/// The error for a presented text that is not a session handle of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session handle of this server")]
pub struct InvalidHandle;

impl SessionHandle {
    /// Makes the bearer string: `version, key id, tenant, license, pool id, seat, session, hw, pool name,
    /// HMAC-SHA-256/128` as base64url.
    pub fn mint(&self, keys: &KeyRing) -> String {
        let mut bytes = vec![VERSION, keys.current.version];
        bytes.extend(self.tenant.0.as_bytes());
        bytes.extend(self.license.0.to_be_bytes());
        bytes.extend(self.pool_id.0.as_bytes());
        bytes.extend(self.seat.to_be_bytes());
        bytes.extend(self.session.0.as_bytes());
        bytes.extend(self.hw.0);
        bytes.extend(self.pool.as_str().as_bytes());
        let mac = keys.current.sign(&bytes);
        bytes.extend(&mac[..MAC_BYTES]);
        secret::base64url(&bytes)
    }

    /// Verifies a presented string and returns the contents of the handle.
    ///
    /// # Errors
    /// [`InvalidHandle`] for every text that this server did not mint under a key that it still accepts. The
    /// verification computes at most one HMAC.
    pub fn verify(text: &str, keys: &KeyRing) -> Result<Self, InvalidHandle> {
        // The longest handle has a pool name of 32 bytes: 142 bytes, 190 characters.
        if text.len() > 200 {
            return Err(InvalidHandle);
        }
        let bytes = secret::from_base64url(text).ok_or(InvalidHandle)?;
        let (body, mac) = bytes.split_at_checked(bytes.len().saturating_sub(MAC_BYTES)).ok_or(InvalidHandle)?;
        let (&version, &key_version) = (body.first().ok_or(InvalidHandle)?, body.get(1).ok_or(InvalidHandle)?);
        if version != VERSION {
            return Err(InvalidHandle);
        }
        let expected = keys.get(key_version).ok_or(InvalidHandle)?.sign(body);
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected[..MAC_BYTES], mac).map_err(|_| InvalidHandle)?;
        Self::parse_body(&body[2..]).ok_or(InvalidHandle)
    }

    /// Parses the bytes between the version and key id, and the HMAC.
    fn parse_body(mut rest: &[u8]) -> Option<Self> {
        fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
            let (head, tail) = rest.split_first_chunk()?;
            *rest = tail;
            Some(*head)
        }
        Some(Self {
            tenant: TenantId(Uuid::from_bytes(take(&mut rest)?)),
            license: LicenseNumber(u64::from_be_bytes(take(&mut rest)?)),
            pool_id: PoolId(Uuid::from_bytes(take(&mut rest)?)),
            seat: SeatNo::from_be_bytes(take(&mut rest)?),
            session: SessionId(Uuid::from_bytes(take(&mut rest)?)),
            hw: Hw(take(&mut rest)?),
            pool: std::str::from_utf8(rest).ok()?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::draw_uuid;

    fn handle() -> SessionHandle {
        SessionHandle {
            tenant: TenantId(draw_uuid()),
            license: LicenseNumber::draw(),
            pool: PoolName::default_pool(),
            pool_id: PoolId(draw_uuid()),
            seat: 3,
            session: SessionId::draw(),
            hw: Hw([7; 32]),
        }
    }

    #[test]
    fn a_minted_handle_opens_to_what_it_was_made_of() {
        let keys = KeyRing::single(vec![1; 32]);
        assert_eq!(SessionHandle::verify(&handle().mint(&keys), &keys).map(|h| h.seat), Ok(3));
        let handle = handle();
        assert_eq!(SessionHandle::verify(&handle.mint(&keys), &keys), Ok(handle));
    }

    #[test]
    fn a_handle_of_the_previous_key_still_opens_and_one_of_a_dropped_key_does_not() {
        let old = KeyRing::single(vec![1; 32]);
        let mut new = KeyRing::single(vec![2; 32]);
        new.current.version = 2;
        let handle = handle();
        let text = handle.mint(&old);
        assert_eq!(SessionHandle::verify(&text, &new), Err(InvalidHandle));
        new.previous = Some(old.current);
        assert_eq!(SessionHandle::verify(&text, &new), Ok(handle));
    }

    #[test]
    fn a_handle_with_any_character_changed_is_refused() {
        let keys = KeyRing::single(vec![1; 32]);
        let text = handle().mint(&keys);
        for at in 0..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let mut forged = text.clone();
            forged.replace_range(at..=at, other);
            assert_eq!(SessionHandle::verify(&forged, &keys), Err(InvalidHandle), "changed at {at}");
        }
        for junk in ["", "A", "AQE", &"A".repeat(5000)] {
            assert_eq!(SessionHandle::verify(junk, &keys), Err(InvalidHandle));
        }
    }
}

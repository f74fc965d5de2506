//! Signs leases and refusals. A lease is signed only after the commit that it attests.

use super::SeatProtocol;
use crate::{
    ProblemCode, Result, clock,
    domain::{
        handle::SessionHandle,
        id::{LicenseNumber, Nonce, SessionId, draw_uuid},
        pool::SeatLease,
        token::{RefusalClaims, TokenClaims},
    },
    signer::InstanceKey,
};
use std::time::Duration;
use time::OffsetDateTime;

/// A signed lease, as a client receives it with every acquire and heartbeat.
#[derive(Clone, Debug)]
pub struct SignedLease {
    /// The client's lease in whole seconds, counted from when the client sent the request.
    pub expires_in: u64,
    /// When to send the next heartbeat, in whole seconds; drawn anew for every answer.
    pub heartbeat_in: u64,
    /// The license token.
    pub token: String,
    /// The certificate of the key that signed it.
    pub certificate: String,
    /// The id of that key.
    pub certificate_kid: String,
    /// Until when the client may go on without contact.
    pub offline_until: OffsetDateTime,
}

impl SeatProtocol {
    /// Signs the license token for a lease that Redis has just given the session of a handle. `received` is when the
    /// request was received, in Unix seconds: the lease counts from then, and so it ends before the one in Redis, which
    /// was raised later.
    pub(super) fn sign_lease(
        &self,
        key: &InstanceKey,
        handle: &SessionHandle,
        seat_lease: &SeatLease,
        nonce: Option<&Nonce>,
        received: i64,
    ) -> Result<SignedLease> {
        let facts = &seat_lease.facts;
        let timing = self.settings.timing.for_lease_ms(seat_lease.lease_ms);
        let expires_in = timing.expires_in();
        let offline_until = self.offline_until(seat_lease, received, expires_in);
        let token = key.sign_token(&TokenClaims {
            iss: self.signer.settings().issuer.clone(),
            aud: facts.product.clone(),
            sub: seat_lease.holder,
            jti: draw_uuid(),
            iat: received,
            exp: received + expires_in as i64,
            session_id: handle.session,
            license: facts.number,
            tenant: facts.tenant,
            seat: handle.seat,
            hw: handle.hw,
            tier: facts.tier.clone(),
            features: facts.features.clone(),
            license_exp: facts.expires_at.map(OffsetDateTime::unix_timestamp),
            offline_until: offline_until.unix_timestamp(),
            nonce: nonce.cloned(),
            facts_version: facts.facts_version,
        })?;
        Ok(SignedLease {
            expires_in,
            heartbeat_in: timing.draw_heartbeat_in(),
            token,
            certificate: key.certificate().to_owned(),
            certificate_kid: key.kid().to_owned(),
            offline_until,
        })
    }

    /// Until when a client may go on without contact: its lease or, where the holder has earned it by its time on the
    /// seat, the grace that the license allows. `received` is in Unix seconds, and `expires_in` in seconds.
    fn offline_until(&self, seat_lease: &SeatLease, received: i64, expires_in: u64) -> OffsetDateTime {
        let SeatLease { facts, held_ms, .. } = seat_lease;
        let at = clock::from_ms(received * 1000);
        let enough = self.settings.timing.required_seat_time_ms(facts.offline.after_heartbeats);
        let earned = held_ms.is_some_and(|held| held >= enough);
        // No client accepts a token with more grace than certificates allow, so a longer grace is shortened.
        let longest = at + self.signer.settings().max_grace;
        facts.offline_until(at, at + Duration::from_secs(expires_in), earned).min(longest)
    }

    /// Signs a refusal for a client that sent a nonce, so that a fake server cannot lock people out unnoticed. Answers
    /// the signed refusal and the certificate of the key that signed it.
    ///
    /// # Errors
    /// [`crate::Error::Signer`] if this instance has no certified key and cannot get one.
    pub async fn sign_refusal(
        &self,
        code: ProblemCode,
        reason: Option<&str>,
        nonce: &Nonce,
        license: LicenseNumber,
        session: Option<SessionId>,
    ) -> Result<(String, String)> {
        let key = self.signer.certified().await?;
        let now = self.settings.clock.now_seconds();
        let refusal = key.sign_refusal(&RefusalClaims::new(
            &self.signer.settings().issuer,
            now,
            nonce.clone(),
            code,
            reason,
            license,
            session,
        ))?;
        Ok((refusal, key.certificate().to_owned()))
    }
}

//! What is signed and handed out, after the commit it attests.

use super::SeatProtocol;
use crate::{
    ProblemCode, Result, clock,
    domain::{
        handle::SessionHandle,
        id::{LicenseNumber, Nonce, SessionId},
        pool::SeatLease,
        token::{RefusalClaims, TokenClaims},
    },
    signer::InstanceKey,
};
use time::OffsetDateTime;
use uuid::Uuid;

/// A signed lease, as a client gets it with every acquire and heartbeat.
#[derive(Clone, Debug)]
pub struct SignedLease {
    /// The client's lease in whole seconds, counted from when it sent the request.
    pub expires_in: u64,
    /// When to send the next heartbeat, in whole seconds; drawn anew for every answer.
    pub heartbeat_in: u64,
    /// The license token.
    pub token: String,
    /// The certificate of the key that signed it.
    pub certificate: String,
    /// Which key that is.
    pub certificate_kid: String,
    /// Until when the client may go on without contact.
    pub offline_until: OffsetDateTime,
}

impl SeatProtocol {
    /// Signs the license token for a lease that Redis has just given the session of a handle. `received_ms` is when the
    /// request was received: the client's lease counts from before then, so it ends before the lease in Redis does.
    pub(super) fn sign_lease(
        &self,
        key: &InstanceKey,
        handle: &SessionHandle,
        lease: &SeatLease,
        nonce: Option<&Nonce>,
        received_ms: i64,
    ) -> Result<SignedLease> {
        let SeatLease { holder, facts, lease_ms, held_ms } = lease;
        let timing = self.settings.timing.of_lease(*lease_ms);
        let expires_in = timing.expires_in();
        let received = received_ms.div_euclid(1000);
        let lease_end = received + expires_in as i64;
        let at = clock::from_ms(received * 1000);
        let enough = self.settings.timing.lived_through_ms(facts.offline.after_heartbeats);
        let earned = held_ms.is_some_and(|held| held >= enough);
        // A longer grace than certificates allow would make tokens no client accepts: it is cut, not refused.
        let longest = at + self.signer.settings().max_grace;
        let offline_until = facts.offline_until(at, clock::from_ms(lease_end * 1000), earned).min(longest);
        let token = key.sign_token(&TokenClaims {
            iss: self.signer.settings().issuer.clone(),
            aud: facts.product.clone(),
            sub: *holder,
            jti: Uuid::now_v7(),
            iat: received,
            exp: lease_end,
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

    /// Signs a "no" for a client that sent a nonce, so that a fake server cannot lock people out unseen: the refusal,
    /// and the certificate of the key that signed it.
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

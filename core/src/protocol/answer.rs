//! What is signed and handed out, after the commit it attests.

use super::SeatProtocol;
use crate::{
    ProblemCode, Result, clock,
    domain::{
        id::{Holder, Hw, LicenseNumber, Nonce, SeatNo, SessionId},
        license::LicenseFacts,
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

/// For whom a lease is signed.
pub(super) struct LeaseSubject<'a> {
    pub(super) facts: &'a LicenseFacts,
    pub(super) holder: Holder,
    pub(super) hw: Hw,
    pub(super) session: SessionId,
    pub(super) seat: SeatNo,
    pub(super) nonce: Option<&'a Nonce>,
    /// When the request was received: the client's lease must not outlive ours, which began later.
    pub(super) received_ms: i64,
    /// The lease in Redis, ms.
    pub(super) lease_ms: i64,
    /// How long its holder has held the seat, ms: what grace is earned by; `None` where it may have none.
    pub(super) held_ms: Option<i64>,
}

impl SeatProtocol {
    pub(super) fn sign(&self, key: &InstanceKey, whom: &LeaseSubject<'_>) -> Result<SignedLease> {
        let timing = self.settings.timing.of_lease(whom.lease_ms);
        let expires_in = timing.expires_in();
        let received = whom.received_ms.div_euclid(1000);
        let lease_end = received + expires_in as i64;
        let at = clock::from_ms(received * 1000);
        let enough = self.settings.timing.lived_through_ms(whom.facts.offline.after_heartbeats);
        let earned = whom.held_ms.is_some_and(|held| held >= enough);
        // A longer grace than certificates allow would make tokens no client accepts: it is cut, not refused.
        let longest = at + self.signer.settings().max_grace;
        let offline_until = whom.facts.offline_until(at, clock::from_ms(lease_end * 1000), earned).min(longest);
        let facts = whom.facts;
        let token = key.sign_token(&TokenClaims {
            iss: self.signer.settings().issuer.clone(),
            aud: facts.product.clone(),
            sub: whom.holder,
            jti: Uuid::now_v7(),
            iat: received,
            exp: lease_end,
            session_id: whom.session,
            license: facts.number,
            tenant: facts.tenant,
            seat: whom.seat,
            hw: whom.hw,
            tier: facts.tier.clone(),
            features: facts.features.clone(),
            license_exp: facts.expires_at.map(OffsetDateTime::unix_timestamp),
            offline_until: offline_until.unix_timestamp(),
            nonce: whom.nonce.cloned(),
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

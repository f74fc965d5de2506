//! A license gets a new key, and sessions that began with an old one end if that is asked for.

use super::issue::whole_key;
use crate::{
    Error,
    domain::{
        access::PersonRole,
        id::{KeyId, LicenseId},
        key::LicenseKey,
        license::Status,
        secret::KeyRing,
    },
    error::{StoreName, chain},
    management::{Management, SeatManagement},
    protocol::deadline::Deadline,
    records::{AuditedChange, Caller, EndedSessions, PoolChange},
    refusal::{ChangeRefusal, ChangeResult},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;

/// How many earlier keys of a license may be valid at a time: each acquire and validate compares with all of them.
const MOST_OLD_KEYS: i64 = 32;
/// For how long one request goes on ending sessions: its answer must still be written, and shows a key this once.
const TIME_TO_END_SESSIONS: Duration = Duration::from_secs(2);

/// How a license's key is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyRotation {
    /// For how many seconds more old keys are valid, and never longer than they were to be.
    pub old_valid_for: u32,
    /// Whether sessions that began with an old key end too; only together with `old_valid_for` 0.
    pub end_sessions: bool,
}

/// A license's new key, and what became of the sessions of old ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RotatedKey {
    /// The new key, to be shown once.
    #[serde(with = "whole_key")]
    pub key: LicenseKey,
    /// What names it; opens nothing.
    pub id: KeyId,
    /// What names the one before.
    pub old_id: Option<KeyId>,
    /// Until when the one before is valid.
    #[serde(with = "time::serde::rfc3339")]
    pub old_until: OffsetDateTime,
    /// The pools whose copies in Redis are stale.
    pub changed_pools: Vec<PoolChange>,
    /// How many sessions ended.
    pub ended: u64,
    /// How many that began with an old key still go on, of those that were to end.
    pub remaining: u64,
}

/// One step of ending the sessions of old keys.
#[derive(Clone, Debug, Default)]
pub struct EndingStep {
    /// How many sessions ended; 0: there are none left.
    pub ended: u64,
    /// The pools whose copies in Redis are stale.
    pub changed_pools: Vec<PoolChange>,
}

impl Management {
    /// Gives a license a new key, and ends sessions that began with an old one if that is asked for: those of up to 200
    /// seats, in the transaction of the rotation. [`Management::end_sessions_of_old_keys`] goes on with the others.
    ///
    /// # Errors
    /// A refusal, or [`Error::Records`]. Without an idempotency key the same request again is another rotation.
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        license: LicenseId,
        rotation: KeyRotation,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKey> {
        if rotation.end_sessions && rotation.old_valid_for > 0 {
            return Err(ChangeRefusal::SessionsOfValidKey.into());
        }
        self.records.change(caller, async |change| change.rotate_key(license, rotation, peppers).await).await
    }

    /// Ends sessions of a license that began with a key that is not valid any more, on up to 200 seats, in a
    /// transaction of its own.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn end_sessions_of_old_keys(&self, caller: &Caller, license: LicenseId) -> ChangeResult<EndingStep> {
        // What makes a request the same belongs to the rotation, which is done. Without an operation a look that ends
        // nothing is not written down as a read.
        let caller = Caller { repeat: None, operation: None, ..caller.clone() };
        let transaction = self.records.begin_patiently(caller.tenant).await?;
        self.records
            .change_in(transaction, &caller, async |change| {
                change.allow_long_statements().await?;
                let EndedSessions { sessions, pools } = change.end_sessions_of_old_keys(license).await?;
                let ended = sessions.len() as u64;
                change.audit_ended_sessions(sessions);
                Ok(EndingStep { ended, changed_pools: pools })
            })
            .await
    }
}

impl SeatManagement {
    /// As [`Management::rotate_key`], and marks the copies in Redis as stale. Sessions that are left end in
    /// transactions of their own, for about two seconds. The same request with the same idempotency key goes on with
    /// what is left.
    ///
    /// # Errors
    /// As [`SeatManagement::edit_license`].
    pub async fn rotate_key(
        &self,
        caller: &Caller,
        license: LicenseId,
        rotation: KeyRotation,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKey> {
        let deadline = Deadline::after(TIME_TO_END_SESSIONS);
        let mut rotated = self.management.rotate_key(caller, license, rotation, peppers).await?;
        self.mark_stale(&rotated.changed_pools).await?;
        while rotated.remaining > 0 && deadline.check(StoreName::Records).is_ok() {
            match self.end_more_sessions(caller, license).await {
                Ok(0) => rotated.remaining = 0,
                Ok(count) => {
                    rotated.ended += count;
                    rotated.remaining = rotated.remaining.saturating_sub(count);
                }
                // The new key must be answered: it is shown this once.
                Err(e) => {
                    let remaining = rotated.remaining;
                    tracing::warn!(error = %chain(&e), remaining, "sessions that began with an old license key go on");
                    break;
                }
            }
        }
        Ok(rotated)
    }

    async fn end_more_sessions(&self, caller: &Caller, license: LicenseId) -> ChangeResult<u64> {
        let step = self.management.end_sessions_of_old_keys(caller, license).await?;
        self.mark_stale(&step.changed_pools).await?;
        Ok(step.ended)
    }
}

impl AuditedChange<'_> {
    async fn rotate_key(
        &mut self,
        id: LicenseId,
        rotation: KeyRotation,
        peppers: &KeyRing,
    ) -> ChangeResult<RotatedKey> {
        let by = self.current_principal().await?;
        if by.person().is_some() && !by.may_grant(PersonRole::Admin) {
            return Err(ChangeRefusal::RoleTooLow(PersonRole::Admin).into());
        }
        if rotation.end_sessions {
            self.allow_long_statements().await?;
        }
        let license = self.lock_license(id).await?.ok_or(ChangeRefusal::NotFound)?;
        if license.status == Status::Revoked {
            return Err(ChangeRefusal::LicenseRevoked.into());
        }
        if rotation.old_valid_for > 0 && self.count_valid_keys(id).await? > MOST_OLD_KEYS {
            return Err(ChangeRefusal::TooManyKeys.into());
        }
        let old_id = self.current_key(id).await?;
        let key = LicenseKey::draw(license.number);
        let old_until = self.time_in(rotation.old_valid_for).await?;
        let changed_pools = self.rotate_license_key(id, &key.hash(peppers), old_until).await?;
        let new_id = self.current_key(id).await?;
        let new_id = new_id.ok_or_else(|| Error::Internal("a license key that was just made is not there".into()))?;
        let mut after = json!({ "old_valid_for_in": rotation.old_valid_for, "key": new_id });
        if rotation.end_sessions {
            after["end_sessions"] = true.into();
        }
        self.audit("license.key_rotated", &id.to_string(), json!({ "key": old_id }), after);
        let mut rotated = RotatedKey { key, id: new_id, old_id, old_until, changed_pools, ended: 0, remaining: 0 };
        if rotation.end_sessions {
            self.end_first_sessions(id, &mut rotated).await?;
        }
        Ok(rotated)
    }

    /// Ends sessions in the transaction of the rotation, and counts those that are left.
    async fn end_first_sessions(&mut self, id: LicenseId, rotated: &mut RotatedKey) -> ChangeResult<()> {
        let EndedSessions { sessions, pools } = self.end_sessions_of_old_keys(id).await?;
        rotated.ended = sessions.len() as u64;
        self.audit_ended_sessions(sessions);
        // Of a pool that changed twice, the last epoch counts.
        rotated.changed_pools.retain(|it| !pools.iter().any(|other| other.pool_id == it.pool_id));
        rotated.changed_pools.extend(pools);
        rotated.remaining = self.count_sessions_of_old_keys(id).await?;
        Ok(())
    }

    fn audit_ended_sessions(&mut self, sessions: Vec<(String, serde_json::Value)>) {
        for (id, before) in sessions {
            let after = json!({ "reason": "kicked", "force": false, "because": "license.key_rotated" });
            self.audit("session.ended", &id, before, after);
        }
    }
}

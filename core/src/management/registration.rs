//! Registration: organization, owner and first license in one transaction.

use super::Management;
use crate::{
    domain::{
        access::PersonRole, email::small, id::LicenseNumber, key::LicenseKey, secret::KeyRing, step_up::SignIn,
        trial::counted_hashes,
    },
    records::{
        AuditedChange, Caller, Principal, REPEAT, RegisteredTenant, RegistrationState, RegistrationStep, VerifiedPerson,
    },
    refusal::{ChangeRefusal, ChangeResult},
};
use serde_json::json;
use std::{net::IpAddr, time::Instant};

/// A person who asks for an organization.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// The person.
    pub person: VerifiedPerson,
    /// What the organization shall be called.
    pub organization: String,
    /// Which product its first license is for; the vendor's default if `None`.
    pub product: Option<String>,
    /// The address that the request comes from, as far as it is known; for the audit log, and trials are counted by it.
    pub address: Option<IpAddr>,
    /// The request's id; for the audit log.
    pub request_id: Option<String>,
    /// How the person signed in: an organization may demand more before a key of its own is replaced.
    pub sign_in: SignIn,
}

/// The organization of somebody who registered.
#[derive(Clone, Debug)]
pub struct RegistrationResult {
    /// The organization with its first license. If the person came again, the key is shown only while the license was
    /// never used (it is a new one then), and only to somebody who signed in as their organization demands for that.
    pub registered: Box<RegisteredTenant>,
    /// False where the identity had an organization before.
    pub created: bool,
}

impl Management {
    /// Registers a person: a new organization with its owner and first license, or the one the identity already has.
    ///
    /// # Errors
    /// [`ChangeRefusal::UnknownProduct`], [`ChangeRefusal::TrialLimitReached`] or [`crate::Error::Records`]; with the
    /// last one the organization may have been made all the same, and a second call then finds it.
    pub async fn register(&self, new: &NewOrganization, peppers: &KeyRing) -> ChangeResult<RegistrationResult> {
        let started = Instant::now();
        loop {
            let key = LicenseKey::draw(LicenseNumber::draw());
            let (product, hash) = (new.product.as_deref(), key.hash(peppers));
            let (transaction, step) = self
                .records
                .register_in_new_transaction(&new.person, &new.organization, product, key.number(), &hash)
                .await?;
            let (registered, state) = match step {
                RegistrationStep::Found { registered, state } => (registered, state),
                RegistrationStep::UnknownProduct => return Err(ChangeRefusal::UnknownProduct.into()),
                RegistrationStep::Again(_) if started.elapsed() < REPEAT => continue,
                RegistrationStep::Again(error) => return Err(error.into()),
            };
            let principal =
                Principal::Person { user: registered.user, email: small(&new.person.email), role: PersonRole::Owner };
            let (tenant, address, request_id) = (registered.tenant, new.address, new.request_id.clone());
            let caller = Caller { tenant, principal, address, request_id, repeat: None, operation: None };
            let complete = async |change: &mut AuditedChange<'_>| match state {
                RegistrationState::Created => change.complete_new(new, registered, key, peppers).await,
                RegistrationState::NeverUsed => change.show_new_key(new, registered, peppers).await,
                RegistrationState::Existing => Ok(registered),
            };
            let registered = self.records.change_in(transaction, &caller, complete).await?;
            return Ok(RegistrationResult { registered, created: state == RegistrationState::Created });
        }
    }
}

impl AuditedChange<'_> {
    async fn complete_new(
        &mut self,
        new: &NewOrganization,
        mut registered: Box<RegisteredTenant>,
        key: LicenseKey,
        peppers: &KeyRing,
    ) -> ChangeResult<Box<RegisteredTenant>> {
        let subjects = counted_hashes(&new.person.email, new.address, peppers);
        if let Some(limit) = self.take_trial(&registered.license.product, &subjects).await? {
            return Err(ChangeRefusal::TrialLimitReached(limit).into());
        }
        let after = json!({ "name": registered.organization, "license": registered.license.number });
        self.audit("organization.created", &registered.tenant.to_string(), json!(null), after);
        registered.key = Some(key);
        Ok(registered)
    }

    /// The license was never used, so its key was lost: it gets a new one, which can be shown.
    async fn show_new_key(
        &mut self,
        new: &NewOrganization,
        mut registered: Box<RegisteredTenant>,
        peppers: &KeyRing,
    ) -> ChangeResult<Box<RegisteredTenant>> {
        if !self.sign_in_allows(&new.sign_in).await? {
            return Ok(registered);
        }
        let license = registered.license.id;
        let key = LicenseKey::draw(registered.license.number);
        let now = self.time_in(0).await?;
        self.rotate_license_key(license, &key.hash(peppers), now).await?;
        self.audit("license.key_rotated", &license.to_string(), json!(null), json!(null));
        registered.key = Some(key);
        Ok(registered)
    }
}

//! The demo organization: one license with five seats and no end, so that the first curl line works.

use crate::{
    data::DataDirectory,
    issuer::ISSUER,
    secrets,
    stores::{self, PostgresServer},
};
use license_core::{
    domain::{
        key::LicenseKey,
        secret::{KeyRing, Secret},
    },
    management::{KeyRotation, Management, NewOrganization},
    records::{Caller, DatabaseRole, Principal, Records, RegisteredTenant, VerifiedPerson},
    refusal::ChangeError,
};
use license_functions::edge::serve::StartError;
use sqlx::{Connection, Executor};
use std::sync::Arc;

/// The plan and the product of this machine. Elsewhere the vendor makes its own.
const PLAN: &str = "
    insert into catalog.plans (plan, tier, seats, trial_days, offline_policy, grace_hours)
      values ('demo', 'demo', 5, null, 'grace', 24) on conflict do nothing;
    insert into catalog.products (product, registration_plan) values ('demo', 'demo') on conflict do nothing;";

/// The key of the demo license. It is the same at every start, so that a key which a person copied yesterday works
/// today. PostgreSQL has its hash only, so the key itself is kept in the data directory.
///
/// # Errors
/// If the records cannot be asked or the key cannot be kept.
pub(crate) async fn license_key(
    data: &DataDirectory,
    postgres: &PostgresServer,
    peppers: &KeyRing,
) -> Result<String, StartError> {
    let records = Records::with(postgres.superuser(), DatabaseRole::Admin, 2).sealing(Arc::new(peppers.clone()));
    if let Some(key) = kept(data)? {
        let pool = "default".parse().map_err(|_| "the pool `default` has no name")?;
        let service = Records::with(postgres.superuser(), DatabaseRole::Service, 1);
        if service.find_license(key.number(), &key.hashes(peppers), &pool).await?.is_some() {
            return Ok(key.reveal());
        }
    }
    let mut connection = stores::connect(&postgres.superuser()).await?;
    connection.execute(PLAN).await?;
    connection.close().await?;
    let key = register(&Management::new(records), peppers).await?;
    secrets::write(&data.path("license-key"), &format!("{}\n", key.reveal()))?;
    Ok(key.reveal())
}

/// The key of an earlier start. A text that is no valid key counts as none.
fn kept(data: &DataDirectory) -> std::io::Result<Option<LicenseKey>> {
    let path = data.path("license-key");
    if !path.exists() {
        return Ok(None);
    }
    let text = Secret::new(secrets::kept(&path, || Ok(String::new()))?);
    Ok(LicenseKey::parse(text.reveal()).ok())
}

async fn register(management: &Management, peppers: &KeyRing) -> Result<LicenseKey, StartError> {
    let new = NewOrganization {
        person: VerifiedPerson {
            issuer: ISSUER.into(),
            subject: "demo".into(),
            email: "demo@license-local.invalid".into(),
            name: None,
        },
        organization: "Demo".into(),
        product: Some("demo".into()),
        address: None,
        request_id: None,
        sign_in: Default::default(),
    };
    let organization = match management.register(&new, peppers).await {
        Ok(organization) => organization,
        Err(ChangeError::Refused(_)) => return Err("the demo product could not be made".into()),
        Err(ChangeError::Unavailable(error)) => return Err(error.into()),
    };
    match organization.registered.key {
        Some(key) => Ok(key),
        None if organization.created => Err("the demo license has no key".into()),
        None => rotate(management, &organization.registered, peppers).await,
    }
}

/// The file with the key was lost while the license was in use. Its sessions stay, and its old key is no longer
/// accepted.
async fn rotate(
    management: &Management,
    registered: &RegisteredTenant,
    peppers: &KeyRing,
) -> Result<LicenseKey, StartError> {
    let principal = Principal::Staff { subject: "license-local".into(), email: "demo@license-local.invalid".into() };
    let caller =
        Caller { tenant: registered.tenant, principal, address: None, request_id: None, repeat: None, operation: None };
    match management.rotate_key(&caller, registered.license.id, KeyRotation::default(), peppers).await {
        Ok(rotated) => Ok(rotated.key),
        Err(ChangeError::Refused(refusal)) => Err(format!("the demo license was given no new key: {refusal:?}").into()),
        Err(ChangeError::Unavailable(error)) => Err(error.into()),
    }
}

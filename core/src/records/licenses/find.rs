//! Licenses found by their key or number.

use crate::{
    Result,
    domain::id::{LicenseId, LicenseNumber, PoolId, PoolName, TenantId},
    records::Records,
};
use uuid::Uuid;

/// The organization, license and pool that a license key gives access to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMatch {
    /// The organization.
    pub tenant: TenantId,
    /// The license.
    pub license: LicenseId,
    /// The pool asked for; `None` if the license has none of that name.
    pub pool: Option<PoolId>,
}

impl Records {
    /// Judges a license key by PostgreSQL alone. `None`: the number is unknown or the secret is wrong; which of both is
    /// not said.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn find_license(
        &self,
        number: LicenseNumber,
        key_hashes: &[String],
        pool: &PoolName,
    ) -> Result<Option<KeyMatch>> {
        let row: Option<(Uuid, Uuid, Option<Uuid>)> = self
            .repeat(|connections| async move {
                sqlx::query_as("select tenant_id, license_id, pool_id from find_license($1, $2, $3)")
                    .bind(number.to_string())
                    .bind(key_hashes)
                    .bind(pool.as_str())
                    .fetch_optional(&connections)
                    .await
            })
            .await?;
        Ok(row.map(|(tenant, license, pool)| KeyMatch {
            tenant: TenantId(tenant),
            license: LicenseId(license),
            pool: pool.map(PoolId),
        }))
    }

    /// Finds the organization and the license of a public number.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn locate_license(&self, number: LicenseNumber) -> Result<Option<(TenantId, LicenseId)>> {
        let found: Option<(Uuid, Uuid)> = self
            .repeat(|pool| async move {
                sqlx::query_as("select tenant_id, license_id from directory.locate_license($1)")
                    .bind(number.to_string())
                    .fetch_optional(&pool)
                    .await
            })
            .await?;
        Ok(found.map(|(tenant, license)| (TenantId(tenant), LicenseId(license))))
    }
}

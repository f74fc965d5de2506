//! The table of organizations.

use super::{change::AuditedChange, connect::Records};
use crate::{Result, domain::id::TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganizationRow {
    /// The tenant.
    pub id: TenantId,
    /// What it is called.
    pub name: String,
    /// Rises with every edit.
    pub version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// ID tokens that were issued before this time are refused.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub tokens_not_before: Option<OffsetDateTime>,
}

impl Records {
    /// An organization. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn organization(&self, tenant: TenantId) -> Result<Option<OrganizationRow>> {
        Ok(read(&mut *self.begin(tenant).await?, tenant).await?)
    }
}

impl AuditedChange<'_> {
    /// The organization.
    pub(crate) async fn organization(&mut self) -> Result<Option<OrganizationRow>> {
        let tenant = self.tenant();
        Ok(read(self.sql(), tenant).await?)
    }

    /// The organization's name and version, locked. `None`: there is no such organization.
    pub(crate) async fn lock_organization(&mut self) -> Result<Option<(String, i64)>> {
        let sql = "-- lock_organization
            select name, version from organizations where tenant_id = $1 for update";
        let tenant = self.tenant().0;
        Ok(sqlx::query_as(sql).bind(tenant).fetch_optional(self.sql()).await?)
    }

    /// Takes a lock, so that changes of one kind in this organization are made one after the other.
    pub(crate) async fn serialize_with_others(&mut self) -> Result<()> {
        let sql = "-- serialize_with_others
            select from organizations where tenant_id = $1 for no key update";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).execute(self.sql()).await?;
        Ok(())
    }

    /// Writes another name of the organization.
    pub(crate) async fn set_organization_name(&mut self, name: &str) -> Result<()> {
        let sql = "-- set_organization_name
            update organizations set name = $2, version = version + 1 where tenant_id = $1";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).bind(name).execute(self.sql()).await?;
        Ok(())
    }
}

/// An organization within a transaction that has its tenant set.
pub(super) async fn read(sql: &mut PgConnection, tenant: TenantId) -> sqlx::Result<Option<OrganizationRow>> {
    let text = "-- organization
        select name, version, created_at, tokens_not_before from organizations where tenant_id = $1";
    let row = sqlx::query(text).bind(tenant.0).fetch_optional(sql).await?;
    row.map(|row| {
        Ok(OrganizationRow {
            id: tenant,
            name: row.try_get("name")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            tokens_not_before: row.try_get("tokens_not_before")?,
        })
    })
    .transpose()
}

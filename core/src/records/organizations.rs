//! The table of organizations.

use super::{change::AuditedChange, connect::Records, labels};
use crate::{
    Result,
    domain::{id::TenantId, labels::Labels, name::fold},
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow, types::Json};
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
    /// What the vendor's systems know it by.
    #[serde(default)]
    pub labels: Labels,
}

/// The columns of an [`OrganizationRow`].
pub(super) const COLUMNS: &str = "tenant_id, name, version, created_at, tokens_not_before, external_id, metadata";

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

    /// The organization, locked. `None`: there is no such organization.
    pub(crate) async fn lock_organization(&mut self) -> Result<Option<OrganizationRow>> {
        let sql = format!(
            "-- lock_organization
            select {COLUMNS} from organizations where tenant_id = $1 for update"
        );
        let tenant = self.tenant().0;
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant).fetch_optional(self.sql()).await?;
        Ok(row.map(|row| organization(&row)).transpose()?)
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
            update organizations set name = $2, name_key = $3, version = version + 1 where tenant_id = $1";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).bind(name).bind(fold(name)).execute(self.sql()).await?;
        Ok(())
    }

    /// Writes other labels of the organization.
    pub(crate) async fn set_organization_labels(&mut self, labels: &Labels) -> Result<()> {
        let sql = "-- set_organization_labels
            update organizations set external_id = $2, metadata = $3, version = version + 1 where tenant_id = $1";
        let tenant = self.tenant().0;
        let query = sqlx::query(sql).bind(tenant).bind(&labels.external_id).bind(Json(&labels.metadata));
        query.execute(self.sql()).await?;
        Ok(())
    }

    /// Makes an organization without people and licenses; the change goes on in it.
    pub(crate) async fn insert_organization(&mut self, tenant: TenantId, name: &str, labels: &Labels) -> Result<()> {
        sqlx::query("select make_organization($1, $2, $3, $4, $5)")
            .bind(tenant.0)
            .bind(name)
            .bind(fold(name))
            .bind(&labels.external_id)
            .bind(Json(&labels.metadata))
            .execute(self.sql())
            .await?;
        self.goes_on_in(tenant);
        Ok(())
    }
}

/// An organization within a transaction that has its tenant set.
pub(super) async fn read(sql: &mut PgConnection, tenant: TenantId) -> sqlx::Result<Option<OrganizationRow>> {
    let text = format!(
        "-- organization
        select {COLUMNS} from organizations where tenant_id = $1"
    );
    let row = sqlx::query(AssertSqlSafe(text)).bind(tenant.0).fetch_optional(sql).await?;
    row.map(|row| organization(&row)).transpose()
}

/// The organization of a row.
pub(super) fn organization(row: &PgRow) -> sqlx::Result<OrganizationRow> {
    Ok(OrganizationRow {
        id: TenantId(row.try_get("tenant_id")?),
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        tokens_not_before: row.try_get("tokens_not_before")?,
        labels: labels::read(row)?,
    })
}

//! Organizations: read and renamed.

use super::{
    act::{ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
};
use crate::{Result, domain::id::TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
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
    /// ID tokens that were issued before this are worth nothing to it.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub tokens_not_before: Option<OffsetDateTime>,
}

impl Records {
    /// An organization. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn organization(&self, tenant: TenantId) -> Result<Option<OrganizationRow>> {
        read(&mut *self.begin(tenant).await?, tenant).await.map_err(failed)
    }

    /// Gives an organization another name. `version`: only if it still is this one.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn rename_organization(
        &self,
        act: &Caller,
        name: &str,
        version: Option<i64>,
    ) -> ChangeResult<OrganizationRow> {
        let mut work = open!(self, act);
        let sql = "select name, version from organizations where tenant_id = $1 for update";
        let found: Option<(String, i64)> =
            sqlx::query_as(sql).bind(act.tenant.0).fetch_optional(work.sql()).await.map_err(failed)?;
        let Some((before, present)) = found else { return Ok(Err(ChangeRefusal::NotFound)) };
        if version.is_some_and(|version| version != present) {
            return Ok(Err(ChangeRefusal::Stale));
        }
        sqlx::query("update organizations set name = $2, version = version + 1 where tenant_id = $1")
            .bind(act.tenant.0)
            .bind(name)
            .execute(work.sql())
            .await
            .map_err(failed)?;
        let (before, after) = (json!({ "name": before }), json!({ "name": name }));
        work.audit("organization.renamed", &act.tenant.to_string(), before, after);
        match read(work.sql(), act.tenant).await.map_err(failed)? {
            Some(organization) => work.commit(organization).await,
            None => Ok(Err(ChangeRefusal::NotFound)),
        }
    }
}

/// An organization within a transaction that has its tenant set.
pub(super) async fn read(sql: &mut PgConnection, tenant: TenantId) -> sqlx::Result<Option<OrganizationRow>> {
    let row =
        sqlx::query("select name, version, created_at, tokens_not_before from organizations where tenant_id = $1")
            .bind(tenant.0)
            .fetch_optional(sql)
            .await?;
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

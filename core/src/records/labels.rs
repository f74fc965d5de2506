//! The columns of labels, and who has an external id.

use super::{change::AuditedChange, connect::Records};
use crate::{
    Result,
    domain::{id::TenantId, labels::Labels},
};
use sqlx::{Row, postgres::PgRow, types::Json};
use uuid::Uuid;

/// What an external id names. Organizations and licenses may have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelledKind {
    /// An organization.
    Organization,
    /// A license.
    License,
}

impl LabelledKind {
    /// The word in PostgreSQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::License => "license",
        }
    }
}

const LOCATE: &str = "select tenant_id, thing_id from directory.locate_external_id($1, $2, $3)";

impl Records {
    /// Whose external id this is: the organization, and of a license its id, otherwise the organization's again. `None`:
    /// nobody's.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn locate_external_id(&self, kind: LabelledKind, id: &str) -> Result<Option<(TenantId, Uuid)>> {
        let found: Option<(Uuid, Uuid)> = self
            .repeat(|pool| async move {
                sqlx::query_as(LOCATE).bind(kind.as_str()).bind(id).bind(false).fetch_optional(&pool).await
            })
            .await?;
        Ok(found.map(|(tenant, thing)| (TenantId(tenant), thing)))
    }
}

impl AuditedChange<'_> {
    /// The same, and nobody else gives this external id until this change ends.
    pub(crate) async fn hold_external_id(&mut self, kind: LabelledKind, id: &str) -> Result<Option<(TenantId, Uuid)>> {
        let query = sqlx::query_as(LOCATE).bind(kind.as_str()).bind(id).bind(true);
        let found: Option<(Uuid, Uuid)> = query.fetch_optional(self.sql()).await?;
        Ok(found.map(|(tenant, thing)| (TenantId(tenant), thing)))
    }
}

/// The labels of a row.
pub(super) fn read(row: &PgRow) -> sqlx::Result<Labels> {
    let Json(metadata) = row.try_get("metadata")?;
    Ok(Labels { external_id: row.try_get("external_id")?, metadata })
}

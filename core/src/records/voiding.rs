//! From when on ID tokens must be, of an organization's people and of the vendor's staff.

use super::{change::AuditedChange, connect::Records};
use crate::{Result, domain::id::TenantId};
use time::OffsetDateTime;

impl Records {
    /// From when on the ID tokens of an organization's people must be. `None`: never said, or there is no such
    /// organization.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn tokens_not_before(&self, tenant: TenantId) -> Result<Option<OffsetDateTime>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = "-- tokens_not_before
            select tokens_not_before from organizations where tenant_id = $1";
        let found: Option<Option<OffsetDateTime>> =
            sqlx::query_scalar(sql).bind(tenant.0).fetch_optional(&mut *transaction).await?;
        Ok(found.flatten())
    }

    /// From when on ID tokens of the vendor's staff must be. `None`: never said.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn staff_tokens_not_before(&self) -> Result<Option<OffsetDateTime>> {
        let sql = "-- staff_tokens_not_before
            select not_before from catalog.staff_tokens";
        self.repeat(|pool| async move { sqlx::query_scalar(sql).fetch_one(&pool).await }).await
    }
}

impl AuditedChange<'_> {
    /// From when on ID tokens of the organization's people must be, locked. `None`: there is no such organization.
    pub(crate) async fn lock_tokens_not_before(&mut self) -> Result<Option<Option<OffsetDateTime>>> {
        let sql = "-- lock_tokens_not_before
            select tokens_not_before from organizations where tenant_id = $1 for update";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).fetch_optional(self.sql()).await?)
    }

    /// Voids every ID token of the organization's people that was issued before now, and answers that time.
    pub(crate) async fn set_tokens_not_before(&mut self) -> Result<OffsetDateTime> {
        // Not the transaction's time: it may have waited for the row.
        let sql = "-- set_tokens_not_before
            update organizations
            set tokens_not_before = greatest(tokens_not_before, date_trunc('milliseconds', clock_timestamp())),
              version = version + 1
            where tenant_id = $1 returning tokens_not_before";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).fetch_one(self.sql()).await?)
    }

    /// From when on ID tokens of the vendor's staff must be, locked. `None`: never said.
    pub(crate) async fn lock_staff_tokens_not_before(&mut self) -> Result<Option<OffsetDateTime>> {
        let sql = "-- lock_staff_tokens_not_before
            select not_before from catalog.staff_tokens for update";
        Ok(sqlx::query_scalar(sql).fetch_one(self.sql()).await?)
    }

    /// Voids every ID token of the vendor's staff that was issued before now, and answers that time.
    pub(crate) async fn set_staff_tokens_not_before(&mut self) -> Result<OffsetDateTime> {
        let sql = "-- set_staff_tokens_not_before
            update catalog.staff_tokens
            set not_before = greatest(not_before, date_trunc('milliseconds', clock_timestamp()))
            returning not_before";
        Ok(sqlx::query_scalar(sql).fetch_one(self.sql()).await?)
    }
}

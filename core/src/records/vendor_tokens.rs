//! Vendor tokens: what machines of the vendor authenticate with. They belong to no organization.

use super::{
    caller::Principal,
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest},
    tokens::{NewToken, PresentedToken, TokenRow, good_from, known, token},
};
use crate::{
    Result,
    domain::{access::VendorScope, id::TenantId, opaque::OpaqueSecret},
};
use sqlx::{AssertSqlSafe, Row};
use std::net::IpAddr;
use uuid::Uuid;

/// A vendor token, without its secret. It always has an end.
pub type VendorTokenRow = TokenRow<VendorScope>;

/// What a vendor token shall be.
pub type NewVendorToken = NewToken<VendorScope>;

const COLUMNS: &str =
    "token_id, name, scopes, allowed_networks::text[], created_by, created_at, expires_at, last_used_at, revoked_at";

impl Records {
    /// The vendor tokens, the newest first; those that are over too.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn vendor_tokens(&self, page: PageRequest) -> Result<ListedRows<VendorTokenRow>> {
        let mut transaction = self.begin(TenantId::VENDOR).await?;
        let sql = format!(
            "-- vendor_tokens
             select {COLUMNS} from catalog.staff_api_tokens where token_id < $1 order by token_id desc limit $2"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(page.below()).bind(page.fetch());
        let rows = query.fetch_all(&mut *transaction).await?;
        page.cut(rows, |token: &VendorTokenRow| token.id, token)
    }

    /// One vendor token. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn read_vendor_token(&self, id: Uuid) -> Result<Option<VendorTokenRow>> {
        let mut transaction = self.begin(TenantId::VENDOR).await?;
        let sql = format!(
            "-- read_vendor_token
             select {COLUMNS} from catalog.staff_api_tokens where token_id = $1"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(&mut *transaction).await?;
        Ok(row.map(|row| token(&row)).transpose()?)
    }

    /// Who presents this vendor token, `from` an address; notes, to the minute, that it was used. `None`: unknown,
    /// revoked or past its end, without saying which.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn vendor_token(&self, token: &OpaqueSecret, from: Option<IpAddr>) -> Result<Option<PresentedToken>> {
        let mut transaction = self.begin(TenantId::VENDOR).await?;
        let sql = "-- vendor_token
            select name, scopes, allowed_networks::text[],
              last_used_at is null or last_used_at < now() - interval '1 minute' as worth_noting
            from catalog.staff_api_tokens
            where token_id = $1 and secret_hash = $2 and revoked_at is null and expires_at > now()";
        let found = sqlx::query(sql).bind(token.id).bind(token.hash()).fetch_optional(&mut *transaction).await?;
        let Some(row) = found else { return Ok(None) };
        if !good_from(&row, from)? {
            return Ok(Some(PresentedToken::Elsewhere(token.id)));
        }
        if row.try_get("worth_noting")? {
            let sql = "-- note_use_of_vendor_token
                update catalog.staff_api_tokens set last_used_at = now() where token_id = $1";
            sqlx::query(sql).bind(token.id).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        let (name, scopes) = (row.try_get("name")?, known(&row.try_get::<Vec<String>, _>("scopes")?));
        Ok(Some(PresentedToken::Here(Principal::VendorToken { id: token.id, name, scopes })))
    }
}

impl AuditedChange<'_> {
    /// Writes a vendor token. `None`: it would end in the past, and nothing was written.
    pub(crate) async fn insert_vendor_token(
        &mut self,
        secret: &OpaqueSecret,
        new: &NewVendorToken,
    ) -> Result<Option<VendorTokenRow>> {
        let by = self.principal().name().to_owned();
        let sql = format!(
            "-- insert_vendor_token
            insert into catalog.staff_api_tokens
              (token_id, name, secret_hash, scopes, created_by, expires_at, allowed_networks)
            select $1, $2, $3, $4, $5, coalesce($6, date_trunc('second', now()) + make_interval(days => $8)),
              $7::text[]::cidr[]
            where $6 is null or $6 > now() returning {COLUMNS}"
        );
        let made = sqlx::query(AssertSqlSafe(sql)).bind(secret.id).bind(&new.name).bind(secret.hash());
        let made = made.bind(new.scope_words()).bind(by).bind(new.expires_at).bind(new.network_texts());
        let row = made.bind(i32::from(new.days)).fetch_optional(self.sql()).await?;
        Ok(row.map(|row| token(&row)).transpose()?)
    }

    /// A vendor token, locked. `None`: there is none of that id.
    pub(crate) async fn lock_vendor_token(&mut self, id: Uuid) -> Result<Option<VendorTokenRow>> {
        let sql = format!(
            "-- lock_vendor_token
            select {COLUMNS} from catalog.staff_api_tokens where token_id = $1 for update"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(id).fetch_optional(self.sql()).await?;
        Ok(row.map(|row| token(&row)).transpose()?)
    }

    /// Whether a vendor token is in force, which no other transaction changes before the end of this one.
    pub(crate) async fn hold_vendor_token(&mut self, id: Uuid) -> Result<bool> {
        let sql = "-- hold_vendor_token
            select 1 from catalog.staff_api_tokens
            where token_id = $1 and revoked_at is null and expires_at > now() for share";
        Ok(sqlx::query(sql).bind(id).fetch_optional(self.sql()).await?.is_some())
    }

    /// Writes that a vendor token is revoked.
    pub(crate) async fn set_vendor_token_revoked(&mut self, id: Uuid) -> Result<()> {
        let sql = "-- set_vendor_token_revoked
            update catalog.staff_api_tokens set revoked_at = now() where token_id = $1";
        sqlx::query(sql).bind(id).execute(self.sql()).await?;
        Ok(())
    }
}

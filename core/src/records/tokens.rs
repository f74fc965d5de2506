//! API tokens: what scripts of an organization authenticate with.

use super::{
    caller::Principal,
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest},
};
use crate::{
    Result,
    domain::{
        access::Scope,
        id::{TenantId, UserId},
        network::IpNetwork,
        opaque::OpaqueSecret,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use std::{fmt::Display, net::IpAddr, str::FromStr};
use time::OffsetDateTime;
use uuid::Uuid;

/// An API token, without its secret.
pub type ApiTokenRow = TokenRow<Scope>;

/// What an API token shall be.
pub type NewApiToken = NewToken<Scope>;

/// A token of a machine, without its secret, with scopes of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow<S> {
    /// Its id, which is no secret: nobody can sign in with it.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// Its scopes.
    pub scopes: Vec<S>,
    /// The networks from which it may be used; `None`: from everywhere.
    #[serde(default)]
    pub allowed_networks: Option<Vec<IpNetwork>>,
    /// Who made it, by the name in the audit log.
    pub created_by: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The time from which on it is refused; `None`: it has no end, as some older tokens; new ones always have one.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used last, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was taken back.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// What a token of a machine shall be, with scopes of its kind.
#[derive(Clone, Debug)]
pub struct NewToken<S> {
    /// Its name.
    pub name: String,
    /// The scopes that it will have.
    pub scopes: Vec<S>,
    /// From where alone it shall be good, at least one network; `None`: from everywhere.
    pub allowed_networks: Option<Vec<IpNetwork>>,
    /// When it shall end; `None`: after `days`.
    pub expires_at: Option<OffsetDateTime>,
    /// For how many days it is valid if no end is given.
    pub days: u16,
}

impl<S: Display> NewToken<S> {
    /// Its scopes as they are stored.
    pub(super) fn scope_words(&self) -> Vec<String> {
        self.scopes.iter().map(S::to_string).collect()
    }

    /// Its networks as they are stored.
    pub(super) fn network_texts(&self) -> Option<Vec<String>> {
        self.allowed_networks.as_ref().map(|all| all.iter().map(IpNetwork::to_string).collect())
    }
}

/// What becomes of the API tokens that a person made when their role changes or they leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFate {
    /// They stay valid. Those of a person who is removed depend on the role of the remover from then on.
    Keep,
    /// They are revoked, and refused from the next request on.
    Revoke,
}

/// What is known of a request that presents a valid API token or vendor token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentedToken {
    /// It came from an address that the token may be used from.
    Here(Principal),
    /// It came from another address or an unknown one: it is refused, and the token does not count as used.
    Elsewhere(Uuid),
}

const COLUMNS: &str =
    "token_id, name, scopes, allowed_networks::text[], created_by, created_at, expires_at, last_used_at, revoked_at";

impl Records {
    /// The API tokens of an organization, the newest first; those that are over too.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn api_tokens(&self, tenant: TenantId, page: PageRequest) -> Result<ListedRows<ApiTokenRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "-- api_tokens
             select {COLUMNS} from api_tokens where tenant_id = $1 and token_id < $2 order by token_id desc limit $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant.0)
            .bind(page.below())
            .bind(page.fetch())
            .fetch_all(&mut *transaction)
            .await?;
        page.cut(rows, |token: &ApiTokenRow| token.id, token)
    }

    /// One API token. `None`: none of that id here.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn read_api_token(&self, tenant: TenantId, id: Uuid) -> Result<Option<ApiTokenRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "-- read_api_token
             select {COLUMNS} from api_tokens where tenant_id = $1 and token_id = $2"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(id).fetch_optional(&mut *transaction).await;
        Ok(row?.map(|row| token(&row)).transpose()?)
    }

    /// Who presents this API token, `from` an address; notes, to the minute, that it was used. `None`: unknown, revoked
    /// or past its end, without saying which.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn api_token(&self, token: &OpaqueSecret, from: Option<IpAddr>) -> Result<Option<PresentedToken>> {
        let mut transaction = self.begin(token.tenant).await?;
        let sql = "-- api_token
            select name, scopes, allowed_networks::text[],
              last_used_at is null or last_used_at < now() - interval '1 minute' as worth_noting
            from api_tokens
            where tenant_id = $1 and token_id = $2 and secret_hash = $3 and revoked_at is null
              and (expires_at is null or expires_at > now())";
        let found = sqlx::query(sql)
            .bind(token.tenant.0)
            .bind(token.id)
            .bind(token.hash())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = found else { return Ok(None) };
        if !good_from(&row, from)? {
            return Ok(Some(PresentedToken::Elsewhere(token.id)));
        }
        if row.try_get("worth_noting")? {
            let sql = "-- note_use_of_token
                update api_tokens set last_used_at = now() where tenant_id = $1 and token_id = $2";
            sqlx::query(sql).bind(token.tenant.0).bind(token.id).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        let scopes: Vec<String> = row.try_get("scopes")?;
        let name = row.try_get("name")?;
        Ok(Some(PresentedToken::Here(Principal::Token { id: token.id, name, scopes: known(&scopes) })))
    }
}

/// Words that are no scopes any more are left out.
pub(super) fn known<S: FromStr>(words: &[String]) -> Vec<S> {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

/// Whether a token may be used from an address.
pub(super) fn good_from(row: &PgRow, from: Option<IpAddr>) -> sqlx::Result<bool> {
    let Some(all) = networks(row)? else { return Ok(true) };
    Ok(from.is_some_and(|from| all.iter().any(|one| one.contains(from))))
}

/// The networks that a token may be used from. One that cannot be read allows no address.
pub(super) fn networks(row: &PgRow) -> sqlx::Result<Option<Vec<IpNetwork>>> {
    let texts: Option<Vec<String>> = row.try_get("allowed_networks")?;
    Ok(texts.map(|texts| texts.iter().filter_map(|text| text.parse().ok()).collect()))
}

impl AuditedChange<'_> {
    /// How many API tokens that this person made are in force.
    pub(crate) async fn count_tokens_in_force(&mut self, user: UserId) -> Result<i64> {
        let sql = "-- count_tokens_in_force
            select count(*) from api_tokens
            where tenant_id = $1 and granted_by = $2 and revoked_at is null
              and (expires_at is null or expires_at > now())";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).bind(user.0).fetch_one(self.sql()).await?)
    }

    /// Writes an API token that depends on the caller's role. `None`: it would end in the past, and nothing was
    /// written.
    pub(crate) async fn insert_token(
        &mut self,
        secret: &OpaqueSecret,
        new: &NewApiToken,
    ) -> Result<Option<ApiTokenRow>> {
        let (tenant, by, granted_by) = (self.tenant().0, self.principal().name().to_owned(), self.principal().person());
        let sql = format!(
            "-- insert_token
            insert into api_tokens
              (tenant_id, token_id, name, secret_hash, scopes, created_by, expires_at, allowed_networks, granted_by)
            select $1, $2, $3, $4, $5, $6, coalesce($7, date_trunc('second', now()) + make_interval(days => $10)),
              $8::text[]::cidr[], $9
            where $7 is null or $7 > now() returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(secret.id)
            .bind(&new.name)
            .bind(secret.hash())
            .bind(new.scope_words())
            .bind(by)
            .bind(new.expires_at)
            .bind(new.network_texts())
            .bind(granted_by.map(|user| user.0))
            .bind(i32::from(new.days))
            .fetch_optional(self.sql())
            .await?;
        Ok(row.map(|row| token(&row)).transpose()?)
    }

    /// An API token, locked. `None`: the organization has none of that id.
    pub(crate) async fn lock_token(&mut self, id: Uuid) -> Result<Option<ApiTokenRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- lock_token
            select {COLUMNS} from api_tokens where tenant_id = $1 and token_id = $2 for update"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(id).fetch_optional(self.sql()).await?;
        Ok(row.map(|row| token(&row)).transpose()?)
    }

    /// Whether an API token is in force, which no other transaction changes before the end of this one.
    pub(crate) async fn hold_token(&mut self, id: Uuid) -> Result<bool> {
        let sql = "-- hold_token
            select 1 from api_tokens where tenant_id = $1 and token_id = $2 and revoked_at is null
              and (expires_at is null or expires_at > now()) for share";
        let tenant = self.tenant().0;
        Ok(sqlx::query(sql).bind(tenant).bind(id).fetch_optional(self.sql()).await?.is_some())
    }

    /// The API tokens in force that a person made, the newest first, locked.
    pub(crate) async fn lock_tokens_of(&mut self, user: UserId) -> Result<Vec<ApiTokenRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- lock_tokens_of
            select {COLUMNS} from api_tokens where tenant_id = $1 and granted_by = $2 and revoked_at is null
              and (expires_at is null or expires_at > now()) order by token_id desc for update"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(user.0).fetch_all(self.sql()).await?;
        Ok(rows.iter().map(token).collect::<sqlx::Result<_>>()?)
    }

    /// Writes that these API tokens are revoked, and when, into the rows too.
    pub(crate) async fn revoke_tokens(&mut self, tokens: &mut [ApiTokenRow]) -> Result<()> {
        let sql = "-- revoke_tokens
            update api_tokens set revoked_at = now() where tenant_id = $1 and token_id = any ($2) returning revoked_at";
        let (tenant, ids) = (self.tenant().0, ids(tokens));
        let rows = sqlx::query(sql).bind(tenant).bind(ids).fetch_all(self.sql()).await?;
        for (it, row) in tokens.iter_mut().zip(&rows) {
            it.revoked_at = row.try_get("revoked_at")?; // one time for all of them
        }
        Ok(())
    }

    /// Makes API tokens depend on the caller's role from now on. The vendor's staff belong to no organization: tokens
    /// that they take over depend on nobody's.
    pub(crate) async fn adopt_tokens(&mut self, tokens: &[ApiTokenRow]) -> Result<()> {
        let sql = "-- adopt_tokens
            update api_tokens set granted_by = $3 where tenant_id = $1 and token_id = any ($2)";
        let (tenant, by) = (self.tenant().0, self.principal().person().map(|user| user.0));
        sqlx::query(sql).bind(tenant).bind(ids(tokens)).bind(by).execute(self.sql()).await?;
        Ok(())
    }

    /// Revokes every API token of the organization that is not revoked, and answers them.
    pub(crate) async fn revoke_all_tokens(&mut self) -> Result<Vec<ApiTokenRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- revoke_all_tokens
            update api_tokens set revoked_at = now() where tenant_id = $1 and revoked_at is null returning {COLUMNS}"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).fetch_all(self.sql()).await?;
        Ok(rows.iter().map(token).collect::<sqlx::Result<_>>()?)
    }
}

fn ids(tokens: &[ApiTokenRow]) -> Vec<Uuid> {
    tokens.iter().map(|it| it.id).collect()
}

pub(super) fn token<S: FromStr>(row: &PgRow) -> sqlx::Result<TokenRow<S>> {
    Ok(TokenRow {
        id: row.try_get("token_id")?,
        name: row.try_get("name")?,
        scopes: known(&row.try_get::<Vec<String>, _>("scopes")?),
        allowed_networks: networks(row)?,
        created_by: row.try_get("created_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        last_used_at: row.try_get("last_used_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}

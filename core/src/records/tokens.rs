//! API tokens: what scripts of an organization authenticate with.

use super::{
    act::{ChangeRefusal, ChangeResult, open},
    caller::{Caller, Principal},
    connect::{Records, failed},
    page::{ListedRows, PageRequest},
};
use crate::{
    Result,
    domain::{
        access::{PersonRole, Scope},
        id::TenantId,
        network::IpNetwork,
        opaque::{OpaqueSecret, SecretKind},
        secret::ShownSecret,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use std::net::IpAddr;
use time::OffsetDateTime;
use uuid::Uuid;

/// How many API tokens of one person may be in force: all of them may end in the transaction that removes the person,
/// and nobody may become too much to remove.
const MOST_TOKENS: i64 = 200;
/// An API token, without what proves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiTokenRow {
    /// Names it; opens nothing.
    pub id: Uuid,
    /// What people call it.
    pub name: String,
    /// What it is good for.
    pub scopes: Vec<Scope>,
    /// From where alone it is good; `None`: from everywhere.
    #[serde(default)]
    pub allowed_networks: Option<Vec<IpNetwork>>,
    /// Who made it, as the audit log calls them.
    pub created_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when on it is good for nothing; `None`: it has no end, which none has that is made now.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used last, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was taken back.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// What an API token shall be.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What people will call it.
    pub name: String,
    /// What it will be good for.
    pub scopes: Vec<Scope>,
    /// From where alone it shall be good, at least one network; `None`: from everywhere.
    pub allowed_networks: Option<Vec<IpNetwork>>,
    /// When it shall end; `None`: after `days`.
    pub expires_at: Option<OffsetDateTime>,
    /// How many days it is good for where nobody says when it ends.
    pub days: u16,
}

/// An API token just made, with what proves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedApiToken {
    /// The token.
    pub token: ApiTokenRow,
    /// `cdt_live_…`, for this one answer.
    pub secret: ShownSecret,
}

/// Whoever presents an API token that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentedToken {
    /// From where it is good.
    Here(Principal),
    /// From somewhere else, or nobody knows from where: it is refused, and was not used.
    Elsewhere(Uuid),
}

pub(super) const COLUMNS: &str =
    "token_id, name, scopes, allowed_networks::text[], created_by, created_at, expires_at, last_used_at, revoked_at";

const IN_FORCE: &str = "select count(*) from api_tokens
    where tenant_id = $1 and granted_by = $2 and revoked_at is null and (expires_at is null or expires_at > now())";
const TOO_MANY: &str = "Two hundred API tokens that you made are in force. Revoke those that nothing uses any more.";

impl Records {
    /// The API tokens of an organization, the newest first; those that are over too.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn api_tokens(&self, tenant: TenantId, page: PageRequest) -> Result<ListedRows<ApiTokenRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "select {COLUMNS} from api_tokens where tenant_id = $1 and token_id < $2 order by token_id desc limit $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant.0)
            .bind(page.below())
            .bind(page.fetch())
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
        page.cut(rows, |token: &ApiTokenRow| token.id, token)
    }

    /// One API token. `None`: none of that id here.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn read_api_token(&self, tenant: TenantId, id: Uuid) -> Result<Option<ApiTokenRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!("select {COLUMNS} from api_tokens where tenant_id = $1 and token_id = $2");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(id).fetch_optional(&mut *transaction).await;
        row.map_err(failed)?.map(|row| token(&row)).transpose().map_err(failed)
    }

    /// Makes an API token.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn create_api_token(&self, act: &Caller, new: &NewApiToken) -> ChangeResult<IssuedApiToken> {
        let mut work = open!(self, act);
        match work.standing().await? {
            Ok(by) if by.may_grant(PersonRole::Admin) => {}
            Ok(_) => return Ok(Err(ChangeRefusal::Role(PersonRole::Admin))),
            Err(refused) => return Ok(Err(refused)),
        }
        if work.has_as_many(IN_FORCE, MOST_TOKENS).await? {
            return Ok(Err(ChangeRefusal::Conflict(TOO_MANY)));
        }
        let secret = OpaqueSecret::draw(SecretKind::ApiToken, act.tenant);
        let sql = format!(
            "insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by, expires_at, \
             allowed_networks, granted_by)
             select $1, $2, $3, $4, $5, $6, coalesce($7, date_trunc('second', now()) + make_interval(days => $10)), \
             $8::text[]::cidr[], $9
             where $7 is null or $7 > now() returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(act.tenant.0)
            .bind(secret.id)
            .bind(&new.name)
            .bind(secret.hash())
            .bind(new.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>())
            .bind(act.by.name())
            .bind(new.expires_at)
            .bind(new.allowed_networks.as_ref().map(|all| all.iter().map(IpNetwork::to_string).collect::<Vec<_>>()))
            .bind(act.by.person().map(|user| user.0))
            .bind(i32::from(new.days))
            .fetch_optional(work.sql())
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(Err(ChangeRefusal::Invalid("expires_at", "must be in the future"))) };
        let token = token(&row).map_err(failed)?;
        // As RFC 3339, which is how `ApiToken` serializes it.
        let mut after = json!(token);
        if let Some(after) = after.as_object_mut() {
            after.retain(|name, _| ["name", "scopes", "allowed_networks", "expires_at"].contains(&name.as_str()));
        }
        work.audit("api_token.created", &token.id.to_string(), json!(null), after);
        work.commit(IssuedApiToken { token, secret: ShownSecret::new(secret.reveal()) }).await
    }

    /// Takes an API token back: it is refused from the next request on. One that was taken back already stays as it is.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn revoke_api_token(&self, act: &Caller, id: Uuid) -> ChangeResult<()> {
        let mut work = open!(self, act);
        let sql = format!("select {COLUMNS} from api_tokens where tenant_id = $1 and token_id = $2 for update");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(act.tenant.0).bind(id).fetch_optional(work.sql()).await;
        let Some(found) = row.map_err(failed)?.map(|row| token(&row)).transpose().map_err(failed)? else {
            return Ok(Err(ChangeRefusal::NotFound));
        };
        if found.revoked_at.is_none() {
            sqlx::query("update api_tokens set revoked_at = now() where tenant_id = $1 and token_id = $2")
                .bind(act.tenant.0)
                .bind(id)
                .execute(work.sql())
                .await
                .map_err(failed)?;
            let before = json!({ "name": found.name, "scopes": found.scopes });
            work.audit("api_token.revoked", &id.to_string(), before, json!(null));
        }
        work.commit(()).await
    }

    /// Who presents this API token, `from` an address; notes, to the minute, that it was used. `None`: unknown, revoked
    /// or past its end, without saying which.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn api_token(&self, token: &OpaqueSecret, from: Option<IpAddr>) -> Result<Option<PresentedToken>> {
        let mut transaction = self.begin(token.tenant).await?;
        let sql = "select name, scopes, allowed_networks::text[], last_used_at is null or last_used_at < now() - \
            interval '1 minute' as worth_noting from api_tokens
                   where tenant_id = $1 and token_id = $2 and secret_hash = $3 and revoked_at is null
                     and (expires_at is null or expires_at > now())";
        let found = sqlx::query(sql)
            .bind(token.tenant.0)
            .bind(token.id)
            .bind(token.hash())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        let good_from = networks(&row).map_err(failed)?;
        if good_from.is_some_and(|all| !from.is_some_and(|from| all.iter().any(|one| one.contains(from)))) {
            return Ok(Some(PresentedToken::Elsewhere(token.id)));
        }
        if row.try_get("worth_noting").map_err(failed)? {
            sqlx::query("update api_tokens set last_used_at = now() where tenant_id = $1 and token_id = $2")
                .bind(token.tenant.0)
                .bind(token.id)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
        }
        let scopes: Vec<String> = row.try_get("scopes").map_err(failed)?;
        let name = row.try_get("name").map_err(failed)?;
        Ok(Some(PresentedToken::Here(Principal::Token { id: token.id, name, scopes: known(&scopes) })))
    }
}

/// A word that is no scope any more is good for nothing.
fn known(words: &[String]) -> Vec<Scope> {
    words.iter().filter_map(|word| word.parse().ok()).collect()
}

/// From where a token is good. A network that cannot be read is nowhere.
fn networks(row: &PgRow) -> sqlx::Result<Option<Vec<IpNetwork>>> {
    let texts: Option<Vec<String>> = row.try_get("allowed_networks")?;
    Ok(texts.map(|texts| texts.iter().filter_map(|text| text.parse().ok()).collect()))
}

pub(super) fn token(row: &PgRow) -> sqlx::Result<ApiTokenRow> {
    Ok(ApiTokenRow {
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

//! API tokens: what scripts of an organization authenticate with.

use super::{
    act::Principal,
    connect::{Records, failed},
};
use crate::{
    Result,
    domain::{access::Scope, opaque::Opaque},
};
use sqlx::Row;

impl Records {
    /// Who presents this API token; notes, to the minute, that it was used. `None`: unknown, revoked or past its end, without saying which.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn api_token(&self, token: &Opaque) -> Result<Option<Principal>> {
        let mut transaction = self.begin(token.tenant).await?;
        let sql = "select name, scopes, last_used_at is null or last_used_at < now() - interval '1 minute' as worth_noting from api_tokens
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
        Ok(Some(Principal::Token {
            id: token.id,
            name: row.try_get("name").map_err(failed)?,
            // A word that is no scope any more is good for nothing.
            scopes: scopes.iter().filter_map(|word| word.parse::<Scope>().ok()).collect(),
        }))
    }
}

//! What stands on somebody's word ends with their right to give it: invitations they sent, API tokens they made.
//!
//! **Order of locks.** Whoever needs a person's standing takes that person's row first, shared, and then rows of
//! invitations, API tokens and pools; whoever takes the standing away holds the same row alone. So of an invitation, a
//! new API token or a new license key and the removal of the person behind it one sees the other, and neither waits in
//! a circle.

use super::{
    act::{AuditedChange, ChangeRefusal},
    caller::Principal,
    connect::failed,
    invitations::{self, InvitationRow, invitation},
    person::PersonRow,
    tokens::{self, ApiTokenRow, token},
};
use crate::{
    Error, Result,
    domain::{
        access::PersonRole,
        email,
        id::{TenantId, UserId},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

/// How many of a list are shown; what becomes of them goes for all.
const SHOWN: usize = 100;
/// What becomes of the API tokens that a person made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFate {
    /// They stay in force. Of somebody who is removed they stand on the word of whoever removed them from then on.
    Keep,
    /// They are refused from the next request on.
    Revoke,
}

/// What stood on a person's word when their role changed or they left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegatedAccess {
    /// Invitations that were revoked, the newest first, at most a hundred.
    pub invitations: Vec<InvitationRow>,
    /// How many were revoked.
    pub invitations_total: u64,
    /// API tokens they made that were in force, as they are now, the newest first, at most a hundred.
    pub tokens: Vec<ApiTokenRow>,
    /// How many there were.
    pub tokens_total: u64,
}

/// Somebody's role, which nobody changes before the end of this transaction. `None`: they do not belong.
pub(super) async fn role_held(sql: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<PersonRole>> {
    let text = "select role from users where tenant_id = $1 and user_id = $2 and removed_at is null for share";
    let role: Option<String> =
        sqlx::query_scalar(text).bind(tenant.0).bind(user.0).fetch_optional(sql).await.map_err(failed)?;
    role.map(|role| role.parse().map_err(|e| Error::internal("a role in the records cannot be read", e))).transpose()
}

impl AuditedChange<'_> {
    /// Who asks, as the records know them now and until the end of this change: between the look at the door and this
    /// transaction somebody may have been removed, lowered or revoked.
    pub(super) async fn standing(&mut self) -> Result<std::result::Result<Principal, ChangeRefusal>> {
        let tenant = self.tenant().0;
        Ok(match self.by().clone() {
            Principal::Person { user, email, .. } => {
                let tenant = self.tenant();
                let role = role_held(self.sql(), tenant, user).await?;
                role.map(|role| Principal::Person { user, email, role }).ok_or(ChangeRefusal::NotFound)
            }
            Principal::Token { id, name, scopes } => {
                let sql = "select 1 from api_tokens where tenant_id = $1 and token_id = $2 and revoked_at is null
                             and (expires_at is null or expires_at > now()) for share";
                let found = sqlx::query(sql).bind(tenant).bind(id).fetch_optional(self.sql()).await.map_err(failed)?;
                found.map(|_| Principal::Token { id, name, scopes }).ok_or(ChangeRefusal::NotFound)
            }
            staff @ Principal::Staff { .. } => Ok(staff),
        })
    }

    /// Ends what may not outlive a change of somebody's standing: their open invitations to roles that `now` may not
    /// give, and with `Revoke` their API tokens. Of somebody who no longer belongs (`now` is `None`) also every open
    /// invitation to their own address: whoever wants them back invites them again. `why` is the action that the audit
    /// log names as the cause.
    pub(super) async fn end_delegation(
        &mut self,
        person: &PersonRow,
        now: Option<PersonRole>,
        fate: TokenFate,
        why: &str,
    ) -> Result<DelegatedAccess> {
        let mut invitations = self.withdraw_invitations(person, now).await?;
        let mut tokens = self.tokens_of(person.id).await?;
        let cause = json!({ "because": why, "person": person.id });
        for it in &invitations {
            let before = json!({ "email": it.email, "role": it.role });
            self.audit("invitation.revoked", &it.id.to_string(), before, cause.clone());
            self.tell("invitation.revoked", json!({ "invitation_id": it.id })).await?;
        }
        match fate {
            TokenFate::Revoke => {
                self.revoke_tokens(&mut tokens).await?;
                for it in &tokens {
                    let before = json!({ "name": it.name, "scopes": it.scopes });
                    self.audit("api_token.revoked", &it.id.to_string(), before, cause.clone());
                }
            }
            TokenFate::Keep if now.is_none() => self.adopt_tokens(&tokens).await?,
            TokenFate::Keep => {}
        }
        let (invitations_total, tokens_total) = (invitations.len() as u64, tokens.len() as u64);
        invitations.truncate(SHOWN);
        tokens.truncate(SHOWN);
        Ok(DelegatedAccess { invitations, invitations_total, tokens, tokens_total })
    }

    async fn withdraw_invitations(
        &mut self,
        person: &PersonRow,
        now: Option<PersonRole>,
    ) -> Result<Vec<InvitationRow>> {
        let tenant = self.tenant().0;
        let kept: Vec<&str> = PersonRole::ALL
            .iter()
            .filter(|role| now.is_some_and(|own| own.may_grant(**role)))
            .map(|r| r.as_str())
            .collect();
        let address = now.is_none().then(|| email::key(&person.email));
        let sql = format!(
            "update invitations set revoked_at = now()
             where tenant_id = $1 and accepted_at is null and revoked_at is null and expires_at > now()
               and (granted_by = $2 and role <> all ($3) or address = $4) returning {}",
            invitations::COLUMNS
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(person.id.0).bind(kept).bind(address);
        let rows = query.fetch_all(self.sql()).await.map_err(failed)?;
        let mut found: Vec<InvitationRow> = rows.iter().map(invitation).collect::<sqlx::Result<_>>().map_err(failed)?;
        found.sort_by_key(|it| std::cmp::Reverse(it.id));
        Ok(found)
    }

    /// API tokens in force on somebody's word, the newest first, locked.
    async fn tokens_of(&mut self, user: UserId) -> Result<Vec<ApiTokenRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "select {} from api_tokens where tenant_id = $1 and granted_by = $2 and revoked_at is null
               and (expires_at is null or expires_at > now()) order by token_id desc for update",
            tokens::COLUMNS
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(user.0).fetch_all(self.sql()).await;
        rows.map_err(failed)?.iter().map(token).collect::<sqlx::Result<_>>().map_err(failed)
    }

    async fn revoke_tokens(&mut self, tokens: &mut [ApiTokenRow]) -> Result<()> {
        let tenant = self.tenant().0;
        let ids: Vec<Uuid> = tokens.iter().map(|it| it.id).collect();
        let sql = "update api_tokens set revoked_at = now() where tenant_id = $1 and token_id = any ($2) returning \
            revoked_at";
        let rows = sqlx::query(sql).bind(tenant).bind(ids).fetch_all(self.sql()).await.map_err(failed)?;
        for (it, row) in tokens.iter_mut().zip(&rows) {
            it.revoked_at = row.try_get("revoked_at").map_err(failed)?; // one time for all of them
        }
        Ok(())
    }

    /// Whoever keeps the API tokens of somebody they remove answers for them from then on; the vendor's staff belong to
    /// no organization.
    async fn adopt_tokens(&mut self, tokens: &[ApiTokenRow]) -> Result<()> {
        let tenant = self.tenant().0;
        let ids: Vec<Uuid> = tokens.iter().map(|it| it.id).collect();
        let by = self.by().person().map(|user| user.0);
        let sql = "update api_tokens set granted_by = $3 where tenant_id = $1 and token_id = any ($2)";
        sqlx::query(sql).bind(tenant).bind(ids).bind(by).execute(self.sql()).await.map(drop).map_err(failed)
    }

    /// Whether who asks has as many of something as one person may have. `sql` counts them for an organization and a
    /// person.
    pub(super) async fn has_as_many(&mut self, sql: &'static str, most: i64) -> Result<bool> {
        let Some(user) = self.by().person() else { return Ok(false) };
        let tenant = self.tenant().0;
        let count: i64 =
            sqlx::query_scalar(sql).bind(tenant).bind(user.0).fetch_one(self.sql()).await.map_err(failed)?;
        Ok(count >= most)
    }
}

/// What the audit log says of API tokens that were kept with somebody's removal.
pub(super) fn kept(delegated: &DelegatedAccess, fate: TokenFate) -> Value {
    match fate {
        TokenFate::Keep if delegated.tokens_total > 0 => json!({ "api_tokens_kept": delegated.tokens_total }),
        _ => Value::Null,
    }
}

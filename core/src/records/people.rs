//! The people of an organization: who they are, what they may do, and that somebody always owns it.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
    delegation::{DelegatedAccess, TokenFate, kept},
    page::{ListedRows, PageRequest},
    person::{PersonRow, person},
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        id::{TenantId, UserId},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// An organization a person belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipRow {
    /// The organization.
    pub tenant: TenantId,
    /// Its name.
    pub organization: String,
    /// ID tokens that were issued before this are worth nothing to it.
    pub tokens_not_before: Option<OffsetDateTime>,
    /// The person as this organization knows them.
    pub person: PersonRow,
}

/// A person whose role was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditedPersonRow {
    /// As they are now.
    pub person: PersonRow,
    /// What stood on their word.
    pub delegated: DelegatedAccess,
}

const COLUMNS: &str = "user_id, email, name, role, version, created_at";
const LAST_OWNER: &str =
    "This is the organization's only owner. Make somebody else an owner first; an organization always has one.";

const KEPT_BY_NOBODY: &str =
    "cannot be keep where you leave: the API tokens you made go with you, and somebody who stays makes others";

impl Records {
    /// The organizations that the person known to `issuer` as `subject` belongs to, in the order of their ids.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn memberships(&self, issuer: &str, subject: &str) -> Result<Vec<MembershipRow>> {
        let rows: Vec<(Uuid, Option<Uuid>)> = self
            .repeat(|pool| async move {
                sqlx::query_as("select user_id, tenant_id from directory.locate_identity($1, $2) order by tenant_id")
                    .bind(issuer)
                    .bind(subject)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        let mut found = Vec::new();
        for (user, tenant) in rows {
            let Some(tenant) = tenant.map(TenantId) else { continue };
            found.extend(self.membership_of(UserId(user), tenant).await?);
        }
        Ok(found)
    }

    /// The person known to `issuer` as `subject`, as the organization `tenant` knows them. `None`: not one of its
    /// people.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn membership(&self, issuer: &str, subject: &str, tenant: TenantId) -> Result<Option<MembershipRow>> {
        let user: Option<Uuid> = self
            .repeat(|pool| async move {
                sqlx::query_scalar("select user_id from directory.locate_identity($1, $2) where tenant_id = $3")
                    .bind(issuer)
                    .bind(subject)
                    .bind(tenant.0)
                    .fetch_optional(&pool)
                    .await
            })
            .await?;
        match user {
            Some(user) => self.membership_of(UserId(user), tenant).await,
            None => Ok(None),
        }
    }

    async fn membership_of(&self, user: UserId, tenant: TenantId) -> Result<Option<MembershipRow>> {
        let mut transaction = self.begin(tenant).await?;
        let row = sqlx::query(
            "select u.user_id, u.email, u.name, u.role, u.version, u.created_at, o.name as organization, \
             o.tokens_not_before
             from users u join organizations o on o.tenant_id = u.tenant_id
             where u.tenant_id = $1 and u.user_id = $2 and u.removed_at is null",
        )
        .bind(tenant.0)
        .bind(user.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let membership = |row: PgRow| {
            let (organization, tokens_not_before) = (row.try_get("organization")?, row.try_get("tokens_not_before")?);
            Ok(MembershipRow { tenant, organization, tokens_not_before, person: person(&row)? })
        };
        row.map(membership).transpose().map_err(failed)
    }

    /// The people of an organization, those who joined last first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn people(&self, tenant: TenantId, page: PageRequest) -> Result<ListedRows<PersonRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = "select user_id, email, name, role, version, created_at from users
                   where tenant_id = $1 and user_id < $2 and removed_at is null order by user_id desc limit $3";
        let query = sqlx::query(sql).bind(tenant.0).bind(page.below()).bind(page.fetch());
        let rows = query.fetch_all(&mut *transaction).await.map_err(failed)?;
        page.cut(rows, |person: &PersonRow| person.id.0, person)
    }

    /// One of the people of an organization. `None`: nobody of that id belongs to it.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn person(&self, tenant: TenantId, user: UserId) -> Result<Option<PersonRow>> {
        Ok(self.membership_of(user, tenant).await?.map(|membership| membership.person))
    }

    /// Gives a person another role. Only owners make owners or unmake them, and the last one stays. `version`: only if
    /// it still is this one. In the same transaction their open invitations to roles that they may not give any more
    /// are revoked, and with `Revoke` their API tokens.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn change_role(
        &self,
        act: &Caller,
        user: UserId,
        role: PersonRole,
        version: Option<i64>,
        fate: TokenFate,
    ) -> ChangeResult<EditedPersonRow> {
        let mut work = open!(self, act);
        let found = work.locked(user).await?;
        let by = match work.standing().await? {
            Ok(by) => by,
            Err(refused) => return Ok(Err(refused)),
        };
        let person = match found {
            None => return Ok(Err(ChangeRefusal::NotFound)),
            Some(person) if version.is_some_and(|version| version != person.version) => {
                return Ok(Err(ChangeRefusal::Stale));
            }
            Some(person) => person,
        };
        if !by.may_grant(PersonRole::Admin) {
            return Ok(Err(ChangeRefusal::Role(PersonRole::Admin)));
        }
        if !by.may_grant(person.role) || !by.may_grant(role) {
            return Ok(Err(ChangeRefusal::Role(PersonRole::Owner)));
        }
        if role != PersonRole::Owner && work.is_last_owner(&person).await? {
            return Ok(Err(ChangeRefusal::Conflict(LAST_OWNER)));
        }
        sqlx::query("update users set role = $3, version = version + 1 where tenant_id = $1 and user_id = $2")
            .bind(act.tenant.0)
            .bind(user.0)
            .bind(role.as_str())
            .execute(work.sql())
            .await
            .map_err(failed)?;
        let (before, after) = (json!({ "role": person.role }), json!({ "role": role }));
        work.audit("person.role_changed", &user.to_string(), before, after);
        let delegated = work.end_delegation(&person, Some(role), fate, "person.role_changed").await?;
        let person = PersonRow { role, version: person.version + 1, ..person };
        work.commit(EditedPersonRow { person, delegated }).await
    }

    /// Takes a person out of the organization; everybody may take out themselves. The last owner stays. In the same
    /// transaction their open invitations are revoked, and their API tokens unless somebody else takes them over with
    /// `Keep`.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn remove_person(&self, act: &Caller, user: UserId, fate: TokenFate) -> ChangeResult<DelegatedAccess> {
        let mut work = open!(self, act);
        let found = work.locked(user).await?;
        let by = match work.standing().await? {
            Ok(by) => by,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(person) = found else { return Ok(Err(ChangeRefusal::NotFound)) };
        let leaves = by.person() == Some(user);
        if !leaves && !by.may_grant(person.role) {
            return Ok(Err(ChangeRefusal::Role(person.role.max(PersonRole::Admin))));
        }
        if leaves && fate == TokenFate::Keep {
            return Ok(Err(ChangeRefusal::Invalid("api_tokens", KEPT_BY_NOBODY)));
        }
        if work.is_last_owner(&person).await? {
            return Ok(Err(ChangeRefusal::Conflict(LAST_OWNER)));
        }
        sqlx::query("update users set removed_at = now(), version = version + 1 where tenant_id = $1 and user_id = $2")
            .bind(act.tenant.0)
            .bind(user.0)
            .execute(work.sql())
            .await
            .map_err(failed)?;
        let action = if leaves { "person.left" } else { "person.removed" };
        let delegated = work.end_delegation(&person, None, fate, action).await?;
        let before = json!({ "email": person.email, "role": person.role });
        work.audit(action, &user.to_string(), before, kept(&delegated, fate));
        work.commit(delegated).await
    }
}

impl AuditedChange<'_> {
    /// A person, with their row, that of who asks and every owner's locked: two people who take each other out happen
    /// one after the other.
    async fn locked(&mut self, user: UserId) -> Result<Option<PersonRow>> {
        let tenant = self.tenant().0;
        let sql =
            "select 1 from users where tenant_id = $1 and removed_at is null and (role = 'owner' or user_id = any ($2))
                   order by user_id for update";
        let both: Vec<Uuid> = [Some(user), self.by().person()].into_iter().flatten().map(|user| user.0).collect();
        sqlx::query(sql).bind(tenant).bind(both).execute(self.sql()).await.map_err(failed)?;
        // A statement of its own, so that it sees what whoever held the lock has written.
        let sql = format!("select {COLUMNS} from users where tenant_id = $1 and user_id = $2 and removed_at is null");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant).bind(user.0).fetch_optional(self.sql()).await;
        row.map_err(failed)?.map(|row| person(&row)).transpose().map_err(failed)
    }

    async fn is_last_owner(&mut self, person: &PersonRow) -> Result<bool> {
        let tenant = self.tenant().0;
        let sql = "select not exists (select from users where tenant_id = $1 and role = 'owner' and removed_at is \
            null and user_id <> $2)";
        let alone: bool =
            sqlx::query_scalar(sql).bind(tenant).bind(person.id.0).fetch_one(self.sql()).await.map_err(failed)?;
        Ok(person.role == PersonRole::Owner && alone)
    }
}

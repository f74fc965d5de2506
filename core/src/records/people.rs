//! The people of an organization: who they are, what they may do, and that somebody always owns it.

use super::{
    change::AuditedChange,
    connect::Records,
    filtered::{FilterValue, FilteredList},
    page::{ListedRows, PageRequest},
    person::{PersonRow, person},
    row::word,
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        email::Email,
        id::{TenantId, UserId},
    },
};
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

/// An organization a person belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipRow {
    /// The organization.
    pub tenant: TenantId,
    /// Its name.
    pub organization: String,
    /// ID tokens that were issued before this time are refused.
    pub tokens_not_before: Option<OffsetDateTime>,
    /// The person as this organization knows them.
    pub person: PersonRow,
}

const PEOPLE: FilteredList = FilteredList {
    name: "-- people
",
    columns: "user_id, email, name, role, version, created_at",
    table: "users",
    id: "user_id",
    only: "r.removed_at is null",
};

impl Records {
    /// The organizations that the person known to `issuer` as `subject` belongs to, in the order of their ids.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn memberships(&self, issuer: &str, subject: &str) -> Result<Vec<MembershipRow>> {
        let sql = "-- memberships
            select user_id, tenant_id from directory.locate_identity($1, $2) order by tenant_id";
        let rows: Vec<(Uuid, Option<Uuid>)> = self
            .repeat(|pool| async move { sqlx::query_as(sql).bind(issuer).bind(subject).fetch_all(&pool).await })
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
        let sql = "-- membership
            select user_id from directory.locate_identity($1, $2) where tenant_id = $3";
        let user: Option<Uuid> = self
            .repeat(|pool| async move {
                sqlx::query_scalar(sql).bind(issuer).bind(subject).bind(tenant.0).fetch_optional(&pool).await
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
            "-- membership_of
             select u.user_id, u.email, u.name, u.role, u.version, u.created_at, o.name as organization, \
             o.tokens_not_before
             from users u join organizations o on o.tenant_id = u.tenant_id
             where u.tenant_id = $1 and u.user_id = $2 and u.removed_at is null",
        )
        .bind(tenant.0)
        .bind(user.0)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (organization, tokens_not_before) = (row.try_get("organization")?, row.try_get("tokens_not_before")?);
        Ok(Some(MembershipRow { tenant, organization, tokens_not_before, person: person(&row)? }))
    }

    /// The people of an organization, those who joined last first; with `address`, folded, only who has it.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn people(
        &self,
        tenant: TenantId,
        address: Option<&str>,
        page: PageRequest,
    ) -> Result<ListedRows<PersonRow>> {
        let sought = address.map(|it| ("address", FilterValue::Text(it.to_owned()))).into_iter().collect();
        let mut transaction = self.begin(tenant).await?;
        let found = PEOPLE.fetch(&mut transaction, tenant, &sought, [Uuid::nil(), page.below()], page).await?;
        page.cut(found.rows, |person: &PersonRow| person.id.0, person)
    }

    /// One of the people of an organization. `None`: nobody of that id belongs to it.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn person(&self, tenant: TenantId, user: UserId) -> Result<Option<PersonRow>> {
        Ok(self.membership_of(user, tenant).await?.map(|membership| membership.person))
    }
}

impl AuditedChange<'_> {
    /// A person of the organization. Their row, that of the caller and every owner's are locked first, so that two
    /// people who remove each other come one after the other.
    pub(crate) async fn lock_person(&mut self, user: UserId) -> Result<Option<PersonRow>> {
        let tenant = self.tenant().0;
        let both: Vec<Uuid> =
            [Some(user), self.principal().person()].into_iter().flatten().map(|user| user.0).collect();
        let sql = "-- lock_people
            select 1 from users where tenant_id = $1 and removed_at is null and (role = 'owner' or user_id = any ($2))
            order by user_id for update";
        sqlx::query(sql).bind(tenant).bind(both).execute(self.sql()).await?;
        // A statement of its own, so that it sees what the transaction that held the lock has written.
        let sql = "-- read_locked_person
            select user_id, email, name, role, version, created_at from users
            where tenant_id = $1 and user_id = $2 and removed_at is null";
        let row = sqlx::query(sql).bind(tenant).bind(user.0).fetch_optional(self.sql()).await?;
        Ok(row.map(|row| person(&row)).transpose()?)
    }

    /// Whether the organization has no other owner than this person.
    pub(crate) async fn has_no_other_owner(&mut self, user: UserId) -> Result<bool> {
        let sql = "-- has_no_other_owner
            select not exists (select from users
                where tenant_id = $1 and role = 'owner' and removed_at is null and user_id <> $2)";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).bind(user.0).fetch_one(self.sql()).await?)
    }

    /// Writes another role of a person.
    pub(crate) async fn set_role(&mut self, user: UserId, role: PersonRole) -> Result<()> {
        let sql = "-- set_role
            update users set role = $3, version = version + 1 where tenant_id = $1 and user_id = $2";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).bind(user.0).bind(role.as_str()).execute(self.sql()).await?;
        Ok(())
    }

    /// Writes that a person does not belong to the organization any more.
    pub(crate) async fn set_removed(&mut self, user: UserId) -> Result<()> {
        let sql = "-- set_removed
            update users set removed_at = now(), version = version + 1 where tenant_id = $1 and user_id = $2";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).bind(user.0).execute(self.sql()).await?;
        Ok(())
    }

    /// A person's role, which no other transaction changes before the end of this one. `None`: they do not belong.
    pub(crate) async fn hold_role(&mut self, user: UserId) -> Result<Option<PersonRole>> {
        let tenant = self.tenant();
        hold_role(self.sql(), tenant, user).await
    }

    /// Whether somebody with this address belongs to the organization.
    pub(crate) async fn has_person_with(&mut self, email: &Email) -> Result<bool> {
        let sql = "-- has_person_with
            select exists (select from users where tenant_id = $1 and address = $2 and removed_at is null)";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).bind(email.key()).fetch_one(self.sql()).await?)
    }

    /// The role that a person has or had, and whether they belong now. `None`: they never belonged.
    pub(crate) async fn past_membership(&mut self, user: UserId) -> Result<Option<(PersonRole, bool)>> {
        let sql = "-- past_membership
            select role, removed_at is null as belongs from users where tenant_id = $1 and user_id = $2";
        let tenant = self.tenant().0;
        let row = sqlx::query(sql).bind(tenant).bind(user.0).fetch_optional(self.sql()).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((word(&row, "role")?, row.try_get("belongs")?)))
    }
}

/// As [`AuditedChange::hold_role`].
pub(crate) async fn hold_role(sql: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<PersonRole>> {
    let text = "-- hold_role
        select role from users where tenant_id = $1 and user_id = $2 and removed_at is null for share";
    let row = sqlx::query(text).bind(tenant.0).bind(user.0).fetch_optional(sql).await?;
    Ok(row.map(|row| word(&row, "role")).transpose()?)
}

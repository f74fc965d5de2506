//! Invitations: who was asked into an organization, as what, and what became of it. How one is accepted: `joining.rs`.

use super::{
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest, id_before},
    person::PersonRow,
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        email::{self, Email},
        id::{InvalidText, TenantId, UserId, draw_uuid},
        opaque::OpaqueSecret,
    },
    refusal::UnreadableText,
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use std::str::FromStr;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// For how many days an invitation is valid.
pub(crate) const INVITATION_DAYS: i32 = 7;

/// An invitation of one person into an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRow {
    /// Its id, which is no secret: nobody can join with it.
    pub id: Uuid,
    /// The address it is for.
    pub email: Email,
    /// The role that the person will have.
    pub role: PersonRole,
    /// Whether it can still be accepted.
    pub state: InvitationState,
    /// Who sent it, by the name in the audit log.
    pub invited_by: String,
    /// When it was sent.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The time from which on it can no longer be accepted.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    /// Who accepted it.
    pub accepted_by: Option<UserId>,
    /// When it was taken back.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// What became of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InvitationState {
    /// It can be accepted.
    Open,
    /// Somebody joined with it.
    Accepted,
    /// Taken back, or replaced by a later one to the same address.
    Revoked,
    /// Its seven days are over.
    Expired,
}

impl InvitationState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Open, Self::Accepted, Self::Revoked, Self::Expired];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl FromStr for InvitationState {
    type Err = UnreadableText;
    fn from_str(text: &str) -> std::result::Result<Self, UnreadableText> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or(UnreadableText::InvitationState)
    }
}

const COLUMNS: &str = "invitation_id, email, role, invited_by, created_at, expires_at, accepted_at, \
    accepted_by, revoked_at, \
                                  expires_at <= now() as expired";

impl Records {
    /// The invitations of an organization, the newest first; all or those of one state.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn invitations(
        &self,
        tenant: TenantId,
        state: Option<InvitationState>,
        page: PageRequest,
    ) -> Result<ListedRows<InvitationRow>> {
        use InvitationState::{Accepted, Expired, Open, Revoked};
        // An id begins with the time of its invitation. So open invitations have ids above that of seven days ago and
        // expired ones have ids below it, and neither query reads rows of the other state. `expires_at` decides; the
        // margin is for clocks that differ.
        let (age, leeway) = (Duration::days(INVITATION_DAYS.into()), Duration::minutes(10));
        let (above, below) = match state {
            Some(Open) => (id_before(draw_uuid(), age + leeway), page.below()),
            Some(Expired) => (Uuid::nil(), page.below().min(id_before(draw_uuid(), age - leeway))),
            _ => (Uuid::nil(), page.below()),
        };
        let of_state = "and (accepted_at is not null) = $5 and (revoked_at is not null) = $6 and ($8 or (expires_at > \
            now()) = $7)";
        let sql = format!(
            "-- invitations
             select {COLUMNS} from invitations where tenant_id = $1 and invitation_id < $2 and invitation_id > $3 {}
             order by invitation_id desc limit $4",
            if state.is_some() { of_state } else { "" }
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(below).bind(above).bind(page.fetch());
        if let Some(state) = state {
            let settled = matches!(state, Accepted | Revoked);
            query = query.bind(state == Accepted).bind(state == Revoked).bind(state == Open).bind(settled);
        }
        let mut transaction = self.begin(tenant).await?;
        let rows = query.fetch_all(&mut *transaction).await?;
        page.cut(rows, |invitation: &InvitationRow| invitation.id, invitation)
    }

    /// One invitation. `None`: none of that id here.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn invitation(&self, tenant: TenantId, id: Uuid) -> Result<Option<InvitationRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!(
            "-- invitation
             select {COLUMNS} from invitations where tenant_id = $1 and invitation_id = $2"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(id).fetch_optional(&mut *transaction).await;
        Ok(row?.map(|row| invitation(&row)).transpose()?)
    }
}

impl AuditedChange<'_> {
    /// How many invitations of this person are open.
    pub(crate) async fn count_open_invitations(&mut self, user: UserId) -> Result<i64> {
        let sql = "-- count_open_invitations
            select count(*) from invitations
            where tenant_id = $1 and granted_by = $2 and accepted_at is null and revoked_at is null
              and expires_at > now()";
        let tenant = self.tenant().0;
        Ok(sqlx::query_scalar(sql).bind(tenant).bind(user.0).fetch_one(self.sql()).await?)
    }

    /// The open invitations to an address, locked.
    pub(crate) async fn lock_open_invitations(&mut self, email: &Email) -> Result<Vec<InvitationRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- lock_open_invitations
            select {COLUMNS} from invitations
            where tenant_id = $1 and address = $2 and accepted_at is null and revoked_at is null
              and expires_at > now() for update"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(email.key()).fetch_all(self.sql()).await?;
        Ok(rows.iter().map(invitation).collect::<sqlx::Result<_>>()?)
    }

    /// The person on whose role the invitation with this secret depends; the inner `None` is the vendor's staff.
    /// `None`: there is no such invitation.
    pub(crate) async fn inviter(&mut self, secret: &OpaqueSecret) -> Result<Option<Option<UserId>>> {
        let sql = "-- inviter
            select granted_by from invitations where tenant_id = $1 and invitation_id = $2 and secret_hash = $3";
        let tenant = self.tenant().0;
        let found: Option<Option<Uuid>> =
            sqlx::query_scalar(sql).bind(tenant).bind(secret.id).bind(secret.hash()).fetch_optional(self.sql()).await?;
        Ok(found.map(|user| user.map(UserId)))
    }

    /// The invitation with this secret, locked. `None`: there is no such invitation.
    pub(crate) async fn lock_presented_invitation(&mut self, secret: &OpaqueSecret) -> Result<Option<InvitationRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- lock_presented_invitation
            select {COLUMNS} from invitations
            where tenant_id = $1 and invitation_id = $2 and secret_hash = $3 for update"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(secret.id).bind(secret.hash());
        let row = query.fetch_optional(self.sql()).await?;
        Ok(row.map(|row| invitation(&row)).transpose()?)
    }

    /// An invitation, locked. `None`: the organization has none of that id.
    pub(crate) async fn lock_invitation(&mut self, id: Uuid) -> Result<Option<InvitationRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- lock_invitation
            select {COLUMNS} from invitations where tenant_id = $1 and invitation_id = $2 for update"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(id).fetch_optional(self.sql()).await?;
        Ok(row.map(|row| invitation(&row)).transpose()?)
    }

    /// Writes an invitation that is valid for [`INVITATION_DAYS`] days and depends on the caller's role.
    pub(crate) async fn insert_invitation(
        &mut self,
        secret: &OpaqueSecret,
        email: &Email,
        role: PersonRole,
    ) -> Result<InvitationRow> {
        let (tenant, by, granted_by) = (self.tenant().0, self.principal().name().to_owned(), self.principal().person());
        let sql = format!(
            "-- insert_invitation
            insert into invitations
              (tenant_id, invitation_id, email, address, role, secret_hash, invited_by, granted_by, expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(days => $9)) returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(secret.id)
            .bind(email.as_str())
            .bind(email.key())
            .bind(role.as_str())
            .bind(secret.hash())
            .bind(by)
            .bind(granted_by.map(|user| user.0))
            .bind(INVITATION_DAYS)
            .fetch_one(self.sql())
            .await?;
        Ok(invitation(&row)?)
    }

    /// Writes that an invitation is revoked.
    pub(crate) async fn set_invitation_revoked(&mut self, id: Uuid) -> Result<()> {
        let sql = "-- set_invitation_revoked
            update invitations set revoked_at = now() where tenant_id = $1 and invitation_id = $2";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).bind(id).execute(self.sql()).await?;
        Ok(())
    }

    /// Writes who has joined with an invitation.
    pub(crate) async fn set_invitation_accepted(&mut self, id: Uuid, user: UserId) -> Result<()> {
        let sql = "-- set_invitation_accepted
            update invitations set accepted_at = now(), accepted_by = $3
            where tenant_id = $1 and invitation_id = $2";
        let tenant = self.tenant().0;
        sqlx::query(sql).bind(tenant).bind(id).bind(user.0).execute(self.sql()).await?;
        Ok(())
    }

    /// Revokes the open invitations that a person sent to roles that `now` may not give; of somebody who no longer
    /// belongs (`now` is `None`) all of them, and every open invitation to their own address. Answers what was revoked,
    /// the newest first.
    pub(crate) async fn withdraw_invitations(
        &mut self,
        person: &PersonRow,
        now: Option<PersonRole>,
    ) -> Result<Vec<InvitationRow>> {
        let tenant = self.tenant().0;
        let may_give = PersonRole::ALL.iter().filter(|role| now.is_some_and(|own| own.may_grant(**role)));
        let kept: Vec<&str> = may_give.map(|role| role.as_str()).collect();
        let address = now.is_none().then(|| email::comparison_key(&person.email));
        let sql = format!(
            "-- withdraw_invitations
            update invitations set revoked_at = now()
            where tenant_id = $1 and accepted_at is null and revoked_at is null and expires_at > now()
              and (granted_by = $2 and role <> all ($3) or address = $4) returning {COLUMNS}"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(person.id.0).bind(kept).bind(address);
        let rows = query.fetch_all(self.sql()).await?;
        let mut found: Vec<InvitationRow> = rows.iter().map(invitation).collect::<sqlx::Result<_>>()?;
        found.sort_by_key(|it| std::cmp::Reverse(it.id));
        Ok(found)
    }
}

fn invitation(row: &PgRow) -> sqlx::Result<InvitationRow> {
    let decode = |e: InvalidText| sqlx::Error::Decode(Box::new(e));
    let (accepted_at, revoked_at) = (row.try_get("accepted_at")?, row.try_get("revoked_at")?);
    let state = match (accepted_at, revoked_at) {
        (Some(_), _) => InvitationState::Accepted,
        (None, Some(_)) => InvitationState::Revoked,
        (None, None) if row.try_get("expired")? => InvitationState::Expired,
        (None, None) => InvitationState::Open,
    };
    Ok(InvitationRow {
        id: row.try_get("invitation_id")?,
        email: row.try_get::<String, _>("email")?.parse().map_err(decode)?,
        role: row.try_get::<String, _>("role")?.parse().map_err(decode)?,
        state,
        invited_by: row.try_get("invited_by")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        accepted_at,
        accepted_by: row.try_get::<Option<Uuid>, _>("accepted_by")?.map(UserId),
        revoked_at,
    })
}

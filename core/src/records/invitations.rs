//! Invitations: who was asked into an organization, as what, and what became of it. How one is accepted: `joining.rs`.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
    page::{ListedRows, PageRequest, id_before},
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        email::Email,
        id::{InvalidText, TenantId, UserId},
        opaque::{OpaqueSecret, SecretKind},
        secret::ShownSecret,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use std::str::FromStr;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How many invitations of one person may be open: all of them end, each with its entry in the audit log, in the
/// transaction that removes the person, and nobody may become too much to remove.
const MOST_INVITATIONS: i64 = 1000;
/// How long an invitation is good for.
const DAYS: i32 = 7;

/// Somebody who was asked in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRow {
    /// Names it; opens nothing.
    pub id: Uuid,
    /// The address it is for.
    pub email: Email,
    /// What the person will be.
    pub role: PersonRole,
    /// Whether it can still be accepted.
    pub state: InvitationState,
    /// Who asked, as the audit log calls them.
    pub invited_by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when on it is good for nothing.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
    /// When it was accepted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub accepted_at: Option<OffsetDateTime>,
    /// By whom.
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
    /// Every one there is.
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
    type Err = InvalidText;
    fn from_str(text: &str) -> std::result::Result<Self, InvalidText> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or(InvalidText("must be open, accepted, revoked or expired"))
    }
}

/// An invitation just made, with what proves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedInvitation {
    /// The invitation.
    pub invitation: InvitationRow,
    /// `cdi_…`, for this one answer.
    pub secret: ShownSecret,
}

pub(super) const COLUMNS: &str = "invitation_id, email, role, invited_by, created_at, expires_at, accepted_at, \
    accepted_by, revoked_at, \
                                  expires_at <= now() as expired";

const OPEN: &str = "select count(*) from invitations
    where tenant_id = $1 and granted_by = $2 and accepted_at is null and revoked_at is null and expires_at > now()";
const BELONGS: &str =
    "Somebody with this address belongs to the organization already. Change their role instead of inviting them.";
const TOO_MANY: &str =
    "A thousand invitations of yours are open. Revoke some, or wait until they are accepted or seven days old.";
const ACCEPTED: &str = "Somebody has joined with this invitation already. Remove the person instead.";

impl Records {
    /// Asks somebody in by e-mail. An earlier invitation of the same address that is still open is taken back: one
    /// letter is good, the last.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn invite(&self, act: &Caller, email: &Email, role: PersonRole) -> ChangeResult<IssuedInvitation> {
        if !act.by.may_grant(role) {
            return Ok(Err(ChangeRefusal::Role(PersonRole::Owner)));
        }
        let mut work = open!(self, act);
        work.one_at_a_time().await?;
        match work.standing().await? {
            Ok(by) if by.may_grant(role) => {}
            Ok(_) => return Ok(Err(ChangeRefusal::Role(role.max(PersonRole::Admin)))),
            Err(refused) => return Ok(Err(refused)),
        }
        if work.has_as_many(OPEN, MOST_INVITATIONS).await? {
            return Ok(Err(ChangeRefusal::Conflict(TOO_MANY)));
        }
        if work.belongs(email).await? {
            return Ok(Err(ChangeRefusal::Conflict(BELONGS)));
        }
        for earlier in work.open_of(email).await? {
            if !act.by.may_grant(earlier.role) {
                return Ok(Err(ChangeRefusal::Role(PersonRole::Owner)));
            }
            work.revoke(&earlier).await?;
        }
        let secret = OpaqueSecret::draw(SecretKind::Invitation, act.tenant);
        let sql = format!(
            "insert into invitations (tenant_id, invitation_id, email, address, role, secret_hash, invited_by, \
             granted_by, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $9, now() + make_interval(days => $8)) returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(act.tenant.0)
            .bind(secret.id)
            .bind(email.as_str())
            .bind(email.key())
            .bind(role.as_str())
            .bind(secret.hash())
            .bind(act.by.name())
            .bind(DAYS)
            .bind(act.by.person().map(|user| user.0))
            .fetch_one(work.sql())
            .await
            .map_err(failed)?;
        let invitation = invitation(&row).map_err(failed)?;
        let after = json!({ "email": email, "role": role });
        work.audit("person.invited", &secret.id.to_string(), json!(null), after);
        work.tell("invitation.created", json!({ "invitation_id": secret.id, "email": email, "role": role })).await?;
        work.commit(IssuedInvitation { invitation, secret: ShownSecret::new(secret.reveal()) }).await
    }

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
        // An invitation is as old as its id, so what is open lies above, and what is expired below, an id of seven days
        // ago: neither reads what is of the other state. `expires_at` has the exact word; the leeway is for clocks that
        // differ.
        let (age, leeway) = (Duration::days(DAYS.into()), Duration::minutes(10));
        let (above, below) = match state {
            Some(Open) => (id_before(age + leeway), page.below()),
            Some(Expired) => (Uuid::nil(), page.below().min(id_before(age - leeway))),
            _ => (Uuid::nil(), page.below()),
        };
        let of_state = "and (accepted_at is not null) = $5 and (revoked_at is not null) = $6 and ($8 or (expires_at > \
            now()) = $7)";
        let sql = format!(
            "select {COLUMNS} from invitations where tenant_id = $1 and invitation_id < $2 and invitation_id > $3 {}
             order by invitation_id desc limit $4",
            if state.is_some() { of_state } else { "" }
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(below).bind(above).bind(page.fetch());
        if let Some(state) = state {
            let settled = matches!(state, Accepted | Revoked);
            query = query.bind(state == Accepted).bind(state == Revoked).bind(state == Open).bind(settled);
        }
        let mut transaction = self.begin(tenant).await?;
        let rows = query.fetch_all(&mut *transaction).await.map_err(failed)?;
        page.cut(rows, |invitation: &InvitationRow| invitation.id, invitation)
    }

    /// One invitation. `None`: none of that id here.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn invitation(&self, tenant: TenantId, id: Uuid) -> Result<Option<InvitationRow>> {
        let mut transaction = self.begin(tenant).await?;
        let sql = format!("select {COLUMNS} from invitations where tenant_id = $1 and invitation_id = $2");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(id).fetch_optional(&mut *transaction).await;
        row.map_err(failed)?.map(|row| invitation(&row)).transpose().map_err(failed)
    }

    /// Takes an invitation back. One that is over otherwise than by being accepted stays as it is.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn revoke_invitation(&self, act: &Caller, id: Uuid) -> ChangeResult<()> {
        let mut work = open!(self, act);
        let sql = format!("select {COLUMNS} from invitations where tenant_id = $1 and invitation_id = $2 for update");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(act.tenant.0).bind(id).fetch_optional(work.sql()).await;
        let Some(found) = row.map_err(failed)?.map(|row| invitation(&row)).transpose().map_err(failed)? else {
            return Ok(Err(ChangeRefusal::NotFound));
        };
        if !act.by.may_grant(found.role) {
            return Ok(Err(ChangeRefusal::Role(PersonRole::Owner)));
        }
        match found.state {
            InvitationState::Accepted => return Ok(Err(ChangeRefusal::Conflict(ACCEPTED))),
            InvitationState::Open => work.revoke(&found).await?,
            InvitationState::Revoked | InvitationState::Expired => {}
        }
        work.commit(()).await
    }
}

impl AuditedChange<'_> {
    /// Two invitations of one address at once would not see each other.
    async fn one_at_a_time(&mut self) -> Result<()> {
        let tenant = self.tenant().0;
        let sql = "select from organizations where tenant_id = $1 for no key update";
        sqlx::query(sql).bind(tenant).execute(self.sql()).await.map(drop).map_err(failed)
    }

    async fn belongs(&mut self, email: &Email) -> Result<bool> {
        let tenant = self.tenant().0;
        let sql = "select exists (select from users where tenant_id = $1 and address = $2 and removed_at is null)";
        sqlx::query_scalar(sql).bind(tenant).bind(email.key()).fetch_one(self.sql()).await.map_err(failed)
    }

    /// What is open of an address, locked.
    async fn open_of(&mut self, email: &Email) -> Result<Vec<InvitationRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "select {COLUMNS} from invitations
             where tenant_id = $1 and address = $2 and accepted_at is null and revoked_at is null and expires_at > \
             now() for update"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant).bind(email.key()).fetch_all(self.sql()).await;
        rows.map_err(failed)?.iter().map(invitation).collect::<sqlx::Result<_>>().map_err(failed)
    }

    async fn revoke(&mut self, invitation: &InvitationRow) -> Result<()> {
        let tenant = self.tenant().0;
        sqlx::query("update invitations set revoked_at = now() where tenant_id = $1 and invitation_id = $2")
            .bind(tenant)
            .bind(invitation.id)
            .execute(self.sql())
            .await
            .map_err(failed)?;
        let before = json!({ "email": invitation.email, "role": invitation.role });
        self.audit("invitation.revoked", &invitation.id.to_string(), before, json!(null));
        self.tell("invitation.revoked", json!({ "invitation_id": invitation.id })).await
    }
}

pub(super) fn invitation(row: &PgRow) -> sqlx::Result<InvitationRow> {
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

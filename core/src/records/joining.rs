//! How an invited person becomes one of the organization's people.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult},
    caller::{Caller, Principal},
    connect::{Records, failed},
    delegation::role_held,
    invitations::{COLUMNS, InvitationRow, InvitationState, invitation},
    organizations::{self, OrganizationRow},
};
use crate::{
    Error, Result,
    domain::{
        access::PersonRole,
        email::{self, small},
        id::UserId,
        opaque::OpaqueSecret,
    },
};
use serde::Serialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use std::net::IpAddr;
use uuid::Uuid;

/// A person who brings an invitation; the identity is verified.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// What the invitation said.
    pub secret: OpaqueSecret,
    /// Who vouches for the identity.
    pub issuer: String,
    /// The issuer's name for the person.
    pub subject: String,
    /// Verified.
    pub email: String,
    /// The person's name, if the issuer says.
    pub person: Option<String>,
    /// From where, as far as it is known.
    pub from: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// A person who belongs to the organization by an invitation.
#[derive(Clone, Debug, Serialize)]
pub struct NewMember {
    /// The organization.
    pub organization: OrganizationRow,
    /// The person.
    pub user: UserId,
    /// What the person is in it now.
    pub role: PersonRole,
    /// False where the person had joined with this invitation before: the first answer may have been lost.
    pub first: bool,
}

const ANOTHER: &str = "This invitation is for another address than the one you signed in with. Sign in with the \
    address it was sent to, or ask \
                       for one to this address.";
const USED: &str = "This invitation was used already. Ask an admin of the organization for another.";
const REVOKED: &str = "This invitation was taken back, or replaced by a later one. Use the last one you were given.";
const NO_LONGER: &str = "Whoever sent this invitation may not invite anybody as this any more. \
                         Ask an admin of the organization for another.";
const EXPIRED: &str = "This invitation is older than seven days. Ask an admin of the organization for another.";
const BELONGS: &str = "You belong to this organization already. An admin can change your role.";

impl Records {
    /// Makes a person one of the organization that invited them, once for each invitation. `NotFound`: there is no such
    /// invitation, which is all that is said to who does not know its secret.
    ///
    /// # Errors
    /// [`Error::Records`]; the person may have joined all the same, and a second call then says so.
    pub async fn join(&self, joining: &JoinRequest) -> ChangeResult<NewMember> {
        let tenant = joining.secret.tenant;
        let mut transaction = self.patient(tenant).await?;
        // First of all the identity, as registration does: what one person asks for at once happens one after the
        // other.
        let user: Uuid = sqlx::query_scalar("select directory.enter_identity($1, $2, $3)")
            .bind(&joining.issuer)
            .bind(&joining.subject)
            .bind(Uuid::now_v7())
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed)?;
        // Before the invitation itself: in the order of `delegation.rs`. Who asked never changes.
        let sql = "select granted_by from invitations where tenant_id = $1 and invitation_id = $2 and secret_hash = $3";
        let granted_by: Option<Option<Uuid>> = sqlx::query_scalar(sql)
            .bind(tenant.0)
            .bind(joining.secret.id)
            .bind(joining.secret.hash())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let granter = match granted_by.flatten() {
            Some(granter) => Some(role_held(&mut transaction, tenant, UserId(granter)).await?),
            None => None,
        };
        let sql = format!(
            "select {COLUMNS} from invitations where tenant_id = $1 and invitation_id = $2 and secret_hash = $3 for \
             update"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(joining.secret.id).bind(joining.secret.hash());
        let row = query.fetch_optional(&mut *transaction).await.map_err(failed)?;
        let Some(row) = row else { return Ok(Err(ChangeRefusal::NotFound)) };
        let invitation = invitation(&row).map_err(failed)?;
        let by = Principal::Person { user: UserId(user), email: small(&joining.email), role: invitation.role };
        let act = Caller {
            tenant,
            by,
            from: joining.from,
            request_id: joining.request_id.clone(),
            repeat: None,
            operation: None,
        };
        let may = granter.is_none_or(|role| role.is_some_and(|role| role.may_grant(invitation.role)));
        self.work(&act, transaction).join(joining, UserId(user), &invitation, may).await
    }
}

impl AuditedChange<'_> {
    /// `may`: whether whoever asked may still give this role.
    async fn join(
        mut self,
        joining: &JoinRequest,
        user: UserId,
        invitation: &InvitationRow,
        may: bool,
    ) -> ChangeResult<NewMember> {
        let present = self.present(user).await?;
        if invitation.accepted_by == Some(user)
            && let Some((role, true)) = present
        {
            let organization = self.organization().await?;
            return self.commit(NewMember { organization, user, role, first: false }).await;
        }
        if !invitation.email.is(&joining.email) {
            return Ok(Err(ChangeRefusal::Conflict(ANOTHER)));
        }
        match invitation.state {
            InvitationState::Open if matches!(present, Some((_, true))) => {
                return Ok(Err(ChangeRefusal::Conflict(BELONGS)));
            }
            InvitationState::Open if !may => return Ok(Err(ChangeRefusal::Conflict(NO_LONGER))),
            InvitationState::Open => {}
            InvitationState::Accepted => return Ok(Err(ChangeRefusal::Conflict(USED))),
            InvitationState::Revoked => return Ok(Err(ChangeRefusal::Conflict(REVOKED))),
            InvitationState::Expired => return Ok(Err(ChangeRefusal::Conflict(EXPIRED))),
        }
        self.enter(joining, user, invitation, present.is_some()).await?;
        let after = json!({ "email": invitation.email, "role": invitation.role, "invitation": invitation.id });
        self.audit("person.joined", &user.to_string(), json!(null), after);
        let payload = json!({ "user_id": user, "role": invitation.role, "invitation_id": invitation.id });
        self.tell("person.joined", payload).await?;
        let organization = self.organization().await?;
        self.commit(NewMember { organization, user, role: invitation.role, first: true }).await
    }

    /// The person's role and whether it still holds; `None` for somebody who never belonged.
    async fn present(&mut self, user: UserId) -> Result<Option<(PersonRole, bool)>> {
        let tenant = self.tenant().0;
        let sql = "select role, removed_at is null as belongs from users where tenant_id = $1 and user_id = $2";
        let row = sqlx::query(sql).bind(tenant).bind(user.0).fetch_optional(self.sql()).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let role: String = row.try_get("role").map_err(failed)?;
        let role = role.parse().map_err(|e| Error::internal("a role in the records cannot be read", e))?;
        Ok(Some((role, row.try_get("belongs").map_err(failed)?)))
    }

    /// Writes that the person belongs: as somebody new, or back with the role of this invitation.
    async fn enter(
        &mut self,
        joining: &JoinRequest,
        user: UserId,
        invitation: &InvitationRow,
        back: bool,
    ) -> Result<()> {
        let tenant = self.tenant().0;
        let sql = if back {
            "update users set email = $3, address = $4, name = $5, role = $6, version = version + 1, removed_at = \
             null where tenant_id = $1 and user_id = $2"
        } else {
            "insert into users (tenant_id, user_id, email, address, name, role) values ($1, $2, $3, $4, $5, $6)"
        };
        sqlx::query(sql)
            .bind(tenant)
            .bind(user.0)
            .bind(&joining.email)
            .bind(email::key(&joining.email))
            .bind(&joining.person)
            .bind(invitation.role.as_str())
            .execute(self.sql())
            .await
            .map_err(failed)?;
        let sql =
            "update invitations set accepted_at = now(), accepted_by = $3 where tenant_id = $1 and invitation_id = $2";
        sqlx::query(sql).bind(tenant).bind(invitation.id).bind(user.0).execute(self.sql()).await.map_err(failed)?;
        sqlx::query("select directory.enter_tenant($1, $2, $3)")
            .bind(&joining.issuer)
            .bind(&joining.subject)
            .bind(tenant)
            .execute(self.sql())
            .await
            .map(drop)
            .map_err(failed)
    }

    async fn organization(&mut self) -> Result<OrganizationRow> {
        let tenant = self.tenant();
        let found = organizations::read(self.sql(), tenant).await.map_err(failed)?;
        found.ok_or_else(|| Error::Internal("an invitation of no organization".into()))
    }
}

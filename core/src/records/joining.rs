//! Rows of a person who joins an organization.

use super::{
    change::AuditedChange,
    connect::{Records, TenantTransaction},
};
use crate::{
    Result,
    domain::{
        access::PersonRole,
        email,
        id::{UserId, draw_uuid},
    },
};

/// A person whose identity was verified by an issuer.
#[derive(Clone, Debug)]
pub struct VerifiedPerson {
    /// Who vouches for the identity.
    pub issuer: String,
    /// The issuer's name for the person.
    pub subject: String,
    /// The verified address.
    pub email: String,
    /// The person's name, if the issuer says one.
    pub name: Option<String>,
}

impl Records {
    /// The id of the person whom `issuer` knows as `subject`; a new one if there was none. Until the transaction ends,
    /// every other request of the same person to join or to register waits.
    pub(crate) async fn enter_identity(
        &self,
        transaction: &mut TenantTransaction,
        person: &VerifiedPerson,
    ) -> Result<UserId> {
        let sql = "select directory.enter_identity($1, $2, $3)";
        let query = sqlx::query_scalar(sql).bind(&person.issuer).bind(&person.subject).bind(draw_uuid());
        Ok(UserId(query.fetch_one(&mut **transaction).await?))
    }
}

impl AuditedChange<'_> {
    /// Writes that a person belongs to the organization: as somebody new, or, if they were there before (`back`), with
    /// another role.
    pub(crate) async fn insert_member(
        &mut self,
        person: &VerifiedPerson,
        user: UserId,
        role: PersonRole,
        back: bool,
    ) -> Result<()> {
        let tenant = self.tenant().0;
        let sql = if back {
            "-- bring_back_member
            update users set email = $3, address = $4, name = $5, role = $6, version = version + 1, removed_at = null
            where tenant_id = $1 and user_id = $2"
        } else {
            "-- insert_member
            insert into users (tenant_id, user_id, email, address, name, role) values ($1, $2, $3, $4, $5, $6)"
        };
        sqlx::query(sql)
            .bind(tenant)
            .bind(user.0)
            .bind(&person.email)
            .bind(email::comparison_key(&person.email))
            .bind(&person.name)
            .bind(role.as_str())
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// Writes into the directory that the identity belongs to this organization.
    pub(crate) async fn enter_tenant(&mut self, person: &VerifiedPerson) -> Result<()> {
        let tenant = self.tenant().0;
        let query = sqlx::query("select directory.enter_tenant($1, $2, $3)");
        query.bind(&person.issuer).bind(&person.subject).bind(tenant).execute(self.sql()).await?;
        Ok(())
    }
}

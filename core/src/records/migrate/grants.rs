//! Which login has which of the serving roles. Where a server knows its users by what they are (IAM), no service logs in
//! as `service`: its own user is a member of that role and becomes it.

use super::{SchemaConnection, SchemaError, SchemaErrorKind, SchemaResult};
use crate::records::DatabaseRole;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::BTreeSet;

/// A login, and the role it is a member of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleGrant {
    /// The login's name in the database.
    pub user: String,
    /// The role's name: one of [`DatabaseRole`]'s.
    pub role: String,
}

impl RoleGrant {
    /// That login with that role.
    pub fn new(user: impl Into<String>, role: DatabaseRole) -> Self {
        Self { user: user.into(), role: role.name().to_owned() }
    }
}

/// What became of the grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantReport {
    /// Memberships that were made.
    pub granted: Vec<RoleGrant>,
    /// Memberships that were taken away, because nobody named them.
    pub revoked: Vec<RoleGrant>,
    /// Memberships that were there already.
    pub kept: Vec<RoleGrant>,
}

impl SchemaConnection {
    /// Which logins are members of the serving roles. Whoever may grant a role to others is none of them: a server makes
    /// those who make roles members of what they made.
    ///
    /// # Errors
    /// If the server could not be asked.
    pub async fn grants(&mut self) -> SchemaResult<Vec<RoleGrant>> {
        granted(&mut self.connection).await
    }

    /// Gives each login its role, and takes the serving roles from every other login: all of it or nothing. Open
    /// connections of a login that lost its role live on.
    ///
    /// # Errors
    /// [`SchemaErrorKind::UnknownUser`] if a login does not exist.
    pub async fn grant(&mut self, wanted: &[RoleGrant]) -> SchemaResult<GrantReport> {
        self.as_administrator().await?;
        let failed = |e| SchemaError::of("the roles could not be granted", e);
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        let present: BTreeSet<RoleGrant> = granted(&mut transaction).await?.into_iter().collect();
        let wanted: BTreeSet<RoleGrant> = wanted.iter().cloned().collect();
        unknown(&mut transaction, &wanted).await?;
        let report = GrantReport {
            granted: wanted.difference(&present).cloned().collect(),
            revoked: present.difference(&wanted).cloned().collect(),
            kept: present.intersection(&wanted).cloned().collect(),
        };
        let changes = report.granted.iter().map(|it| ("grant %I to %I", it));
        for (form, RoleGrant { user, role }) in changes.chain(report.revoked.iter().map(|it| ("revoke %I from %I", it))) {
            let sql = "-- grant_text
                select format($1, $2, $3)";
            let text: String = sqlx::query_scalar(sql)
                .bind(form)
                .bind(role)
                .bind(user)
                .fetch_one(&mut *transaction)
                .await
                .map_err(failed)?;
            let done = sqlx::query(AssertSqlSafe(text)).execute(&mut *transaction).await;
            done.map_err(|e| SchemaError::of(format!("the role {role} of {user:?} could not be changed"), e))?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(report)
    }
}

async fn granted(connection: &mut PgConnection) -> SchemaResult<Vec<RoleGrant>> {
    let sql = "-- granted_roles
        select distinct u.rolname::text, r.rolname::text
        from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles u on u.oid = m.member
        where r.rolname in ('service', 'reaper', 'admin') and u.rolcanlogin and not m.admin_option
        order by 1, 2";
    let rows: Vec<(String, String)> = sqlx::query_as(sql)
        .fetch_all(connection)
        .await
        .map_err(|e| SchemaError::of("the grants could not be read", e))?;
    Ok(rows.into_iter().map(|(user, role)| RoleGrant { user, role }).collect())
}

async fn unknown(connection: &mut PgConnection, wanted: &BTreeSet<RoleGrant>) -> SchemaResult<()> {
    let sql = "-- unknown_users
        select distinct u from unnest($1::text[]) u
        where not exists (select from pg_roles r where r.rolname = u and r.rolcanlogin) order by u";
    let users: Vec<&str> = wanted.iter().map(|grant| grant.user.as_str()).collect();
    let unknown: Vec<String> = sqlx::query_scalar(sql)
        .bind(users)
        .fetch_all(connection)
        .await
        .map_err(|e| SchemaError::of("the users could not be looked up", e))?;
    if unknown.is_empty() {
        return Ok(());
    }
    let what = format!(
        "the server has no user {}; make it, or correct DATABASE_GRANTS. No role was granted or revoked",
        unknown.join(", ")
    );
    Err(SchemaError::new(SchemaErrorKind::UnknownUser, what))
}

//! Which login has which of the serving roles. Where a server knows its users by what they are (IAM), no service logs in
//! as `service`: the service logs in as its own user, which is a member of that role, and takes on the role.

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

/// What was changed about the memberships.
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
    /// [`SchemaErrorKind::UnknownUser`] if a login does not exist, [`SchemaErrorKind::UnfitUser`] if no role limits it,
    /// [`SchemaErrorKind::MissingRight`] if a membership is somebody else's to take away.
    pub async fn grant(&mut self, wanted: &[RoleGrant]) -> SchemaResult<GrantReport> {
        self.as_administrator().await?;
        let failed = |e| SchemaError::of("the roles could not be granted", e);
        let mut transaction = self.connection.begin().await.map_err(failed)?;
        let members = memberships(&mut transaction).await?;
        let present: BTreeSet<RoleGrant> = members.iter().filter(|it| it.usable).map(|it| it.grant.clone()).collect();
        let wanted: BTreeSet<RoleGrant> = wanted.iter().cloned().collect();
        unknown(&mut transaction, &wanted).await?;
        unlimited(&mut transaction, &wanted).await?;
        let taken: Vec<&RoleMembership> = members.iter().filter(|it| !wanted.contains(&it.grant)).collect();
        let revoked: BTreeSet<RoleGrant> = taken.iter().map(|it| it.grant.clone()).collect();
        let report = GrantReport {
            granted: wanted.difference(&present).cloned().collect(),
            revoked: revoked.iter().cloned().collect(),
            kept: present.intersection(&wanted).cloned().collect(),
        };
        let by_grantor = knows_grantors(&mut transaction).await?;
        give(&mut transaction, &report.granted, by_grantor).await?;
        take(&mut transaction, &taken, by_grantor).await?;
        let left = memberships(&mut transaction).await?.into_iter().find(|it| revoked.contains(&it.grant));
        if let Some(left) = left {
            return Err(SchemaError::new(SchemaErrorKind::MissingRight, left.cannot_be_taken()));
        }
        transaction.commit().await.map_err(failed)?;
        Ok(report)
    }
}

/// A login that is a member of a serving role, and who made it one.
struct RoleMembership {
    grant: RoleGrant,
    grantor: String,
    /// Whether the login may become the role.
    usable: bool,
}

impl RoleMembership {
    fn cannot_be_taken(&self) -> String {
        let Self { grant: RoleGrant { user, role }, grantor, .. } = self;
        format!(
            "the role {role} of {user:?} was granted by {grantor:?} and could not be taken away, so nothing was granted or \
             revoked; let {grantor:?} or a superuser revoke it, or name it in DATABASE_GRANTS"
        )
    }
}

async fn give(connection: &mut PgConnection, grants: &[RoleGrant], by_grantor: bool) -> SchemaResult<()> {
    let form = if by_grantor { "grant %I to %I with set true" } else { "grant %I to %I" };
    for RoleGrant { user, role } in grants {
        change(connection, form, &[role, user])
            .await
            .map_err(|e| SchemaError::of(format!("the role {role} of {user:?} could not be changed"), e))?;
    }
    Ok(())
}

/// Revokes each membership in the name of the role that granted it. If a membership was granted by another role,
/// PostgreSQL would only warn and change nothing.
async fn take(connection: &mut PgConnection, memberships: &[&RoleMembership], by_grantor: bool) -> SchemaResult<()> {
    for it in memberships {
        let names = [it.grant.role.as_str(), &it.grant.user, &it.grantor];
        let (form, names) = if by_grantor {
            ("revoke %I from %I granted by %I", &names[..])
        } else {
            ("revoke %I from %I", &names[..2])
        };
        change(connection, form, names).await.map_err(|e| SchemaError::of(it.cannot_be_taken(), e))?;
    }
    Ok(())
}

async fn granted(connection: &mut PgConnection) -> SchemaResult<Vec<RoleGrant>> {
    let all: BTreeSet<RoleGrant> = memberships(connection).await?.into_iter().map(|it| it.grant).collect();
    Ok(all.into_iter().collect())
}

/// A login may be a member more than once, by several who granted it (PostgreSQL 16 and later).
async fn memberships(connection: &mut PgConnection) -> SchemaResult<Vec<RoleMembership>> {
    let sql = "-- granted_roles
        select u.rolname::text, r.rolname::text, coalesce(g.rolname::text, ''),
          coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
        from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles u on u.oid = m.member
          left join pg_roles g on g.oid = m.grantor
        where r.rolname in ('service', 'reaper', 'notify', 'admin') and u.rolcanlogin and not m.admin_option
        order by 1, 2, 3";
    let rows: Vec<(String, String, String, bool)> = sqlx::query_as(sql)
        .fetch_all(connection)
        .await
        .map_err(|e| SchemaError::of("the grants could not be read", e))?;
    let membership =
        |(user, role, grantor, usable)| RoleMembership { grant: RoleGrant { user, role }, grantor, usable };
    Ok(rows.into_iter().map(membership).collect())
}

/// Whether the server keeps who granted a membership, and takes it away only as theirs.
async fn knows_grantors(connection: &mut PgConnection) -> SchemaResult<bool> {
    let sql = "-- knows_grantors
        select current_setting('server_version_num')::int >= 160000";
    sqlx::query_scalar(sql)
        .fetch_one(connection)
        .await
        .map_err(|e| SchemaError::of("the server's version could not be read", e))
}

/// One statement about roles: the server writes the names into it, as names are written.
async fn change(connection: &mut PgConnection, form: &str, names: &[&str]) -> sqlx::Result<()> {
    let sql = "-- grant_text
        select format($1, variadic $2::text[])";
    let text: String = sqlx::query_scalar(sql).bind(form).bind(names).fetch_one(&mut *connection).await?;
    sqlx::query(AssertSqlSafe(text)).execute(connection).await.map(drop)
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

/// Refuses a login that no role limits, such as a superuser: it can read and change the rows of every organization,
/// whichever role it takes on.
async fn unlimited(connection: &mut PgConnection, wanted: &BTreeSet<RoleGrant>) -> SchemaResult<()> {
    let sql = "-- unlimited_users
        select rolname::text from pg_roles where rolname = any($1::text[]) and (rolsuper or rolbypassrls) order by 1";
    let users: Vec<&str> = wanted.iter().map(|grant| grant.user.as_str()).collect();
    let unlimited: Vec<String> = sqlx::query_scalar(sql)
        .bind(users)
        .fetch_all(connection)
        .await
        .map_err(|e| SchemaError::of("the users could not be looked up", e))?;
    if unlimited.is_empty() {
        return Ok(());
    }
    let what = format!(
        "DATABASE_GRANTS names {}, a superuser or a user that row security does not bind: a service that logs in so \
         would see every organization. Make a login of its own for it. No role was granted or revoked",
        unlimited.join(", ")
    );
    Err(SchemaError::new(SchemaErrorKind::UnfitUser, what))
}

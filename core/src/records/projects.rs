//! Projects: what sessions can be told apart by besides the license.

use super::{
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest},
};
use crate::{
    Result,
    domain::{
        id::{LicenseId, ProjectId, TenantId, draw_uuid},
        name::{DisplayName, fold},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// A project of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRow {
    /// The project.
    pub id: ProjectId,
    /// What it is called; clients name it by this, however they spell it.
    pub name: String,
    /// Only sessions of these licenses count to it; of all where none is named.
    pub licenses: Vec<LicenseId>,
    /// Rises with every edit.
    pub version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Since when no new session counts to it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub archived_at: Option<OffsetDateTime>,
}

const COLUMNS: &str = "project_id, name, license_ids, version, created_at, archived_at";

impl Records {
    /// The projects of an organization, the newest first. `archived`: only those that are, or only those that are not.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn projects(
        &self,
        tenant: TenantId,
        archived: Option<bool>,
        page: PageRequest,
    ) -> Result<ListedRows<ProjectRow>> {
        let mut transaction = self.begin(tenant).await?;
        // The state stays a parameter: as a constant it would be folded into a form that matches no index.
        let only = if archived.is_some() { " and (archived_at is not null) = $4" } else { "" };
        let sql = format!(
            "-- projects
             select {COLUMNS} from projects where tenant_id = $1 and project_id < $2{only} order by project_id desc \
             limit $3"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(page.below()).bind(page.fetch());
        if let Some(archived) = archived {
            query = query.bind(archived);
        }
        let rows = query.fetch_all(&mut *transaction).await?;
        page.cut(rows, |project: &ProjectRow| project.id.0, project)
    }

    /// A project. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn project(&self, tenant: TenantId, id: ProjectId) -> Result<Option<ProjectRow>> {
        read(&mut *self.begin(tenant).await?, tenant, id, "").await
    }
}

impl AuditedChange<'_> {
    /// Whether all of these, which are distinct, are licenses of the organization.
    pub(crate) async fn has_licenses(&mut self, licenses: &[LicenseId]) -> Result<bool> {
        let sql = "-- has_licenses
            select count(*) from licenses where tenant_id = $1 and license_id = any ($2)";
        let tenant = self.tenant().0;
        let known: i64 = sqlx::query_scalar(sql).bind(tenant).bind(uuids(licenses)).fetch_one(self.sql()).await?;
        Ok(known == licenses.len() as i64)
    }

    /// Writes a project. `None`: there is one of this name, and nothing was written.
    pub(crate) async fn insert_project(
        &mut self,
        name: &DisplayName,
        licenses: &[LicenseId],
    ) -> Result<Option<ProjectRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- insert_project
            insert into projects (tenant_id, project_id, name, key, license_ids) values ($1, $2, $3, $4, $5)
            on conflict (tenant_id, key) do nothing returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(draw_uuid())
            .bind(name.as_str())
            .bind(name.key())
            .bind(uuids(licenses))
            .fetch_optional(self.sql())
            .await?;
        Ok(row.map(|row| project(&row)).transpose()?)
    }

    /// A project, locked. `None`: the organization has none of that id.
    pub(crate) async fn lock_project(&mut self, id: ProjectId) -> Result<Option<ProjectRow>> {
        let tenant = self.tenant();
        read(self.sql(), tenant, id, " for update").await
    }

    /// Writes what a project is now. `None`: there is another one of this name; the transaction has failed and can only
    /// be rolled back.
    pub(crate) async fn update_project(
        &mut self,
        id: ProjectId,
        name: &str,
        licenses: &[LicenseId],
        archived: bool,
    ) -> Result<Option<ProjectRow>> {
        let tenant = self.tenant().0;
        let sql = format!(
            "-- update_project
            update projects set name = $3, key = $4, license_ids = $5, version = version + 1,
              archived_at = case when $6 then coalesce(archived_at, now()) end
            where tenant_id = $1 and project_id = $2 returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(tenant)
            .bind(id.0)
            .bind(name)
            .bind(fold(name))
            .bind(uuids(licenses))
            .bind(archived)
            .fetch_one(self.sql())
            .await;
        match row {
            Err(sqlx::Error::Database(e)) if e.is_unique_violation() => Ok(None),
            row => Ok(Some(project(&row?)?)),
        }
    }
}

fn uuids(licenses: &[LicenseId]) -> Vec<Uuid> {
    licenses.iter().map(|license| license.0).collect()
}

async fn read(sql: &mut PgConnection, tenant: TenantId, id: ProjectId, lock: &str) -> Result<Option<ProjectRow>> {
    let statement = format!(
        "-- project
         select {COLUMNS} from projects where tenant_id = $1 and project_id = $2{lock}"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.0).bind(id.0).fetch_optional(sql).await;
    Ok(row?.map(|row| project(&row)).transpose()?)
}

fn project(row: &PgRow) -> sqlx::Result<ProjectRow> {
    Ok(ProjectRow {
        id: ProjectId(row.try_get("project_id")?),
        name: row.try_get("name")?,
        licenses: row.try_get::<Vec<Uuid>, _>("license_ids")?.into_iter().map(LicenseId).collect(),
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        archived_at: row.try_get("archived_at")?,
    })
}

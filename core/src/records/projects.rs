//! Projects: what sessions can be told apart by besides the license.

use super::{
    act::{AuditedChange, ChangeRefusal, ChangeResult, open},
    caller::Caller,
    connect::{Records, failed},
    page::{ListedRows, PageRequest},
};
use crate::{
    Result,
    domain::{
        id::{LicenseId, ProjectId, TenantId},
        name::{DisplayName, fold},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
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

/// What to change about a project; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ProjectEdit {
    /// Another name.
    pub name: Option<DisplayName>,
    /// Other licenses, instead of those it is tied to.
    pub licenses: Option<Vec<LicenseId>>,
    /// Put away, or brought back.
    pub archived: Option<bool>,
}

const COLUMNS: &str = "project_id, name, license_ids, version, created_at, archived_at";
const TAKEN: &str = "There is a project of this name already, perhaps an archived one; upper and lower case, accents \
    composed or not, and blanks make no difference. Choose another name, or bring that one back.";

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
            "select {COLUMNS} from projects where tenant_id = $1 and project_id < $2{only} order by project_id desc \
             limit $3"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(tenant.0).bind(page.below()).bind(page.fetch());
        if let Some(archived) = archived {
            query = query.bind(archived);
        }
        let rows = query.fetch_all(&mut *transaction).await.map_err(failed)?;
        page.cut(rows, |project: &ProjectRow| project.id.0, project)
    }

    /// A project. `None`: there is none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn project(&self, tenant: TenantId, id: ProjectId) -> Result<Option<ProjectRow>> {
        read(&mut *self.begin(tenant).await?, tenant, id, "").await
    }

    /// Makes a project. Its name must be free, its licenses the organization's.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn create_project(
        &self,
        act: &Caller,
        name: &DisplayName,
        licenses: &[LicenseId],
    ) -> ChangeResult<ProjectRow> {
        let mut work = open!(self, act);
        if !work.knows(licenses).await? {
            return Ok(Err(NOT_HERE));
        }
        let sql = format!(
            "insert into projects (tenant_id, project_id, name, key, license_ids) values ($1, $2, $3, $4, $5)
             on conflict (tenant_id, key) do nothing returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(act.tenant.0)
            .bind(Uuid::now_v7())
            .bind(name.as_str())
            .bind(name.key())
            .bind(uuids(licenses))
            .fetch_optional(work.sql())
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(Err(ChangeRefusal::Conflict(TAKEN))) };
        let made = project(&row).map_err(failed)?;
        let after = json!({ "name": made.name, "license_ids": made.licenses });
        work.audit("project.created", &made.id.to_string(), json!(null), after);
        work.commit(made).await
    }

    /// Renames a project, ties it to other licenses, archives it or brings it back. `version`: only if it still is this
    /// one.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn edit_project(
        &self,
        act: &Caller,
        id: ProjectId,
        edit: &ProjectEdit,
        version: Option<i64>,
    ) -> ChangeResult<ProjectRow> {
        let mut work = open!(self, act);
        let Some(before) = read(work.sql(), act.tenant, id, " for update").await? else {
            return Ok(Err(ChangeRefusal::NotFound));
        };
        if version.is_some_and(|version| version != before.version) {
            return Ok(Err(ChangeRefusal::Stale));
        }
        let name = edit.name.as_ref().map_or(before.name.as_str(), DisplayName::as_str);
        let licenses = edit.licenses.as_ref().unwrap_or(&before.licenses);
        let archived = edit.archived.unwrap_or(before.archived_at.is_some());
        if (name, licenses, archived) == (&*before.name, &before.licenses, before.archived_at.is_some()) {
            return work.commit(before).await;
        }
        if !work.knows(licenses).await? {
            return Ok(Err(NOT_HERE));
        }
        let sql = format!(
            "update projects set name = $3, key = $4, license_ids = $5, version = version + 1,
               archived_at = case when $6 then coalesce(archived_at, now()) end
             where tenant_id = $1 and project_id = $2 returning {COLUMNS}"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(act.tenant.0)
            .bind(id.0)
            .bind(name)
            .bind(fold(name))
            .bind(uuids(licenses))
            .bind(archived)
            .fetch_one(work.sql())
            .await;
        let after = match row {
            Err(sqlx::Error::Database(e)) if e.is_unique_violation() => return Ok(Err(ChangeRefusal::Conflict(TAKEN))),
            other => other.and_then(|row| project(&row)).map_err(failed)?,
        };
        let say = |it: &ProjectRow| json!({ "name": it.name, "license_ids": it.licenses, "archived": it.archived_at.is_some() });
        work.audit("project.edited", &id.to_string(), say(&before), say(&after));
        work.commit(after).await
    }
}

const NOT_HERE: ChangeRefusal = ChangeRefusal::Invalid("license_ids", "must name licenses of this organization");

impl AuditedChange<'_> {
    /// Whether all of these, which are distinct, are licenses of the organization.
    async fn knows(&mut self, licenses: &[LicenseId]) -> Result<bool> {
        let tenant = self.tenant().0;
        let sql = "select count(*) from licenses where tenant_id = $1 and license_id = any ($2)";
        let known: i64 =
            sqlx::query_scalar(sql).bind(tenant).bind(uuids(licenses)).fetch_one(self.sql()).await.map_err(failed)?;
        Ok(known == licenses.len() as i64)
    }
}

fn uuids(licenses: &[LicenseId]) -> Vec<Uuid> {
    licenses.iter().map(|license| license.0).collect()
}

async fn read(sql: &mut PgConnection, tenant: TenantId, id: ProjectId, lock: &str) -> Result<Option<ProjectRow>> {
    let statement = format!("select {COLUMNS} from projects where tenant_id = $1 and project_id = $2{lock}");
    let row = sqlx::query(AssertSqlSafe(statement)).bind(tenant.0).bind(id.0).fetch_optional(sql).await;
    row.map_err(failed)?.map(|row| project(&row)).transpose().map_err(failed)
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

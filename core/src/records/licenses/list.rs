//! Licenses as their owners and the vendor's staff see them: one, and page by page.

use crate::{
    Result,
    domain::{
        id::{LicenseId, LicenseNumber, PoolId, PoolName, TenantId},
        labels::Labels,
        license::Status,
        naming::Naming,
        terms::LicenseTerms,
    },
    records::{
        AuditedChange, Records, labels,
        page::{ListedRows, PageRequest},
        plans::terms,
        row::{count, word},
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

/// A license with everything that was agreed about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LicenseRow {
    /// The license.
    pub id: LicenseId,
    /// Its public number.
    pub number: LicenseNumber,
    /// The product it is for.
    pub product: String,
    /// Whether it is active, suspended or revoked.
    pub status: Status,
    /// Since when it has this status.
    #[serde(with = "time::serde::rfc3339")]
    pub status_since: OffsetDateTime,
    /// Its terms.
    pub terms: LicenseTerms,
    /// Rises with every change of what tokens say.
    pub facts_version: i64,
    /// Rises with every edit.
    pub version: i64,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// What the vendor's systems know it by.
    #[serde(default)]
    pub labels: Labels,
    /// What people call it, and their note.
    #[serde(default)]
    pub naming: Naming,
}

/// A pool of a license, as PostgreSQL has it; Redis is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOf {
    /// The pool.
    pub id: PoolId,
    /// Its name.
    pub name: PoolName,
    /// The number of licensed seats.
    pub seats_total: u32,
    /// The surplus: seats above that number which are still held since it was reduced.
    pub surplus: u32,
    /// Machines that may go on without contact now, those that hold a seat among them.
    pub on_grace: u32,
}

/// Which licenses of an organization are asked for; a field that is `None` excludes none.
#[derive(Clone, Debug, Default)]
pub struct LicenseFilter {
    /// Its status.
    pub status: Option<Status>,
    /// Its tier.
    pub tier: Option<String>,
    /// Its product.
    pub product: Option<String>,
}

const COLUMNS: &str = "l.license_id, l.number, l.product, l.plan, l.tier, l.status, l.status_since, l.not_before, \
    l.expires_at, l.features,
    l.offline_policy, l.grace_hours, l.grace_after_heartbeats, l.grace_beyond_seats,
    l.holder_by, l.processes_per_seat, l.hide_holders, l.facts_version, l.version, l.created_at,
    l.external_id, l.metadata, l.name, l.note,
    coalesce((select p.seats_total from pools p
              where p.tenant_id = l.tenant_id and p.license_id = l.license_id and p.name = 'default'), 0) as seats";

impl Records {
    /// The licenses of an organization, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn licenses(
        &self,
        tenant: TenantId,
        filter: &LicenseFilter,
        page: PageRequest,
    ) -> Result<ListedRows<LicenseRow>> {
        let status = filter.status.map(|status| status.as_str().to_owned());
        let filters = [("status", &status), ("tier", &filter.tier), ("product", &filter.product)];
        let given: Vec<(&str, &String)> =
            filters.into_iter().filter_map(|(column, value)| Some((column, value.as_ref()?))).collect();
        let mut transaction = self.begin(tenant).await?;
        // Each set of filters has a text of its own, so that it is planned with the index of one of its filters. Pools
        // are read one by one and by key, because a join is planned for a page of any length and read all pools for a
        // page of twenty licenses.
        let only: String =
            given.iter().enumerate().map(|(at, (column, _))| format!(" and {column} = ${}", at + 4)).collect();
        let sql = format!(
            "-- licenses
             select {COLUMNS} from (select * from licenses where tenant_id = $1 and license_id < $2{only} order by \
             license_id desc limit $3) l
             order by l.license_id desc"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant.0).bind(page.below()).bind(page.fetch());
        let query = given.iter().fold(query, |query, (_, value)| query.bind(*value));
        let rows = query.fetch_all(&mut *transaction).await?;
        page.cut(rows, |license: &LicenseRow| license.id.0, licensed)
    }

    /// A license and its pools, by name. `None`: the organization has none of that id.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn license(&self, tenant: TenantId, license: LicenseId) -> Result<Option<(LicenseRow, Vec<PoolOf>)>> {
        let mut transaction = self.begin(tenant).await?;
        let Some(found) = read(&mut transaction, tenant, license).await? else { return Ok(None) };
        let sql = "-- pools_of_license
            select pool_id, name, seats_total, surplus, machines_on_grace(tenant_id, pool_id) as on_grace
            from pools where tenant_id = $1 and license_id = $2 order by name";
        let rows = sqlx::query(sql).bind(tenant.0).bind(license.0).fetch_all(&mut *transaction).await;
        let pools = rows?.iter().map(pool).collect::<sqlx::Result<_>>()?;
        Ok(Some((found, pools)))
    }
}

impl AuditedChange<'_> {
    /// A license as it is now. `None`: the organization has none of that id.
    pub(crate) async fn license(&mut self, id: LicenseId) -> Result<Option<LicenseRow>> {
        let tenant = self.tenant();
        read(self.sql(), tenant, id).await
    }
}

async fn read(sql: &mut PgConnection, tenant: TenantId, license: LicenseId) -> Result<Option<LicenseRow>> {
    let text = format!(
        "-- license
         select {COLUMNS} from licenses l where l.tenant_id = $1 and l.license_id = $2"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(tenant.0).bind(license.0).fetch_optional(sql).await;
    Ok(row?.map(|row| licensed(&row)).transpose()?)
}

/// The license of a row.
pub(in crate::records) fn licensed(row: &PgRow) -> sqlx::Result<LicenseRow> {
    Ok(LicenseRow {
        id: LicenseId(row.try_get("license_id")?),
        number: word(row, "number")?,
        product: row.try_get("product")?,
        status: word(row, "status")?,
        status_since: row.try_get("status_since")?,
        terms: LicenseTerms {
            not_before: row.try_get("not_before")?,
            expires_at: row.try_get("expires_at")?,
            hide_holders: row.try_get("hide_holders")?,
            ..terms(row)?.into_license(row.try_get("plan")?)
        },
        facts_version: row.try_get("facts_version")?,
        version: row.try_get("version")?,
        created_at: row.try_get("created_at")?,
        labels: labels::read(row)?,
        naming: Naming { name: row.try_get("name")?, note: row.try_get("note")? },
    })
}

fn pool(row: &PgRow) -> sqlx::Result<PoolOf> {
    Ok(PoolOf {
        id: PoolId(row.try_get("pool_id")?),
        name: word(row, "name")?,
        seats_total: count(row, "seats_total")?,
        surplus: count(row, "surplus")?,
        on_grace: count(row, "on_grace")?,
    })
}

//! Long lists that are read by filters, which may be combined.
//!
//! The first filter that is given decides which index is read, from where the page begins. If there are further
//! filters, they are applied to a window of the rows that the first one finds, so that no combination of filters reads
//! more than a window.

use super::page::{PageCursor, PageRequest};
use crate::domain::id::TenantId;
use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// How many rows one page of several filters looks through.
pub const WINDOW: i64 = 1000;

/// A filter's value.
pub(super) enum FilterValue {
    Id(Uuid),
    Text(String),
    /// The column is later than this. It never drives and stands last: the window is of the rows whose column is in the
    /// month of this time (UTC) or later, since tables of history are cut by months.
    Later(OffsetDateTime),
}

/// Columns and what each must be; the first drives.
pub(super) type Sought = Vec<(&'static str, FilterValue)>;

/// What drives, and what narrows the window of the rows that it finds.
fn split(sought: &Sought) -> (Option<&'static str>, &[(&'static str, FilterValue)]) {
    match sought.as_slice() {
        [] => (None, &[]),
        all @ [(_, FilterValue::Later(_)), ..] => (None, all),
        [(driver, _), rest @ ..] => (Some(*driver), rest),
    }
}

/// A list whose rows come in the order of an id, the newest first.
pub(super) struct FilteredList {
    /// The comment that names the statement, with its line break.
    pub name: &'static str,
    /// What is read.
    pub columns: &'static str,
    pub table: &'static str,
    /// The column of the id.
    pub id: &'static str,
    /// What must be true of each row `r` besides; $3 is the least id. It says which months are read.
    pub only: &'static str,
}

/// Rows that were found.
pub(super) struct FoundRows {
    /// One more than the page has, if another page follows.
    pub rows: Vec<PgRow>,
    /// Where a window of several filters ended, if there may be more behind it.
    pub looked_through_to: Option<PageCursor>,
}

impl FilteredList {
    /// Rows whose ids are below `below`, and at or above `from`.
    pub(super) async fn fetch(
        &self,
        sql: &mut PgConnection,
        tenant: TenantId,
        sought: &Sought,
        [from, below]: [Uuid; 2],
        page: PageRequest,
    ) -> sqlx::Result<FoundRows> {
        let statement = self.statement(sought);
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(tenant.0).bind(below).bind(from).bind(page.fetch());
        if !split(sought).1.is_empty() {
            query = query.bind(WINDOW);
        }
        for (_, value) in sought {
            query = match value {
                FilterValue::Id(id) => query.bind(*id),
                FilterValue::Text(text) => query.bind(text.as_str()),
                FilterValue::Later(time) => query.bind(*time),
            };
        }
        let mut rows = query.fetch_all(sql).await?;
        let looked_through_to = looked_through(&rows)?;
        rows.retain(|row| row.try_get::<Uuid, _>(self.id).is_ok());
        Ok(FoundRows { rows, looked_through_to })
    }

    /// $1 tenant, $2 and $3 bounds of the id, $4 rows of the page; then, with several filters, $5 the window; then the
    /// filters.
    fn statement(&self, sought: &Sought) -> String {
        let Self { name, columns, table, id, only } = self;
        let (driver, narrowing) = split(sought);
        let first = if narrowing.is_empty() { 5 } else { 6 };
        let mut by = driver.map_or_else(String::new, |column| format!(" and r.{column} = ${first}"));
        if let [.., (column, FilterValue::Later(_))] = sought.as_slice() {
            let n = first + sought.len() - 1;
            by.push_str(&format!(" and r.{column} >= date_trunc('month', ${n}::timestamptz, 'UTC')"));
        }
        let found = |limit: &str| {
            format!(
                "{columns} from {table} r where r.tenant_id = $1 and {only} and r.{id} < $2 and r.{id} >= $3{by}
                 order by r.{id} desc limit {limit}"
            )
        };
        if narrowing.is_empty() {
            return format!("{name} select {}", found("$4"));
        }
        let filtered = name.replacen("- ", "- filtered_", 1);
        let narrow: Vec<String> = narrowing
            .iter()
            .zip(first + sought.len() - narrowing.len()..)
            .map(|((column, value), n)| {
                let is = if matches!(value, FilterValue::Later(_)) { ">" } else { "=" };
                format!("w.{column} {is} ${n}")
            })
            .collect();
        format!(
            "{filtered} with looked as materialized (select {})
             select l.*, (select count(*) from looked) = $5 as more,
               (select w.{id} from looked w order by w.{id} limit 1) as until
             from (select 1) one
             left join (select * from looked w where {} order by w.{id} desc limit $4) l on true
             order by l.{id} desc",
            found("$5"),
            narrow.join(" and ")
        )
    }
}

fn looked_through(rows: &[PgRow]) -> sqlx::Result<Option<PageCursor>> {
    let Some(row) = rows.first() else { return Ok(None) };
    if row.try_get::<bool, _>("more").is_ok_and(|more| more) {
        return row.try_get::<Option<Uuid>, _>("until").map(|until| until.map(PageCursor));
    }
    Ok(None)
}

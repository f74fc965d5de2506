//! Sessions, open and ended: read one by one and page by page, and ended by people.

use super::{
    caller::{Caller, Principal},
    change::AuditedChange,
    connect::Records,
    filtered::{FilterValue, FilteredList, FoundRows, Sought},
    page::{ListedRows, PageRequest, first_id_of, id_before},
};
use crate::{
    Error, Result,
    domain::{
        access::PersonRole,
        email,
        id::{Hw, KeyId, LicenseId, LicenseNumber, PoolId, PoolName, ProjectId, SeatNo, SessionId, TenantId},
        session::EndReason,
    },
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};
use std::collections::{HashMap, HashSet};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const WEEK: Duration = Duration::WEEK;

/// A session, as PostgreSQL has it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// The session.
    pub id: SessionId,
    /// The license it is on.
    pub license: LicenseId,
    /// The license's public number.
    pub number: LicenseNumber,
    /// The product the license is for.
    pub product: String,
    /// The pool its seat is of.
    pub pool_id: PoolId,
    /// The pool's name.
    pub pool: PoolName,
    /// The seat.
    pub seat: SeatNo,
    /// Its label.
    pub label: String,
    /// The machine's public hash.
    pub hw: String,
    /// The address the client says its user has, folded; nobody vouches for it.
    pub person: Option<String>,
    /// The project the client named, if there was one of that name.
    pub project: Option<(ProjectId, String)>,
    /// What names the license key it began with; `None`: one that the records do not know.
    pub key: Option<KeyId>,
    /// The facts that the client sent about itself.
    pub client: Value,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// When it was last heard of, as far as it is written down: for an open session its begin, as a rule.
    pub last_seen_at: OffsetDateTime,
    /// When and how it ended; `None` while it is open.
    pub ended: Option<(OffsetDateTime, EndReason)>,
}

/// Which sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Those that ended, else those that are open.
    pub ended: bool,
    /// On this license.
    pub license: Option<LicenseId>,
    /// Of this project.
    pub project: Option<ProjectId>,
    /// Of this machine.
    pub machine: Option<Hw>,
    /// Begun with this license key.
    pub key: Option<KeyId>,
    /// Of this person, folded.
    pub person: Option<String>,
    /// Ended like this.
    pub reason: Option<EndReason>,
    /// Begun at this time or later, by the clock of the service that drew the id.
    pub started_after: Option<OffsetDateTime>,
    /// Begun before.
    pub started_before: Option<OffsetDateTime>,
    /// Open at this time, whatever became of it: begun then or before, and not ended then or before.
    pub open_at: Option<OffsetDateTime>,
}

const COLUMNS: &str = "session_id, license_id, number, product, pool_id, pool, seat_no, label, hw, person, \
    project_id, key_id, client, started_at, last_seen_at, ended_at, end_reason";
/// Of open sessions and of ended ones: the state is a constant, since it says which table to read.
const OPEN: FilteredList = FilteredList {
    name: "-- sessions
",
    columns: COLUMNS,
    table: "sessions",
    id: "session_id",
    only: "r.ended_at is null",
};
/// Only those months are read in which one of these ids can have ended.
const ENDED: FilteredList =
    FilteredList { only: "r.ended_at between could_have_ended($3) and now() + interval '31 days'", ..OPEN };

impl Caller {
    /// The address whose sessions alone who asks may see, folded; `None`: everybody's.
    pub(crate) fn sees_only(&self) -> Option<String> {
        match &self.principal {
            Principal::Person { email, role, .. } if *role < PersonRole::Admin => Some(email::comparison_key(email)),
            Principal::Person { .. }
            | Principal::Token { .. }
            | Principal::Staff { .. }
            | Principal::VendorToken { .. } => None,
        }
    }
}

impl Records {
    /// Sessions that who asks may see, those that began last first. A page of several filters may hold fewer than its
    /// limit, also none, although another follows: it looks through at most [`super::WINDOW`] sessions.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn sessions(
        &self,
        caller: &Caller,
        filter: &SessionFilter,
        page: PageRequest,
    ) -> Result<ListedRows<SessionRow>> {
        let none = ListedRows { items: Vec::new(), next: None };
        let mut filter = filter.clone();
        if let Some(own) = caller.sees_only() {
            if filter.person.as_ref().is_some_and(|person| *person != own) {
                return Ok(none);
            }
            filter.person = Some(own);
        }
        let mut transaction = self.begin(caller.tenant).await?;
        let (sought, list) = (filter.sought(), if filter.ended { ENDED } else { OPEN });
        let below = page.below().min(filter.begun_below());
        let floor = filter.started_after.map_or(Uuid::nil(), first_id_of);
        let mut found = FoundRows { rows: Vec::new(), looked_through_to: None };
        for from in floors(below, floor, filter.ended) {
            found = list.fetch(&mut transaction, caller.tenant, &sought, [from, below], page).await?;
            if found.looked_through_to.is_some() || found.rows.len() as i64 == page.fetch() {
                break;
            }
        }
        let FoundRows { rows, looked_through_to } = found;
        // The one row beyond the page only says that another page follows.
        let shown = rows.len().min(page.fetch() as usize - 1);
        let names = names(&mut transaction, caller.tenant, &rows[..shown]).await?;
        let listed = page.cut(rows, |session: &SessionRow| session.id.0, |row| names.session(row))?;
        Ok(ListedRows { next: listed.next.or(looked_through_to), ..listed })
    }

    /// Whether the organization has this license.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn has_license(&self, tenant: TenantId, license: LicenseId) -> Result<bool> {
        let mut transaction = self.begin(tenant).await?;
        let sql = "-- has_license
            select exists (select from licenses where tenant_id = $1 and license_id = $2)";
        sqlx::query_scalar(sql).bind(tenant.0).bind(license.0).fetch_one(&mut *transaction).await.map_err(Error::from)
    }

    /// A session. `None`: there is none of that id that who asks may see.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn session(&self, caller: &Caller, id: SessionId) -> Result<Option<SessionRow>> {
        find(&mut *self.begin(caller.tenant).await?, caller, id).await
    }
}

/// What PostgreSQL answered to a request to end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KickOutcome {
    /// Ended now.
    Kicked,
    /// It had ended before.
    EndedBefore,
    /// Processes of other people run on the same seat.
    Shared,
    /// There is no such session that the caller may see.
    Unknown,
}

impl AuditedChange<'_> {
    /// A session that the caller may see.
    pub(crate) async fn visible_session(&mut self, id: SessionId) -> Result<Option<SessionRow>> {
        let caller = self.caller();
        find(self.sql(), caller, id).await
    }

    /// Open sessions that a filter finds, those that began last first, without the names of their projects.
    pub(crate) async fn open_sessions(
        &mut self,
        filter: &SessionFilter,
        page: PageRequest,
    ) -> Result<ListedRows<SessionRow>> {
        let (tenant, sought) = (self.tenant(), filter.sought());
        let found = OPEN.fetch(self.sql(), tenant, &sought, [Uuid::nil(), page.below()], page).await?;
        let unnamed = ProjectNames(HashMap::new());
        page.cut(found.rows, |session: &SessionRow| session.id.0, |row| unnamed.session(row))
    }

    /// Ends a session and with it every process on its seat, and answers the pool's epoch afterwards. With `force` the
    /// seat does not wait until a lease is over.
    pub(crate) async fn kick_session(&mut self, id: SessionId, force: bool) -> Result<(KickOutcome, u64)> {
        let (tenant, sees_only, by) = (self.tenant().0, self.caller().sees_only(), self.principal().kind_and_name());
        let row = sqlx::query("select outcome, epoch from kick_session($1, $2, $3, $4, $5)")
            .bind(tenant)
            .bind(id.0)
            .bind(sees_only)
            .bind(force)
            .bind(by)
            .fetch_one(self.sql())
            .await?;
        let outcome = match row.try_get::<Option<String>, _>("outcome")?.as_deref() {
            Some("KICKED") => KickOutcome::Kicked,
            Some("OVER") => KickOutcome::EndedBefore,
            Some("SHARED") => KickOutcome::Shared,
            _ => return Ok((KickOutcome::Unknown, 0)),
        };
        Ok((outcome, row.try_get::<i64, _>("epoch")? as u64))
    }
}

impl SessionFilter {
    /// The ids of what began before the times that are given are below this.
    fn begun_below(&self) -> Uuid {
        let open_at = self.open_at.map(|at| at.saturating_add(Duration::MILLISECOND));
        [self.started_before, open_at].into_iter().flatten().map(first_id_of).min().unwrap_or(Uuid::max())
    }

    /// What is filtered by besides state and time; the first drives. A machine has the fewest sessions, a way to end
    /// the most.
    fn sought(&self) -> Sought {
        let all = [
            self.machine.map(|it| ("hw", FilterValue::Text(it.to_string()))),
            self.person.clone().map(|it| ("person", FilterValue::Text(it))),
            self.project.map(|it| ("project_id", FilterValue::Id(it.0))),
            self.key.map(|it| ("key_id", FilterValue::Id(it.0))),
            self.license.map(|it| ("license_id", FilterValue::Id(it.0))),
            self.reason.map(|it| ("end_reason", FilterValue::Text(it.as_str().into()))),
            // Of those that are open now nothing ended.
            self.open_at.filter(|_| self.ended).map(|it| ("ended_at", FilterValue::Later(it))),
        ];
        all.into_iter().flatten().collect()
    }
}

/// The ids from which on a page is searched, one after the other until one of them fills the page. Each month that is
/// kept costs some blocks to look into, and a session can have ended in any month since it began. In long lists the
/// sessions that began within the week before the end of the page fill it, and can have ended in few months only; in
/// short lists everything is searched.
fn floors(below: Uuid, floor: Uuid, ended: bool) -> Vec<Uuid> {
    // As far as our clock knows, nothing began later.
    let week_before = id_before(below.min(SessionId::draw().0), WEEK);
    if ended && week_before > floor { vec![week_before, floor] } else { vec![floor] }
}

async fn find(sql: &mut sqlx::PgConnection, caller: &Caller, id: SessionId) -> Result<Option<SessionRow>> {
    let statement = format!(
        "-- session
         select {COLUMNS} from sessions s where s.tenant_id = $1 and s.session_id = $2 and ($3::text is null or \
         s.person = $3)"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(caller.tenant.0)
        .bind(id.0)
        .bind(caller.sees_only())
        .fetch_all(&mut *sql)
        .await?;
    let names = names(sql, caller.tenant, &rows).await?;
    Ok(rows.first().map(|row| names.session(row)).transpose()?)
}

/// What the projects of a page are called. Asked for apart from the page, each once and by key, so that no plan joins a
/// whole table.
struct ProjectNames(HashMap<Uuid, String>);

async fn names(sql: &mut sqlx::PgConnection, tenant: TenantId, rows: &[PgRow]) -> Result<ProjectNames> {
    let ids: sqlx::Result<Vec<Option<Uuid>>> = rows.iter().map(|row| row.try_get("project_id")).collect();
    let ids: HashSet<Uuid> = ids?.into_iter().flatten().collect();
    if ids.is_empty() {
        return Ok(ProjectNames(HashMap::new()));
    }
    let text = "-- names_of_projects
        select project_id, name from projects where tenant_id = $1 and project_id = any ($2)";
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let found: Vec<(Uuid, String)> = sqlx::query_as(text).bind(tenant.0).bind(ids).fetch_all(sql).await?;
    Ok(ProjectNames(found.into_iter().collect()))
}

impl ProjectNames {
    fn session(&self, row: &PgRow) -> sqlx::Result<SessionRow> {
        let decode = |e: crate::domain::id::InvalidText| sqlx::Error::Decode(Box::new(e));
        let project: Option<Uuid> = row.try_get("project_id")?;
        let ended_at: Option<OffsetDateTime> = row.try_get("ended_at")?;
        let reason: Option<String> = row.try_get("end_reason")?;
        let reason = reason.map(|reason| reason.parse()).transpose().map_err(decode)?;
        Ok(SessionRow {
            id: SessionId(row.try_get("session_id")?),
            license: LicenseId(row.try_get("license_id")?),
            number: row.try_get::<String, _>("number")?.parse().map_err(decode)?,
            product: row.try_get("product")?,
            pool_id: PoolId(row.try_get("pool_id")?),
            pool: row.try_get::<String, _>("pool")?.parse().map_err(decode)?,
            seat: row.try_get::<i32, _>("seat_no")? as SeatNo,
            label: row.try_get("label")?,
            hw: row.try_get("hw")?,
            person: row.try_get("person")?,
            project: project.and_then(|id| Some((ProjectId(id), self.0.get(&id)?.clone()))),
            key: row.try_get::<Option<Uuid>, _>("key_id")?.map(KeyId),
            client: row.try_get("client")?,
            started_at: row.try_get("started_at")?,
            last_seen_at: row.try_get("last_seen_at")?,
            ended: ended_at.zip(reason),
        })
    }
}

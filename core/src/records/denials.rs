//! Who wanted a seat of a full pool and got none: written down as sweeps tell it, and read as a list.

use super::{
    caller::Caller,
    connect::Records,
    filtered::{FilterValue, FilteredList, FoundRows, Sought},
    page::{ListedRows, PageRequest, first_id_of},
    sweep::PoolToReap,
};
use crate::{
    Result,
    domain::{
        id::{Hw, InvalidText, LicenseId, LicenseNumber, PoolName},
        want::{WantBegin, WantChange, WantEnd},
    },
};
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// A want that was refused, as PostgreSQL has it.
#[derive(Clone, Debug, PartialEq)]
pub struct DenialRow {
    /// Its id, which is told in the event too.
    pub id: Uuid,
    /// The license.
    pub license: LicenseId,
    /// The license's public number.
    pub number: LicenseNumber,
    /// The product the license is for.
    pub product: String,
    /// The pool's name.
    pub pool: PoolName,
    /// What its client called itself.
    pub label: String,
    /// The machine's public hash.
    pub hw: String,
    /// The address the client says its user has, folded; nobody vouches for it.
    pub person: Option<String>,
    /// When it was refused first.
    pub at: OffsetDateTime,
    /// When it was refused last; while it goes on, first.
    pub last_at: OffsetDateTime,
    /// How often it was refused; while it goes on, 1.
    pub tries: i64,
    /// When it was given a seat.
    pub granted_at: Option<OffsetDateTime>,
    /// When it was over.
    pub ended_at: Option<OffsetDateTime>,
    /// True if Redis lost it, so that nobody knows how it ended.
    pub lost: bool,
}

/// Which denials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenialFilter {
    /// Of this license.
    pub license: Option<LicenseId>,
    /// Of this machine.
    pub machine: Option<Hw>,
    /// Of this person, folded.
    pub person: Option<String>,
    /// Refused first at this time or later …
    pub from: Option<OffsetDateTime>,
    /// … and before this one.
    pub until: Option<OffsetDateTime>,
}

/// Their ids begin with the time of the first ask, so only those months are read that these ids can be of.
const DENIALS: FilteredList = FilteredList {
    name: "-- denials
",
    columns: "denial_id, license_id, number, product, pool, label, hw, person, at, last_at, tries, granted_at, \
        ended_at, lost",
    table: "denials",
    id: "denial_id",
    only: "r.at >= began_at($3) and r.at <= began_at($2)",
};

impl Records {
    /// Denials, those that were refused first last before the others. A page of several filters may hold fewer than its
    /// limit, also none, although another follows: it looks through at most [`super::WINDOW`] denials.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn denials(
        &self,
        caller: &Caller,
        filter: &DenialFilter,
        page: PageRequest,
    ) -> Result<ListedRows<DenialRow>> {
        let below = page.below().min(filter.until.map_or(Uuid::max(), first_id_of));
        let from = filter.from.map_or(Uuid::nil(), first_id_of);
        let mut transaction = self.begin(caller.tenant).await?;
        let FoundRows { rows, looked_through_to } =
            DENIALS.fetch(&mut transaction, caller.tenant, &filter.sought(), [from, below], page).await?;
        let listed = page.cut(rows, |denial: &DenialRow| denial.id, denial)?;
        Ok(ListedRows { next: listed.next.or(looked_through_to), ..listed })
    }

    /// Writes down what happened to wants of a pool, each of them once, and those that are lost because the copy has
    /// counted wants only since `since_ms`; 0: there is no copy (`migrations/0253_record_wants.sql`). At most 1,000
    /// changes. As
    /// [`super::DatabaseRole::Reaper`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn record_wants(&self, pool: &PoolToReap, since_ms: i64, changes: &[WantChange]) -> Result<()> {
        let told: Vec<_> = changes.iter().map(told).collect();
        self.repeat(|connections| {
            let told = Json(told.clone());
            async move {
                let recorded = sqlx::query("select record_wants($1, $2, $3, $4)");
                let recorded = recorded.bind(pool.tenant.0).bind(pool.pool_id.0).bind(since_ms).bind(told);
                recorded.execute(&connections).await.map(drop)
            }
        })
        .await
    }
}

impl DenialFilter {
    fn sought(&self) -> Sought {
        let all = [
            self.machine.map(|it| ("hw", FilterValue::Text(it.to_string()))),
            self.person.clone().map(|it| ("person", FilterValue::Text(it))),
            self.license.map(|it| ("license_id", FilterValue::Id(it.0))),
        ];
        all.into_iter().flatten().collect()
    }
}

/// A change as `record_wants` reads it.
fn told(change: &WantChange) -> Value {
    match change {
        WantChange::Began(WantBegin { holder, first_ask_ms, machine, person, label }) => json!({
            "began": true, "holder": holder.to_string(), "first_ask": first_ask_ms, "machine": machine,
            "person": person, "label": label,
        }),
        WantChange::Ended(WantEnd { holder, first_ask_ms, last_ask_ms, asks, granted_ms }) => json!({
            "began": false, "holder": holder.to_string(), "first_ask": first_ask_ms, "last_ask": last_ask_ms,
            "asks": i64::try_from(*asks).unwrap_or(i64::MAX), "granted": granted_ms,
        }),
    }
}

fn denial(row: &PgRow) -> sqlx::Result<DenialRow> {
    let decode = |e: InvalidText| sqlx::Error::Decode(Box::new(e));
    Ok(DenialRow {
        id: row.try_get("denial_id")?,
        license: LicenseId(row.try_get("license_id")?),
        number: row.try_get::<String, _>("number")?.parse().map_err(decode)?,
        product: row.try_get("product")?,
        pool: row.try_get::<String, _>("pool")?.parse().map_err(decode)?,
        label: row.try_get("label")?,
        hw: row.try_get("hw")?,
        person: row.try_get("person")?,
        at: row.try_get("at")?,
        last_at: row.try_get("last_at")?,
        tries: row.try_get("tries")?,
        granted_at: row.try_get("granted_at")?,
        ended_at: row.try_get("ended_at")?,
        lost: row.try_get("lost")?,
    })
}

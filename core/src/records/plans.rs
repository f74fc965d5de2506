//! The vendor's plans and products. They are no organization's, so these are the only changes without a tenant; what
//! staff does to them is written into a log of its own, in the same transaction.

use super::{
    act::{ChangeRefusal, ChangeResult},
    chain,
    connect::{Records, failed},
    page::{ListedRows, PageRequest},
};
use crate::{
    Error, Result,
    domain::{
        id::TenantId,
        secret::KeyRing,
        terms::{FeatureValues, PlanTerms},
        trial::TrialPolicy,
    },
};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};
use std::net::IpAddr;
use uuid::Uuid;

/// Somebody of the vendor asks, and of no organization.
#[derive(Clone, Debug)]
pub struct StaffAct {
    /// Who, at the staff's identity provider.
    pub subject: String,
    /// The verified address.
    pub email: String,
    /// From where, as far as it is known.
    pub from: Option<IpAddr>,
    /// The request's id, which its log lines carry too.
    pub request_id: Option<String>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRow {
    /// What it is called, for good.
    pub name: String,
    /// Where it is in the list.
    pub id: Uuid,
    /// What it gives.
    pub terms: PlanTerms,
    /// Rises with every edit.
    pub version: i64,
}

/// A product of the vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductRow {
    /// What it is called, for good.
    pub name: String,
    /// Where it is in the list.
    pub id: Uuid,
    /// The plan of the license that a registration for it gets.
    pub registration_plan: String,
    /// Whether a registration that names no product gets this one.
    pub is_default: bool,
    /// How many trials of it are given.
    pub trials: TrialPolicy,
    /// Rises with every edit.
    pub version: i64,
}

/// What is there after a PUT, and whether it was made by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsertedRow<T> {
    /// The thing.
    pub is: T,
    /// False: it was there before.
    pub made: bool,
}

pub(super) const NO_PLAN: &str = "is not a plan of this server";
pub(super) const TOO_LARGE: &str = "must be at most 3 KiB as JSON text";
const ONE_DEFAULT: &str = "A registration that names no product needs a default. Make another product the default \
    first; this one then is it no more.";

const PLAN: &str = "plan, plan_id, tier, seats, trial_days, features, offline_policy, grace_hours,
    grace_after_heartbeats, grace_beyond_seats, holder_by, processes_per_seat, version";
const PRODUCT: &str = "product, product_id, registration_plan, is_default, trials, version";

impl Records {
    /// The vendor's plans, the newest first.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn plans(&self, page: PageRequest) -> Result<ListedRows<PlanRow>> {
        let sql = format!("select {PLAN} from catalog.plans where plan_id < $1 order by plan_id desc limit $2");
        let rows = self.page_of(sql, page).await?;
        page.cut(rows, |plan: &PlanRow| plan.id, plan)
    }

    /// A plan. `None`: there is none of that name.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn plan(&self, name: &str) -> Result<Option<PlanRow>> {
        let mut connection = self.repeat(|pool| async move { pool.acquire().await }).await?;
        read_plan(&mut connection, name, "").await
    }

    /// Makes a plan, or replaces all of it. Licenses made from it stay as they are. `version`: only if it is there and
    /// still is this one.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn put_plan(
        &self,
        act: &StaffAct,
        name: &str,
        terms: &PlanTerms,
        version: Option<i64>,
    ) -> ChangeResult<UpsertedRow<PlanRow>> {
        let mut transaction = self.repeat(|pool| async move { pool.begin().await }).await?;
        let sql = &mut *transaction;
        if !features_fit(sql, &terms.features).await? {
            return Ok(Err(ChangeRefusal::Invalid("features", TOO_LARGE)));
        }
        let before = read_plan(sql, name, "for update").await?;
        match &before {
            None if version.is_some() => return Ok(Err(ChangeRefusal::Stale)),
            Some(plan) if version.is_some_and(|version| version != plan.version) => {
                return Ok(Err(ChangeRefusal::Stale));
            }
            Some(plan) if plan.terms == *terms => return Ok(Ok(UpsertedRow { is: plan.clone(), made: false })),
            _ => {}
        }
        write_plan(sql, name, terms).await?;
        let Some(is) = read_plan(sql, name, "").await? else { return Err(vanished()) };
        let done = if before.is_some() { "plan.replaced" } else { "plan.created" };
        let known = before.as_ref().map(|plan| &plan.terms);
        let peppers = self.peppers.as_deref();
        log(sql, act, peppers, done, name, json(&known)?, json(&is.terms)?).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Ok(UpsertedRow { is, made: before.is_none() }))
    }

    /// The vendor's products, the newest first.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn products(&self, page: PageRequest) -> Result<ListedRows<ProductRow>> {
        let sql =
            format!("select {PRODUCT} from catalog.products where product_id < $1 order by product_id desc limit $2");
        let rows = self.page_of(sql, page).await?;
        page.cut(rows, |product: &ProductRow| product.id, product)
    }

    /// A product. `None`: there is none of that name.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn product(&self, name: &str) -> Result<Option<ProductRow>> {
        let mut connection = self.repeat(|pool| async move { pool.acquire().await }).await?;
        read_product(&mut connection, name).await
    }

    /// Makes a product, or replaces all of it; who becomes the default takes that from the one before. `version` as for
    /// plans.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn put_product(
        &self,
        act: &StaffAct,
        name: &str,
        registration_plan: &str,
        is_default: bool,
        trials: TrialPolicy,
        version: Option<i64>,
    ) -> ChangeResult<UpsertedRow<ProductRow>> {
        let mut transaction = self.repeat(|pool| async move { pool.begin().await }).await?;
        let sql = &mut *transaction;
        // All of them, since the default moves: two that are made the default at once come one after the other.
        sqlx::query("select 1 from catalog.products order by product for update")
            .execute(&mut *sql)
            .await
            .map_err(failed)?;
        let before = read_product(sql, name).await?;
        match &before {
            None if version.is_some() => return Ok(Err(ChangeRefusal::Stale)),
            Some(is) if version.is_some_and(|version| version != is.version) => return Ok(Err(ChangeRefusal::Stale)),
            Some(is) if is.is_default && !is_default => return Ok(Err(ChangeRefusal::Conflict(ONE_DEFAULT))),
            Some(is)
                if (&*is.registration_plan, is.is_default, is.trials) == (registration_plan, is_default, trials) =>
            {
                return Ok(Ok(UpsertedRow { is: is.clone(), made: false }));
            }
            _ => {}
        }
        if read_plan(sql, registration_plan, "").await?.is_none() {
            return Ok(Err(ChangeRefusal::Invalid("registration_plan", NO_PLAN)));
        }
        write_product(sql, name, registration_plan, is_default, trials).await?;
        let Some(is) = read_product(sql, name).await? else { return Err(vanished()) };
        let done = if before.is_some() { "product.replaced" } else { "product.created" };
        let peppers = self.peppers.as_deref();
        log(sql, act, peppers, done, name, product_json(before.as_ref()), product_json(Some(&is))).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Ok(UpsertedRow { is, made: before.is_none() }))
    }

    async fn page_of(&self, sql: String, page: PageRequest) -> Result<Vec<PgRow>> {
        let sql = &sql;
        self.repeat(|pool| async move {
            let query = sqlx::query(sqlx::AssertSqlSafe(sql.as_str()));
            query.bind(page.below()).bind(page.fetch()).fetch_all(&pool).await
        })
        .await
    }
}

fn vanished() -> Error {
    Error::Internal("what was just written is not there".into())
}

fn json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::internal("terms cannot be written down", e))
}

fn product_json(product: Option<&ProductRow>) -> Value {
    product.map_or(
        Value::Null,
        |it| json!({ "registration_plan": it.registration_plan, "is_default": it.is_default, "trials": it.trials }),
    )
}

/// Whether features are as small as the tables ask: they are part of what every heartbeat carries. PostgreSQL's own
/// spelling counts.
pub(super) async fn features_fit(sql: &mut PgConnection, features: &FeatureValues) -> Result<bool> {
    sqlx::query_scalar("select octet_length($1::jsonb::text) <= 3072")
        .bind(Json(features))
        .fetch_one(sql)
        .await
        .map_err(failed)
}

/// A plan by its name. `lock`: nothing, or `for update`.
pub(super) async fn read_plan(sql: &mut PgConnection, name: &str, lock: &'static str) -> Result<Option<PlanRow>> {
    let text = format!("select {PLAN} from catalog.plans where plan = $1 {lock}");
    let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(sql).await.map_err(failed)?;
    row.map(|row| plan(&row)).transpose().map_err(failed)
}

pub(super) async fn read_product(sql: &mut PgConnection, name: &str) -> Result<Option<ProductRow>> {
    let text = format!("select {PRODUCT} from catalog.products where product = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(sql).await.map_err(failed)?;
    row.map(|row| product(&row)).transpose().map_err(failed)
}

async fn write_plan(sql: &mut PgConnection, name: &str, terms: &PlanTerms) -> Result<()> {
    // Two that make it at once: the second replaces, as if it had come later.
    let text = "insert into catalog.plans as p (plan, tier, seats, trial_days, features, offline_policy, grace_hours,
                  grace_after_heartbeats, grace_beyond_seats, holder_by, processes_per_seat)
                values ($1, $2, $3, $4, $5, $6, $7, $10, $11, $8, $9)
                on conflict (plan) do update set tier = excluded.tier, seats = excluded.seats, trial_days = \
                excluded.trial_days,
                  features = excluded.features, offline_policy = excluded.offline_policy, grace_hours = \
                  excluded.grace_hours,
                  grace_after_heartbeats = excluded.grace_after_heartbeats, grace_beyond_seats = \
                  excluded.grace_beyond_seats,
                  holder_by = excluded.holder_by, processes_per_seat = excluded.processes_per_seat, version = \
                  p.version + 1";
    sqlx::query(text)
        .bind(name)
        .bind(&terms.tier)
        .bind(terms.seats as i32)
        .bind(terms.trial_days.map(|days| days as i32))
        .bind(Json(&terms.features))
        .bind(terms.offline_policy.as_str())
        .bind(terms.grace_hours as i32)
        .bind(terms.holder_by.as_str())
        .bind(terms.processes_per_seat as i32)
        .bind(terms.grace_after_heartbeats as i32)
        .bind(terms.grace_beyond_seats.map(|machines| machines as i32))
        .execute(sql)
        .await
        .map(drop)
        .map_err(failed)
}

async fn write_product(
    sql: &mut PgConnection,
    name: &str,
    plan: &str,
    is_default: bool,
    trials: TrialPolicy,
) -> Result<()> {
    if is_default {
        let text =
            "update catalog.products set is_default = false, version = version + 1 where is_default and product <> $1";
        sqlx::query(text).bind(name).execute(&mut *sql).await.map_err(failed)?;
    }
    let text = "insert into catalog.products as p (product, registration_plan, is_default, trials) values ($1, $2, \
        $3, $4)
                on conflict (product) do update
                set registration_plan = excluded.registration_plan, is_default = excluded.is_default, trials = \
                excluded.trials,
                  version = p.version + 1";
    let write = sqlx::query(text).bind(name).bind(plan).bind(is_default).bind(Json(trials));
    write.execute(sql).await.map(drop).map_err(failed)
}

/// Writes into the staff's log what is being done, and seals it; the last thing in its transaction, as in the log of an
/// organization.
pub(super) async fn log(
    sql: &mut PgConnection,
    act: &StaffAct,
    peppers: Option<&KeyRing>,
    action: &str,
    target: &str,
    before: Value,
    after: Value,
) -> Result<()> {
    let row = sqlx::query("select seq, hash from history.staff_append($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(&act.subject)
        .bind(&act.email)
        .bind(action)
        .bind(target)
        .bind(before)
        .bind(after)
        .bind(act.from.map(|from| from.to_string()))
        .bind(&act.request_id)
        .fetch_one(&mut *sql)
        .await
        .map_err(failed)?;
    let Some(peppers) = peppers else { return Ok(()) };
    let (seq, hash): (i64, Vec<u8>) = (row.try_get("seq").map_err(failed)?, row.try_get("hash").map_err(failed)?);
    let seal = chain::seal(peppers, TenantId(Uuid::nil()), seq, &hash);
    sqlx::query("select history.staff_seal($1, $2)").bind(seq).bind(seal).execute(sql).await.map(drop).map_err(failed)
}

fn plan(row: &PgRow) -> sqlx::Result<PlanRow> {
    Ok(PlanRow {
        name: row.try_get("plan")?,
        id: row.try_get("plan_id")?,
        terms: PlanTerms {
            trial_days: row.try_get::<Option<i32>, _>("trial_days")?.map(|days| days as u32),
            ..terms(row)?
        },
        version: row.try_get("version")?,
    })
}

/// What plans and licenses have in common, by columns of the same names; no trial.
pub(super) fn terms(row: &PgRow) -> sqlx::Result<PlanTerms> {
    Ok(PlanTerms {
        tier: row.try_get("tier")?,
        seats: row.try_get::<i32, _>("seats")? as u32,
        trial_days: None,
        features: row.try_get::<Json<FeatureValues>, _>("features")?.0,
        offline_policy: word(row, "offline_policy")?,
        grace_hours: row.try_get::<i32, _>("grace_hours")? as u32,
        grace_after_heartbeats: row.try_get::<i32, _>("grace_after_heartbeats")? as u32,
        grace_beyond_seats: row.try_get::<Option<i32>, _>("grace_beyond_seats")?.map(|machines| machines as u32),
        holder_by: word(row, "holder_by")?,
        processes_per_seat: row.try_get::<i32, _>("processes_per_seat")? as u32,
    })
}

fn product(row: &PgRow) -> sqlx::Result<ProductRow> {
    Ok(ProductRow {
        name: row.try_get("product")?,
        id: row.try_get("product_id")?,
        registration_plan: row.try_get("registration_plan")?,
        is_default: row.try_get("is_default")?,
        trials: row.try_get::<Json<TrialPolicy>, _>("trials")?.0,
        version: row.try_get("version")?,
    })
}

/// A column that holds one of a few words.
pub(super) fn word<T>(row: &PgRow, column: &str) -> sqlx::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<String, _>(column)?.parse().map_err(|e| sqlx::Error::Decode(Box::new(e)))
}

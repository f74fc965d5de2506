//! The vendor's plans and products, which belong to no organization.

use super::{
    change::AuditedChange,
    connect::Records,
    page::{ListedRows, PageRequest},
    row::{count, optional_count, word},
};
use crate::{
    Result,
    domain::{
        terms::{FeatureValues, HolderPolicies, PlanTerms},
        trial::TrialPolicy,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};
use uuid::Uuid;

/// A plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// What it is called, for good.
    pub name: String,
    /// Where it is in the list.
    pub id: Uuid,
    /// What the vendor says of it.
    pub settings: ProductSettings,
    /// Rises with every edit.
    pub version: i64,
}

/// What the vendor says of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductSettings {
    /// The plan of the license that a registration for it gets.
    pub registration_plan: String,
    /// Whether a registration that names no product gets this one.
    pub is_default: bool,
    /// How many trials of it are given.
    pub trials: TrialPolicy,
}

const PLAN: &str = "plan, plan_id, tier, seats, trial_days, features, offline_policy, grace_hours,
    grace_after_heartbeats, grace_beyond_seats, holder_by, processes_per_seat, version";
const PRODUCT: &str = "product, product_id, registration_plan, is_default, trials, version";

impl Records {
    /// The vendor's plans, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn plans(&self, page: PageRequest) -> Result<ListedRows<PlanRow>> {
        let sql = format!(
            "-- plans
             select {PLAN} from catalog.plans where plan_id < $1 order by plan_id desc limit $2"
        );
        let rows = self.page_of(sql, page).await?;
        page.cut(rows, |plan: &PlanRow| plan.id, plan)
    }

    /// A plan. `None`: there is none of that name.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn plan(&self, name: &str) -> Result<Option<PlanRow>> {
        let mut connection = self.repeat(|pool| async move { pool.acquire().await }).await?;
        read_plan(&mut connection, name, "").await
    }

    /// The vendor's products, the newest first.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn products(&self, page: PageRequest) -> Result<ListedRows<ProductRow>> {
        let sql = format!(
            "-- products
             select {PRODUCT} from catalog.products where product_id < $1 order by product_id desc limit $2"
        );
        let rows = self.page_of(sql, page).await?;
        page.cut(rows, |product: &ProductRow| product.id, product)
    }

    /// A product. `None`: there is none of that name.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn product(&self, name: &str) -> Result<Option<ProductRow>> {
        let mut connection = self.repeat(|pool| async move { pool.acquire().await }).await?;
        read_product(&mut connection, name).await
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

impl AuditedChange<'_> {
    /// Whether features are as small as the tables demand: they are part of what every heartbeat carries. PostgreSQL's
    /// own spelling counts.
    pub(crate) async fn features_fit(&mut self, features: &FeatureValues) -> Result<bool> {
        let sql = "-- features_fit
            select octet_length($1::jsonb::text) <= 3072";
        Ok(sqlx::query_scalar(sql).bind(Json(features)).fetch_one(self.sql()).await?)
    }

    /// A plan by its name. `None`: there is none.
    pub(crate) async fn plan(&mut self, name: &str) -> Result<Option<PlanRow>> {
        read_plan(self.sql(), name, "").await
    }

    /// The same, locked.
    pub(crate) async fn lock_plan(&mut self, name: &str) -> Result<Option<PlanRow>> {
        read_plan(self.sql(), name, "for update").await
    }

    /// Writes a plan: a new one, or all of one that is there. Of two transactions that make it at once, the second one
    /// replaces it, as if it had come later.
    pub(crate) async fn upsert_plan(&mut self, name: &str, terms: &PlanTerms) -> Result<()> {
        let sql = "-- upsert_plan
            insert into catalog.plans as p (plan, tier, seats, trial_days, features, offline_policy, grace_hours,
              grace_after_heartbeats, grace_beyond_seats, holder_by, processes_per_seat)
            values ($1, $2, $3, $4, $5, $6, $7, $10, $11, $8, $9)
            on conflict (plan) do update set
              tier = excluded.tier, seats = excluded.seats, trial_days = excluded.trial_days,
              features = excluded.features, offline_policy = excluded.offline_policy,
              grace_hours = excluded.grace_hours, grace_after_heartbeats = excluded.grace_after_heartbeats,
              grace_beyond_seats = excluded.grace_beyond_seats, holder_by = excluded.holder_by,
              processes_per_seat = excluded.processes_per_seat, version = p.version + 1";
        let policies = &terms.policies;
        sqlx::query(sql)
            .bind(name)
            .bind(&terms.tier)
            .bind(terms.seats as i32)
            .bind(terms.trial_days.map(|days| days as i32))
            .bind(Json(&terms.features))
            .bind(policies.offline_policy.as_str())
            .bind(policies.grace_hours as i32)
            .bind(policies.holder_by.as_str())
            .bind(policies.processes_per_seat as i32)
            .bind(policies.grace_after_heartbeats as i32)
            .bind(policies.grace_beyond_seats.map(|machines| machines as i32))
            .execute(self.sql())
            .await?;
        Ok(())
    }

    /// A product by its name. `None`: there is none.
    pub(crate) async fn product(&mut self, name: &str) -> Result<Option<ProductRow>> {
        read_product(self.sql(), name).await
    }

    /// Locks every product, since the default moves from one to another: two that are made the default at once come one
    /// after the other.
    pub(crate) async fn lock_products(&mut self) -> Result<()> {
        let sql = "-- lock_products
            select 1 from catalog.products order by product for update";
        sqlx::query(sql).execute(self.sql()).await?;
        Ok(())
    }

    /// Writes that no product but this one is the default.
    pub(crate) async fn unset_other_defaults(&mut self, name: &str) -> Result<()> {
        let sql = "-- unset_other_defaults
            update catalog.products set is_default = false, version = version + 1 where is_default and product <> $1";
        sqlx::query(sql).bind(name).execute(self.sql()).await?;
        Ok(())
    }

    /// Writes a product: a new one, or all of one that is there.
    pub(crate) async fn upsert_product(&mut self, name: &str, product: &ProductSettings) -> Result<()> {
        let sql = "-- upsert_product
            insert into catalog.products as p (product, registration_plan, is_default, trials) values ($1, $2, $3, $4)
            on conflict (product) do update set registration_plan = excluded.registration_plan,
              is_default = excluded.is_default, trials = excluded.trials, version = p.version + 1";
        let query = sqlx::query(sql).bind(name).bind(&product.registration_plan).bind(product.is_default);
        query.bind(Json(product.trials)).execute(self.sql()).await?;
        Ok(())
    }
}

async fn read_plan(sql: &mut PgConnection, name: &str, lock: &'static str) -> Result<Option<PlanRow>> {
    let text = format!(
        "-- plan
         select {PLAN} from catalog.plans where plan = $1 {lock}"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(sql).await?;
    Ok(row.map(|row| plan(&row)).transpose()?)
}

async fn read_product(sql: &mut PgConnection, name: &str) -> Result<Option<ProductRow>> {
    let text = format!(
        "-- product
         select {PRODUCT} from catalog.products where product = $1"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(name).fetch_optional(sql).await?;
    Ok(row.map(|row| product(&row)).transpose()?)
}

fn plan(row: &PgRow) -> sqlx::Result<PlanRow> {
    Ok(PlanRow {
        name: row.try_get("plan")?,
        id: row.try_get("plan_id")?,
        terms: PlanTerms { trial_days: optional_count(row, "trial_days")?, ..terms(row)? },
        version: row.try_get("version")?,
    })
}

/// What plans and licenses have in common, by columns of the same names; no trial.
pub(super) fn terms(row: &PgRow) -> sqlx::Result<PlanTerms> {
    Ok(PlanTerms {
        tier: row.try_get("tier")?,
        seats: count(row, "seats")?,
        trial_days: None,
        features: row.try_get::<Json<FeatureValues>, _>("features")?.0,
        policies: HolderPolicies {
            offline_policy: word(row, "offline_policy")?,
            grace_hours: count(row, "grace_hours")?,
            grace_after_heartbeats: count(row, "grace_after_heartbeats")?,
            grace_beyond_seats: optional_count(row, "grace_beyond_seats")?,
            holder_by: word(row, "holder_by")?,
            processes_per_seat: count(row, "processes_per_seat")?,
        },
    })
}

fn product(row: &PgRow) -> sqlx::Result<ProductRow> {
    Ok(ProductRow {
        name: row.try_get("product")?,
        id: row.try_get("product_id")?,
        settings: ProductSettings {
            registration_plan: row.try_get("registration_plan")?,
            is_default: row.try_get("is_default")?,
            trials: row.try_get::<Json<TrialPolicy>, _>("trials")?.0,
        },
        version: row.try_get("version")?,
    })
}

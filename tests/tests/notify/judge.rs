//! Alert rules of the world's organization, minutes that are told of its pool, and time that passes.

use crate::endpoint::Endpoint;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use uuid::Uuid;

/// What was told of one minute: seats held of ten, and wants that were refused.
pub(crate) type Told = (i32, i64);

impl Endpoint {
    /// Without the rules that an organization begins with.
    pub(crate) async fn without_rules() -> Self {
        let endpoint = Self::new().await;
        endpoint.run("delete from alert_rules").await;
        endpoint
    }

    pub(crate) async fn run(&self, sql: &str) {
        // As whoever changes something: for an organization.
        let sql = format!("select set_config('app.tenant_id', '{}', false); {sql}", self.tenant());
        self.truth().await.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// A rule whose mails go to owners; `numbers` are its columns and their values.
    pub(crate) async fn rule(&self, kind: &str, numbers: &str) -> Uuid {
        let (columns, values) = numbers.split_once(" = ").unwrap_or_default();
        let comma = if columns.is_empty() { "" } else { ", " };
        let sql = format!(
            "insert into alert_rules (tenant_id, rule_id, kind, mail_roles, created_by{comma}{columns})
             values ($1, uuid_v7(), '{kind}', array['owner'], 'a test'{comma}{values}) returning rule_id"
        );
        let made = sqlx::query_scalar(AssertSqlSafe(sql)).bind(self.tenant().0);
        made.fetch_one(&mut self.truth().await).await.unwrap()
    }

    /// Tells minutes of the pool, each after the other; the last is the one before the present minute.
    pub(crate) async fn told(&self, minutes: &[Told]) {
        let told: Vec<Value> = (1..)
            .zip(minutes)
            .map(|(at, (held, refused))| {
                json!({ "back": minutes.len() + 1 - at, "count": 1, "held": held, "peak": held, "total": 10,
                    "denied": refused, "refused": refused, "seen": true })
            })
            .collect();
        let sql = "select record_usage(p.tenant_id, p.pool_id, (
              select jsonb_agg(t.told || jsonb_build_object('minute',
                extract(epoch from now())::bigint / 60 - (t.told->>'back')::bigint))
              from jsonb_array_elements($2) t (told)))
            from pools p where p.tenant_id = $1";
        let written: i32 = sqlx::query_scalar(sql)
            .bind(self.tenant().0)
            .bind(json!(told))
            .fetch_one(&mut self.truth().await)
            .await
            .unwrap();
        assert_eq!(written as usize, minutes.len(), "each is new");
    }

    /// Time passes: what was told and what is to be looked at lies so many minutes further back.
    pub(crate) async fn pass(&self, minutes: i64) {
        let sql = "update usage_minutes set at = at - interval '$M minutes';
            update pools set counted_minute = counted_minute - $M where counted_minute > 0;
            update alerts set last_at = last_at - interval '$M minutes';
            update alert_rules set look_at = look_at - interval '$M minutes'";
        self.run(&sql.replace("$M", &minutes.to_string())).await;
    }

    /// A minute passes, in which so much was used, and the next tick comes.
    pub(crate) async fn minute(&self, told: Told) {
        self.pass(1).await;
        self.told(&[told]).await;
        self.tick().await;
    }

    /// How many alerts were raised and ended, by the events that say so.
    pub(crate) async fn alerts(&self) -> (i64, i64) {
        (self.events("alert.raised").await, self.events("alert.ended").await)
    }

    /// The payloads of the events of this kind, in their order.
    pub(crate) async fn payloads(&self, kind: &str) -> Vec<Value> {
        let sql = "select payload from outbox where kind = $1 order by id";
        sqlx::query_scalar(sql).bind(kind).fetch_all(&mut self.truth().await).await.unwrap()
    }

    /// Why the last alert ended.
    pub(crate) async fn ended_by(&self) -> String {
        let sql =
            "select end_reason from alerts where ended_at is not null order by ended_at desc, alert_id desc limit 1";
        sqlx::query_scalar(sql).fetch_one(&mut self.truth().await).await.unwrap()
    }
}

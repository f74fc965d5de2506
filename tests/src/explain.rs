//! What PostgreSQL reads for a request, by its own account.
//!
//! `auto_explain` sends the plan of each statement as a notice, with the blocks that the statement touched. So the
//! tests look at the SQL itself, prepared and planned as the service has it.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use tracing::{Event, Subscriber, field::Visit, subscriber::DefaultGuard};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// A statement that ran.
#[derive(Debug)]
pub struct Ran {
    pub text: String,
    /// Shared blocks that were hit or read.
    pub blocks: i64,
    pub ms: f64,
    /// Shown where it read too much.
    pub plan: Value,
}

/// Listens, on this thread, to what PostgreSQL says of the statements of a database.
pub struct Plans {
    heard: Arc<Mutex<Vec<String>>>,
    _listening: DefaultGuard,
}

impl Ran {
    /// Rows and index entries that were looked at, those that were not wanted among them.
    pub fn looked_at(&self) -> i64 {
        looked_at(&self.plan)
    }
}

fn looked_at(node: &Value) -> i64 {
    let number = |key: &str| node[key].as_f64().unwrap_or(0.0) as i64;
    // Where a parent only brings the rows of its parts together, they are counted there.
    let own = match node["Node Type"].as_str() {
        Some(kind) if kind.ends_with("Scan") && kind != "Subquery Scan" && kind != "CTE Scan" => {
            (number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck"))
                * number("Actual Loops")
        }
        _ => 0,
    };
    own + node["Plans"].as_array().into_iter().flatten().map(looked_at).sum::<i64>()
}

impl Plans {
    /// As [`Plans::of`], and hears of the statements inside functions and triggers too, each on its own.
    pub async fn nested(database: &PgConnectOptions) -> Self {
        let mut truth = PgConnection::connect_with(database).await.unwrap();
        let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut truth).await.unwrap();
        let nested = format!("alter database {name} set auto_explain.log_nested_statements = on");
        truth.execute("load 'auto_explain'").await.unwrap();
        truth.execute(AssertSqlSafe(nested)).await.unwrap();
        Self::of(database).await
    }

    pub async fn of(database: &PgConnectOptions) -> Self {
        let mut truth = PgConnection::connect_with(database).await.unwrap();
        truth.execute("load 'auto_explain'").await.unwrap();
        let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut truth).await.unwrap();
        for setting in [
            "session_preload_libraries = auto_explain",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_buffers = on",
            "auto_explain.log_format = json",
            "auto_explain.log_level = notice",
        ] {
            truth.execute(AssertSqlSafe(format!("alter database {name} set {setting}"))).await.unwrap();
        }
        // It counts for new connections: who serves makes some when it finds its own gone.
        let end = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename in ('service', 'reaper', 'notify', 'admin')";
        truth.execute(end).await.unwrap();
        let heard = Arc::default();
        let listener = tracing_subscriber::registry().with(Listener(Arc::clone(&heard)));
        Self { heard, _listening: tracing::subscriber::set_default(listener) }
    }

    /// What ran since the last time.
    pub fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut *self.heard.lock().unwrap()).iter().filter_map(|notice| ran(notice)).collect()
    }
}

/// `duration: 0.123 ms  plan:` and the plan as JSON.
fn ran(notice: &str) -> Option<Ran> {
    let (ms, plan) = notice.strip_prefix("duration: ")?.split_once(" ms  plan:")?;
    let plan: Value = serde_json::from_str(plan).unwrap();
    let blocks = |kind: &str| plan["Plan"][kind].as_i64().unwrap();
    Some(Ran {
        text: plan["Query Text"].as_str().unwrap().to_owned(),
        blocks: blocks("Shared Hit Blocks") + blocks("Shared Read Blocks"),
        ms: ms.parse().unwrap(),
        plan: plan["Plan"].clone(),
    })
}

struct Listener(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::postgres::notice" {
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push(message.0);
        }
    }
}

struct Message(String);

impl Visit for Message {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "message" {
            self.0 = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

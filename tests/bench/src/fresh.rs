//! acquire and release on a database of the first day: never analyzed, and asked since its tables were empty; beside the same database
//! analyzed. The other parts run on a database with a past, which hides what plans are made without one.

use crate::{
    Part, Size, acquire,
    function::Function,
    http::Connection,
    reached::shown,
    stage::{Pool, Stage},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection};
use std::{fmt::Write, time::Duration};
use uuid::Uuid;

const CLIENTS: usize = 16;
/// Seats a pool gets in one request: more at once may take longer than a request may.
const AT_ONCE: u32 = 25_000;

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let mut text = format!(
        "{CLIENTS} clients, each a machine; commits durable; {} turns, by turns on two new databases\n\n\
         | seats | never analyzed: acquire + release per second | in its first turn | in its last | analyzed before each turn | in its last | never analyzed ÷ analyzed | \
         index entries and rows read per acquire and release: never analyzed | analyzed |\n|---|---|---|---|---|---|---|---|---|\n",
        size.turns
    );
    let (mut all, mut least) = (Vec::new(), f64::INFINITY);
    for seats in [100].into_iter().chain(size.seats.iter().copied()) {
        let mut days = [Day::first(stage, "fresh_never_analyzed").await, Day::first(stage, "fresh_analyzed").await];
        for day in &mut days {
            // With the five seats of a first registration: connections have made their plans when the pool grows.
            day.turn(1, size.time / 24).await;
            day.resize(stage, seats).await;
        }
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..size.turns {
            rates[0].push(days[0].turn(CLIENTS, size.time / 2 / size.turns).await);
            days[1].sql.execute("analyze").await.unwrap();
            rates[1].push(days[1].turn(CLIENTS, size.time / 2 / size.turns).await);
        }
        let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
        let [never, analyzed] = [mean(&rates[0]), mean(&rates[1])];
        let refused: u64 = days.iter().map(|day| day.refused).sum();
        let mut read = [0.0; 2];
        for (read, day) in read.iter_mut().zip(days) {
            *read = day.end(stage).await;
        }
        let ratio = never / analyzed;
        least = least.min(ratio);
        let (first, last, last_analyzed) = (rates[0][0], rates[0].last().unwrap(), rates[1].last().unwrap());
        let shown_refused = if refused > 0 { format!(" ({refused} refused)") } else { String::new() };
        let _ = writeln!(
            text,
            "| {seats}{shown_refused} | {never:.0} | {first:.0} | {last:.0} | {analyzed:.0} | {last_analyzed:.0} | **{ratio:.2}** | {:.0} | {:.0} |",
            read[0], read[1]
        );
        all.push(json!({
            "seats": seats, "never_analyzed_per_second": rates[0], "analyzed_per_second": rates[1], "ratio": ratio,
            "read_per_turn": { "never_analyzed": read[0], "analyzed": read[1] }, "refused": refused,
        }));
    }
    let _ = writeln!(text, "\nleast ratio: **{}** (to hold: ≥ 0.90)", shown(Some(least)));
    Part { text, json: json!({ "clients": CLIENTS, "sizes": Value::Array(all), "least_ratio": least }) }
}

/// A database of its own on its first day, and the functions that serve it.
struct Day {
    name: &'static str,
    sql: PgConnection,
    functions: [Function; 2],
    admin_url: String,
    pool: Pool,
    license: Uuid,
    refused: u64,
    /// Acquires and releases since the pool has its size.
    turns: u64,
    /// Index entries and rows that had been read by then.
    counted: i64,
}

impl Day {
    async fn first(stage: &mut Stage, name: &'static str) -> Self {
        stage.sql.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await.unwrap();
        stage.sql.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        let database = stage.postgres.superuser().database(name);
        license_core::records::migrate(&database).await.expect("the schema is made");
        let mut sql = PgConnection::connect_with(&database).await.unwrap();
        // Whether it comes in the middle is chance.
        let no_autovacuum = "
            do $$
            declare t text;
            begin
              for t in select oid::regclass::text from pg_class
                where relkind = 'r' and relnamespace in ('public'::regnamespace, 'history'::regnamespace, 'directory'::regnamespace) loop
                execute 'alter table ' || t || ' set (autovacuum_enabled = off)';
              end loop;
            end $$";
        sql.execute(no_autovacuum).await.unwrap();
        let pool = stage.register(&database).await;
        let query = sqlx::query_scalar("select license_id from licenses where tenant_id = $1").bind(pool.tenant.0);
        let license = query.fetch_one(&mut sql).await.unwrap();
        let url = stage.postgres.url("service").replace(license_local::stores::DATABASE, name);
        let more = [("DATABASE_URL", url.as_str())];
        let functions =
            [Function::start(stage, "acquire", &more).await, Function::start(stage, "release", &more).await];
        let admin_url = url.replace("service@", "admin@");
        Self { name, sql, functions, admin_url, pool, license, refused: 0, turns: 0, counted: 0 }
    }

    /// Staff sells more seats, as many at a time as a request manages.
    async fn resize(&mut self, stage: &Stage, seats: u32) {
        let (tenant, license, staff) = (self.pool.tenant, self.license, stage.peers.staff_token());
        let admin = Function::start(stage, "admin", &[("DATABASE_URL", self.admin_url.as_str())]).await;
        let mut connection = Connection::open(admin.address).await.unwrap();
        let mut total = 0;
        while total < seats {
            total = seats.min(total + AT_ONCE);
            let body = json!({ "seats": total }).to_string();
            let request = format!(
                "PATCH /api/v1/organizations/{tenant}/licenses/{license} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {staff}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let answer = connection.ask(request.as_bytes()).await.unwrap();
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
        }
        drop(admin);
        gone(&mut self.sql, "admin").await;
        (self.counted, self.turns) = (read(&mut self.sql).await, 0);
    }

    /// Acquires and releases per second.
    async fn turn(&mut self, clients: usize, time: Duration) -> f64 {
        let [acquire, release] = &self.functions;
        let ([taken, given], took) = acquire::pairs([acquire, release], clients, time, &self.pool).await;
        self.refused += taken.refused + given.refused;
        self.turns += taken.count();
        taken.count() as f64 / took.as_secs_f64()
    }

    /// What was read per acquire and release.
    async fn end(self, stage: &mut Stage) -> f64 {
        let Self { functions, mut sql, name, turns, counted, .. } = self;
        drop(functions);
        gone(&mut sql, "service").await;
        let read = read(&mut sql).await - counted;
        drop(sql);
        stage.sql.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();
        read as f64 / turns as f64
    }
}

/// Index entries, and rows without an index, that were read: a connection has told it all when it has ended.
async fn read(sql: &mut PgConnection) -> i64 {
    let query = "select ((select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes)
      + (select coalesce(sum(seq_tup_read), 0) from pg_stat_user_tables))::bigint";
    sqlx::query_scalar(query).fetch_one(sql).await.unwrap()
}

/// Until this role has no connection any more.
async fn gone(sql: &mut PgConnection, role: &str) {
    let query = "select exists (select from pg_stat_activity where datname = current_database() and usename = $1)";
    while sqlx::query_scalar(query).bind(role).fetch_one(&mut *sql).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! What everything is measured on: stores of its own, durable as in production, the keys of the services, and the other
//! servers that they use.

use crate::peers::Peers;
use license_core::{
    domain::{
        handle::SessionHandle,
        id::{Attempt, ClientPart, Holder, Hw, LicenseNumber, PoolId, PoolName, SessionId, TenantId},
        key::LicenseKey,
        secret::KeyRing,
    },
    management::{Management, NewOrganization, RegistrationResult},
    records::{self, DatabaseRole, Records, VerifiedPerson},
    seat_store::PoolKey,
    signer::local::LocalRoot,
};
use license_local::stores::{PostgresServer, PostgresSettings, RedisServer, RedisSettings, clean};
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use uuid::Uuid;

/// Everything the functions need to run, and what looks behind them.
pub(crate) struct Stage {
    pub(crate) postgres: PostgresServer,
    pub(crate) redis: RedisServer,
    pub(crate) target: PathBuf,
    stores: PathBuf,
    /// Superuser: for making rows by the hundred thousand.
    pub(crate) sql: PgConnection,
    pub(crate) cache: MultiplexedConnection,
    /// A root key in a file.
    pub(crate) root: PathBuf,
    pub(crate) peers: Peers,
    made: u32,
    started: AtomicU64,
}

/// A license with one pool of seats counted by machine.
pub(crate) struct Pool {
    pub(crate) key: LicenseKey,
    pub(crate) tenant: TenantId,
    pub(crate) number: LicenseNumber,
    pub(crate) pool: PoolId,
}

/// Somebody who holds a seat.
pub(crate) struct Held {
    pub(crate) seat: u32,
    pub(crate) session: SessionId,
    /// The bearer string of the session.
    pub(crate) handle: String,
}

const HANDLE_KEY: [u8; 32] = [1; 32];
const PEPPER: [u8; 32] = [2; 32];

impl Stage {
    /// Empty stores in `postgres` and `redis` below `dir`.
    pub(crate) async fn build(target: &Path, dir: &Path) -> Self {
        let (postgres_dir, redis_dir, root) = (dir.join("postgres"), dir.join("redis"), target.join("bench/root.pem"));
        for dir in [&postgres_dir, &redis_dir] {
            clean(dir).await.expect("what an earlier run left can be removed");
        }
        std::fs::create_dir_all(dir).unwrap();
        std::fs::create_dir_all(target.join("bench")).unwrap();
        let (postgres, redis, key) = tokio::join!(
            PostgresServer::start(&postgres_dir, PostgresSettings::default()),
            RedisServer::start(&redis_dir, RedisSettings::default()),
            LocalRoot::open(&root),
        );
        let (postgres, redis) = (postgres.expect("PostgreSQL starts"), redis.expect("Redis starts"));
        key.expect("the root key is made");
        records::migrate(&postgres.superuser()).await.expect("the schema is made");
        let sql = PgConnection::connect_with(&postgres.superuser()).await.unwrap();
        let peers = Peers::serve(&target.join("bench")).await;
        let client = redis::Client::open(redis.url()).unwrap();
        // What is asked here may take long: emptying Redis, counting every byte of a pool.
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let cache = client.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
        Self {
            postgres,
            redis,
            target: target.to_owned(),
            stores: dir.to_owned(),
            sql,
            cache,
            root,
            peers,
            made: 0,
            started: AtomicU64::new(0),
        }
    }

    /// What every function is started with.
    pub(crate) fn variables(&self) -> BTreeMap<String, String> {
        use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
        let key = |key: [u8; 32]| format!("1:{}", BASE64_URL_SAFE_NO_PAD.encode(key));
        let mut variables = BTreeMap::from([
            ("REDIS_URL".into(), self.redis.url()),
            ("DATABASE_URL".into(), self.postgres.url(DatabaseRole::Service.name())),
            // What is measured is the work, not who may ask how often.
            ("RATE_ACQUIRE".into(), "off".into()),
            ("RATE_HEARTBEAT".into(), "off".into()),
            ("RATE_REGISTER".into(), "off".into()),
            ("RATE_ADMIN".into(), "off".into()),
            ("RATE_PEOPLE".into(), "off".into()),
            ("HANDLE_KEY".into(), key(HANDLE_KEY)),
            ("LICENSE_PEPPER".into(), key(PEPPER)),
            ("WEBHOOK_KEY".into(), key(HANDLE_KEY)),
            ("TOKEN_ISSUER".into(), "https://licenses.example.com".into()),
        ]);
        variables.extend(self.peers.variables());
        variables
    }

    /// A new organization in a database, with the license and the few seats of a first registration.
    pub(crate) async fn register(&mut self, database: &PgConnectOptions) -> Pool {
        self.made += 1;
        let new = NewOrganization {
            person: VerifiedPerson {
                issuer: "https://id.example.com".into(),
                subject: format!("owner-{}", self.made),
                email: format!("owner-{}@example.com", self.made),
                name: None,
            },
            organization: "Example".into(),
            product: None,
            address: None,
            request_id: None,
            sign_in: Default::default(),
        };
        let peppers = KeyRing::single(PEPPER.to_vec());
        let records = Records::with(database.clone(), DatabaseRole::Admin, 1).sealing(Arc::new(peppers.clone()));
        let RegistrationResult { registered, created } =
            Management::new(records).register(&new, &peppers).await.unwrap();
        assert!(created, "a first registration creates");
        let tenant = registered.tenant;
        let pool: Uuid = sqlx::query_scalar("select pool_id from pools where tenant_id = $1")
            .bind(tenant.0)
            .fetch_one(&mut PgConnection::connect_with(database).await.unwrap())
            .await
            .unwrap();
        let (key, number) = (registered.key.expect("a new license has a key"), registered.license.number);
        Pool { key, tenant, number, pool: PoolId(pool) }
    }

    /// A license of a new organization with so many free seats.
    pub(crate) async fn pool(&mut self, seats: u32) -> Pool {
        let pool = self.register(&self.postgres.superuser()).await;
        for sql in [
            "insert into seats (tenant_id, pool_id, seat_no) select $1, $2, k from generate_series(0, $3 - 1) k on conflict do nothing",
            "delete from seats where tenant_id = $1 and pool_id = $2 and seat_no >= $3",
            "update pools set seats_total = $3 where tenant_id = $1 and pool_id = $2",
        ] {
            let query = sqlx::query(sql).bind(pool.tenant.0).bind(pool.pool.0).bind(seats as i32);
            query.execute(&mut self.sql).await.unwrap();
        }
        self.past(pool.tenant, pool.pool.0, seats.min(1000)).await;
        pool
    }

    /// Sessions that ended and events that were published: the planner must not choose for tables that have always been empty.
    async fn past(&mut self, tenant: TenantId, pool: Uuid, seats: u32) {
        sqlx::query(
            "insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, ended_at, end_reason)
             select $1, uuid_v7(), p.license_id, $2, k, n || '-' || k, gen_random_uuid(), '', now(), 'released'
             from pools p, generate_series(0, $3 - 1) k, generate_series(1, 20) n where p.tenant_id = $1 and p.pool_id = $2",
        )
        .bind(tenant.0)
        .bind(pool)
        .bind(seats as i32)
        .execute(&mut self.sql)
        .await
        .unwrap();
        sqlx::query(
            "insert into outbox (tenant_id, kind, payload, published_at)
             select tenant_id, 'seat.freed', '{}', now() from sessions where tenant_id = $1 and pool_id = $2",
        )
        .bind(tenant.0)
        .bind(pool)
        .execute(&mut self.sql)
        .await
        .unwrap();
        self.analyze().await;
    }

    /// Gives the first `count` seats of a pool to a machine each, with one session each, as if they had been acquired. Redis learns of
    /// it by a rebuild.
    pub(crate) async fn seat(&mut self, pool: &Pool, count: u32) -> Vec<Held> {
        let (mut sessions, mut attempts, mut holders, mut hws, mut labels) =
            <(Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
        let mut held = Vec::with_capacity(count as usize);
        for seat in 0..count {
            let machine: ClientPart = hardware(seat).parse().expect("fits");
            let (session, attempt) = (SessionId::draw(), Attempt(Uuid::new_v4()));
            let hw = Hw::of(pool.number, &machine);
            let handle = SessionHandle {
                tenant: pool.tenant,
                license: pool.number,
                pool: PoolName::default_pool(),
                pool_id: pool.pool,
                seat,
                session,
                hw,
            };
            sessions.push(session.0);
            attempts.push(attempt.0);
            holders.push(Holder::machine(pool.number, &machine).to_string());
            hws.push(hw.to_string());
            labels.push(label(seat));
            held.push(Held { seat, session, handle: handle.mint(&KeyRing::single(HANDLE_KEY.to_vec())) });
        }
        let numbers: Vec<i32> = (0..count as i32).collect();
        sqlx::query(
            "with given as (
               select * from unnest($3::int[], $4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::text[])
                 as t (seat_no, session_id, holder, attempt, hw, label)),
             seated as (
               update seats s set holder = g.holder, held_since = now() from given g
               where s.tenant_id = $1 and s.pool_id = $2 and s.seat_no = g.seat_no)
             insert into sessions (tenant_id, pool_id, license_id, seat_no, session_id, holder, attempt, hw, label)
             select $1, $2, p.license_id, g.seat_no, g.session_id, g.holder, g.attempt, g.hw, g.label
             from given g, pools p where p.tenant_id = $1 and p.pool_id = $2",
        )
        .bind(pool.tenant.0)
        .bind(pool.pool.0)
        .bind(numbers)
        .bind(sessions)
        .bind(holders)
        .bind(attempts)
        .bind(hws)
        .bind(labels)
        .execute(&mut self.sql)
        .await
        .unwrap();
        self.analyze().await;
        held
    }

    /// Empty stores, and nothing of an earlier part left to write.
    pub(crate) async fn clear(&mut self) {
        self.flush().await;
        for statement in [
            "truncate organizations, directory.identities, directory.license_numbers, directory.retention, sessions, outbox cascade",
            "vacuum analyze",
            "checkpoint",
        ] {
            self.sql.execute(statement).await.unwrap();
        }
    }

    /// PostgreSQL on the same data with these settings besides those it always has; those of an earlier call are gone.
    pub(crate) async fn restart(&mut self, settings: &[&str]) {
        self.sql.execute("alter system reset all").await.unwrap();
        for setting in settings {
            self.sql.execute(AssertSqlSafe(format!("alter system set {setting}"))).await.unwrap();
        }
        self.postgres.restart().await.expect("PostgreSQL starts");
        self.sql = PgConnection::connect_with(&self.postgres.superuser()).await.unwrap();
    }

    /// Empty months as of a new database, after a part that made those of a past.
    pub(crate) async fn forget_months(&mut self) {
        let sql = "
            do $$
            declare part text;
            begin
              truncate sessions;
              for part in select c.oid::regclass::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent = 'history.sessions'::regclass and c.relname ~ '^sessions_[0-9]' loop
                execute 'drop table ' || part;
              end loop;
              set local role owner;
              perform history.make_months('sessions', 'history.sessions', now());
            end $$";
        self.sql.execute(sql).await.unwrap();
    }

    /// What autovacuum would do sooner or later, and not in the middle of a measurement.
    async fn analyze(&mut self) {
        self.sql.execute("vacuum analyze").await.unwrap();
    }

    /// Another instance of a function was started.
    pub(crate) fn count_instance(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    /// Instances started until now.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }

    /// Sessions of a pool that are not over.
    pub(crate) async fn open_sessions(&mut self, pool: &Pool) -> i64 {
        let query = "select count(*) from sessions where tenant_id = $1 and ended_at is null";
        sqlx::query_scalar(query).bind(pool.tenant.0).fetch_one(&mut self.sql).await.unwrap()
    }

    /// Where Redis listens.
    pub(crate) fn redis_socket(&self) -> String {
        self.redis.url().trim_start_matches("redis+unix://").to_owned()
    }

    /// Redis without anything in it.
    pub(crate) async fn flush(&mut self) {
        redis::cmd("FLUSHALL").arg("SYNC").exec_async(&mut self.cache).await.unwrap();
    }

    /// A field of Redis's `INFO`.
    pub(crate) async fn info(&mut self, field: &str) -> String {
        let text: String = redis::cmd("INFO").query_async(&mut self.cache).await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.expect("Redis tells it").trim().to_owned()
    }

    /// The process of the server, for its CPU.
    pub(crate) async fn redis_pid(&mut self) -> u32 {
        self.info("process_id").await.parse().unwrap()
    }

    /// The first process of the server; its connections are its children.
    pub(crate) fn postgres_pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.postgres.dir().join("data/postmaster.pid")).unwrap();
        text.lines().next().and_then(|line| line.parse().ok()).expect("a process id")
    }

    /// Leaves nothing behind.
    pub(crate) async fn end(self) {
        let Self { postgres, redis, stores, sql, cache, .. } = self;
        drop((sql, cache));
        drop((postgres, redis));
        for store in ["postgres", "redis"] {
            let _ = clean(&stores.join(store)).await;
        }
    }
}

impl Pool {
    /// The keys of the pool, as the services spell them.
    pub(crate) fn redis_keys(&self) -> [String; 6] {
        PoolKey { license: self.number, pool: PoolName::default_pool() }.keys()
    }
}

/// The n-th machine's hardware id.
pub(crate) fn hardware(n: u32) -> String {
    format!("hardware-{n:06}")
}

/// What people are shown of it.
pub(crate) fn label(n: u32) -> String {
    format!("workstation-{n:05}")
}

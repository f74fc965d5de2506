//! Everything in one process: the stores, the seat protocol, one organization with one license, and a clock that tests
//! can move.

use crate::{Machine, staff, stores};
use license_core::{
    Clock,
    domain::{
        event::SweepShare,
        id::{LicenseId, PoolId, PoolName, TenantId},
        key::LicenseKey,
        lease::LeaseTiming,
        rate::PoolRates,
        secret::KeyRing,
    },
    management::{Management, NewOrganization, RegistrationResult, SeatManagement},
    protocol::{ProtocolSettings, SeatProtocol, reap::SeatReaper},
    records::{DatabaseRole, Records, VerifiedPerson},
    seat_store::{PoolKey, ReplicationId, SeatStore},
    signer::{LeaseSigner, local::LocalRoot},
};
use license_local::stores::{RedisServer, RedisSettings};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// One root for all tests of a process: making an RSA-4096 key takes seconds.
static ROOT: OnceCell<Arc<LocalRoot>> = OnceCell::const_new();

/// The root all tests of this process sign under.
pub async fn root() -> Arc<LocalRoot> {
    let make = || async {
        let key = tokio::task::spawn_blocking(|| aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa4096));
        Arc::new(LocalRoot::new(key.await.unwrap().unwrap()).unwrap())
    };
    ROOT.get_or_init(make).await.clone()
}

/// `iss` of everything the tests' worlds sign.
pub const ISSUER: &str = "https://licenses.example.com";

/// The stores, the seat protocol, one organization and a clock, which no other test uses.
pub struct World {
    pub redis: RedisServer,
    pub database: PgConnectOptions,
    pub clock: Clock,
    pub timing: LeaseTiming,
    pub replication_id: ReplicationId,
    pub protocol: SeatProtocol,
    pub reaper: SeatReaper,
    /// Changes in PostgreSQL alone: Redis is told nothing.
    pub management: Management,
    pub seat_management: SeatManagement,
    pub admin: Records,
    pub license: License,
}

/// The license a world begins with: five seats counted by machine.
#[derive(Clone, Debug)]
pub struct License {
    pub key: LicenseKey,
    pub tenant: TenantId,
    pub id: LicenseId,
    pub pool_id: PoolId,
    pub pool: PoolKey,
}

/// How a world is made.
#[derive(Clone)]
pub struct Shape {
    pub seats: u32,
    pub holder_by: &'static str,
    pub processes: u32,
    pub replication_id: ReplicationId,
    pub redis: RedisSettings,
    pub clock: Clock,
    pub timing: LeaseTiming,
    /// A database of the caller's own server; `None`: one on the server that all tests of the process share.
    pub database: Option<PgConnectOptions>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            seats: 5,
            holder_by: "machine",
            processes: 32,
            replication_id: ReplicationId::Script,
            redis: RedisSettings::default(),
            clock: Clock::fake(),
            timing: LeaseTiming::default(),
            database: None,
        }
    }
}

impl Shape {
    /// Real time, sped up: a lease of `ttl`, a drain margin of a second, a heartbeat every 30 % of the lease.
    pub fn live(seats: u32, ttl: std::time::Duration) -> Self {
        let timing = LeaseTiming { drain: std::time::Duration::from_secs(1), ..LeaseTiming::with_ttl(ttl) };
        Self { seats, clock: Clock::system(), timing, ..Self::default() }
    }
}

impl World {
    /// Five seats, time stands still.
    pub async fn new() -> Self {
        Self::shaped(Shape::default()).await
    }

    /// So many seats, time stands still.
    pub async fn with_seats(seats: u32) -> Self {
        Self::shaped(Shape { seats, ..Shape::default() }).await
    }

    pub async fn shaped(shape: Shape) -> Self {
        let redis = RedisServer::temporary(shape.redis.clone()).await.expect("Redis starts");
        let database = match shape.database.clone() {
            Some(database) => database,
            None => stores::database().await,
        };
        let timing = shape.timing;
        let admin = Records::with(database.clone(), DatabaseRole::Admin, 4).sealing(Arc::new(peppers()));
        let license = register(&admin, &database, &shape, "owner").await;
        let seats = || SeatStore::new(&redis.url(), shape.replication_id, timing, shape.clock.clone()).unwrap();
        let protocol = instance(seats(), &database, timing, shape.clock.clone()).await;
        Self {
            protocol,
            reaper: SeatReaper::new(seats(), Records::with(database.clone(), DatabaseRole::Reaper, 4), timing),
            management: Management::new(admin.clone()),
            seat_management: SeatManagement::new(seats(), admin.clone()),
            admin,
            license,
            timing,
            replication_id: shape.replication_id,
            clock: shape.clock,
            redis,
            database,
        }
    }

    /// Another instance of the functions over the same stores.
    pub async fn instance(&self) -> SeatProtocol {
        self.instance_with(self.clock.clone()).await
    }

    /// Another instance whose clock is its own.
    pub async fn instance_with(&self, clock: Clock) -> SeatProtocol {
        instance(self.seats_with(clock.clone()), &self.database, self.timing, clock).await
    }

    /// Another instance that gives leases of another length, as during a rollout of the setting.
    pub async fn instance_timed(&self, timing: LeaseTiming) -> SeatProtocol {
        let seats = SeatStore::new(&self.redis.url(), self.replication_id, timing, self.clock.clone()).unwrap();
        instance(seats, &self.database, timing, self.clock.clone()).await
    }

    /// What people do, by an admin function that gives leases of another length.
    pub fn seat_management_timed(&self, timing: LeaseTiming) -> SeatManagement {
        let seats = SeatStore::new(&self.redis.url(), self.replication_id, timing, self.clock.clone()).unwrap();
        SeatManagement::new(seats, self.admin.clone())
    }

    /// The seat store, for tests that speak to it directly.
    pub fn seats(&self) -> SeatStore {
        self.seats_with(self.clock.clone())
    }

    fn seats_with(&self, clock: Clock) -> SeatStore {
        SeatStore::new(&self.redis.url(), self.replication_id, self.timing, clock).unwrap()
    }

    /// Another instance whose scripts keep these limits.
    pub async fn instance_limited(&self, rates: PoolRates) -> SeatProtocol {
        instance(self.seats().with_rates(rates), &self.database, self.timing, self.clock.clone()).await
    }

    /// Another instance that takes the Redis at `url` for the primary.
    pub async fn instance_at(&self, url: &str) -> SeatProtocol {
        let seats = SeatStore::new(url, self.replication_id, self.timing, self.clock.clone()).unwrap();
        instance(seats, &self.database, self.timing, self.clock.clone()).await
    }

    /// Another instance with a clock and ways to Redis and to the records of its own.
    pub async fn instance_over(&self, redis: &str, database: PgConnectOptions, clock: Clock) -> SeatProtocol {
        let seats = SeatStore::new(redis, self.replication_id, self.timing, clock.clone()).unwrap();
        instance(seats, &database, self.timing, clock).await
    }

    /// From now on this Redis is the primary for everything of this world but the instances that were made before; answers the old one.
    pub async fn fail_over(&mut self, primary: RedisServer) -> RedisServer {
        let old = std::mem::replace(&mut self.redis, primary);
        self.reaper = self.another_reaper();
        self.seat_management = SeatManagement::new(self.seats(), self.admin.clone());
        self.protocol = self.instance().await;
        old
    }

    /// Another reaper over the same stores, with no fail point armed.
    pub fn another_reaper(&self) -> SeatReaper {
        SeatReaper::new(self.seats(), Records::with(self.database.clone(), DatabaseRole::Reaper, 4), self.timing)
    }

    /// The records as the service role, for tests that speak to them directly.
    pub fn service(&self) -> Records {
        Records::with(self.database.clone(), DatabaseRole::Service, 4)
    }

    /// A machine that starts a process of the product.
    pub fn machine(&self, name: &str) -> Machine {
        Machine::new(&self.license, name)
    }

    /// A connection as superuser, which row-level security does not bind: for looking at what is true.
    pub async fn truth(&self) -> PgConnection {
        PgConnection::connect_with(&self.database).await.unwrap()
    }

    /// The number that a query answers.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.truth().await).await.unwrap()
    }

    /// A raw connection to Redis, for faults.
    pub async fn redis(&self) -> ::redis::aio::MultiplexedConnection {
        stores::redis_connection(&self.redis.url()).await.unwrap()
    }

    /// Deletes everything in Redis.
    pub async fn flush(&self) {
        ::redis::cmd("FLUSHALL").exec_async(&mut self.redis().await).await.unwrap();
    }

    /// A share of this world's pool alone, whether it has something to do or not.
    pub fn share(&self) -> SweepShare {
        SweepShare { pools: vec![(self.license.tenant, self.license.pool_id)] }
    }

    /// Loses one key of the pool: `h`, `z`, `s`, `m`, `n` or `c`.
    pub async fn forget(&self, key: &str) {
        ::redis::cmd("DEL").arg(self.key(key)).exec_async(&mut self.redis().await).await.unwrap();
    }

    /// How a key of the pool is spelt.
    pub fn key(&self, suffix: &str) -> String {
        format!("{{{}}}/{}:{suffix}", self.license.pool.license, self.license.pool.pool)
    }

    /// What Redis knows of the pool now, for [`World::restore`].
    pub async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut redis = self.redis().await;
        let mut kept = Vec::new();
        for suffix in ["h", "z", "s", "m", "n"] {
            let key = self.key(suffix);
            let value: Option<Vec<u8>> = ::redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.unwrap();
            kept.extend(value.map(|value| (key, value)));
        }
        kept
    }

    /// Puts an old copy in place of what Redis knows, as a stale replica would bring it.
    pub async fn restore(&self, dump: &[(String, Vec<u8>)]) {
        self.flush().await;
        for (key, value) in dump {
            let mut command = ::redis::cmd("RESTORE");
            command.arg(key).arg(0).arg(value).exec_async(&mut self.redis().await).await.unwrap();
        }
    }

    /// Makes the node a replica of nobody and a primary again: its data stays, its replication id is new, as after a failover.
    pub async fn promote(&self) {
        let mut redis = self.redis().await;
        ::redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).exec_async(&mut redis).await.unwrap();
        ::redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(&mut redis).await.unwrap();
    }

    /// Redis and the records say the same of every seat and session, and Redis's own keys agree.
    pub async fn assert_no_drift(&self) {
        assert_eq!(crate::load::drift::between(self).await, Vec::<String>::new());
    }

    /// Lets the time pass after which unfinished endings are taken up again, and sweeps; answers how many seats were ended.
    pub async fn sweep_until_quiet(&self) -> usize {
        self.pass(std::time::Duration::from_millis(self.timing.reclaim_after_ms() as u64 + 1));
        self.sweep().await.seats
    }

    /// One sweep of whatever has something to do, as a tick asks for it.
    pub async fn sweep(&self) -> license_core::protocol::reap::SweepReport {
        let mut total = license_core::protocol::reap::SweepReport::default();
        for share in self.reaper.shares().await.unwrap() {
            let report = self.reaper.sweep(&share).await.unwrap();
            total.pools += report.pools;
            total.seats += report.seats;
            total.sessions += report.sessions;
            total.failed += report.failed;
        }
        total
    }

    /// Lets time pass for the service and Redis.
    pub fn pass(&self, time: std::time::Duration) {
        self.clock.advance_ms(time.as_millis() as i64);
    }

    /// Lets a whole lease pass, and a little.
    pub fn pass_ttl(&self) {
        self.pass(self.timing.ttl + std::time::Duration::from_millis(1));
    }

    /// Holders as the records have them, by seat.
    pub async fn held(&self) -> Vec<(i32, String)> {
        sqlx::query_as("select seat_no, holder from seats where holder is not null order by seat_no")
            .fetch_all(&mut self.truth().await)
            .await
            .unwrap()
    }

    /// The pool's epoch in the records.
    pub async fn epoch(&self) -> i64 {
        self.count("select epoch from pools").await
    }
}

async fn instance(seats: SeatStore, database: &PgConnectOptions, timing: LeaseTiming, clock: Clock) -> SeatProtocol {
    let signer =
        LeaseSigner::new(root().await, license_core::signer::delegated::SignerSettings::new(ISSUER), clock.clone());
    let settings = ProtocolSettings { timing, clock, handles: KeyRing::single(vec![1; 32]), peppers: Some(peppers()) };
    SeatProtocol::new(seats, Records::with(database.clone(), DatabaseRole::Service, 16), signer, settings)
}

/// The pepper by which the worlds of tests hash license keys and seal audit logs.
pub fn peppers() -> KeyRing {
    KeyRing::single(vec![2; 32])
}

/// Registers an organization and gives its license the shape asked for.
pub async fn register(admin: &Records, database: &PgConnectOptions, shape: &Shape, subject: &str) -> License {
    let new = NewOrganization {
        person: VerifiedPerson {
            issuer: "https://id.example.com".into(),
            subject: subject.into(),
            email: format!("{subject}@example.com"),
            name: None,
        },
        organization: "Example".into(),
        product: None,
        address: None,
        request_id: None,
        sign_in: Default::default(),
    };
    let management = Management::new(admin.clone());
    let RegistrationResult { registered, created } = management.register(&new, &peppers()).await.unwrap();
    assert!(created, "a first registration creates");
    let tenant = registered.tenant;
    let mut truth = PgConnection::connect_with(database).await.unwrap();
    let pool_id: uuid::Uuid = sqlx::query_scalar("select pool_id from pools where tenant_id = $1")
        .bind(tenant.0)
        .fetch_one(&mut truth)
        .await
        .unwrap();
    sqlx::query("update licenses set holder_by = $1, processes_per_seat = $2 where tenant_id = $3")
        .bind(shape.holder_by)
        .bind(shape.processes as i32)
        .bind(tenant.0)
        .execute(&mut truth)
        .await
        .unwrap();
    if shape.seats != registered.license.seats_total {
        let (act, edit) = (staff::act(tenant), staff::seats(shape.seats));
        management.edit_license(&act, registered.license.id, &edit.into(), None).await.unwrap();
        // A world begins without a past: tests read what is written down from then on.
        for sql in [
            "delete from audit_log where tenant_id = $1 and action = 'license.changed'",
            "update audit_heads h set seq = a.seq, hash = a.hash from audit_log a where h.tenant_id = $1 and a.tenant_id = $1 and a.seq = 1",
            "delete from outbox where tenant_id = $1 and kind = 'license.changed'",
        ] {
            sqlx::query(sql).bind(tenant.0).execute(&mut truth).await.unwrap();
        }
    }
    License {
        key: registered.key.unwrap(),
        tenant,
        id: registered.license.id,
        pool_id: PoolId(pool_id),
        pool: PoolKey { license: registered.license.number, pool: PoolName::default_pool() },
    }
}

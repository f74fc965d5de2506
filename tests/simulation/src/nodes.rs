//! The stores and what becomes of them: two Redis nodes of which one follows the other, and one PostgreSQL.

use crate::{
    operations::{RecordsFault, RedisFault},
    proxy::{Fault, Proxy, Upstream},
    troubles::{Kind, Troubles},
};
use license_local::stores::{PostgresServer, RedisServer};
use license_tests::{World, stores};
use sqlx::{Connection, PgConnection};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A node that stands still is looked at again after this.
const SOON: Duration = Duration::from_millis(100);

/// Every way of every instance. The last of `redis` and `records` are the reaper's, those before them the admin's.
pub struct Ways {
    pub http: Vec<Proxy>,
    pub redis: Vec<Proxy>,
    pub records: Vec<Proxy>,
}

impl Ways {
    pub fn heal(&self) {
        self.http.iter().chain(&self.redis).chain(&self.records).for_each(Proxy::heal);
    }

    /// Faults that met something.
    pub fn met(&self) -> usize {
        self.http.iter().chain(&self.redis).chain(&self.records).map(Proxy::met).sum()
    }
}

/// How a Redis of a pair is started: a copy is made without delay.
pub fn redis_settings() -> license_local::stores::RedisSettings {
    let more = ["--repl-diskless-sync-delay", "0", "--repl-timeout", "3"].map(str::to_owned).to_vec();
    license_local::stores::RedisSettings { tcp: true, more, ..Default::default() }
}

/// Where a node is.
pub fn address(node: &RedisServer) -> Upstream {
    Upstream::Tcp(SocketAddr::from(([127, 0, 0, 1], node.port().expect("it has a port"))))
}

/// Two Redis nodes. The primary is the world's.
pub struct Pair {
    pub world: World,
    second: RedisServer,
    /// The second's way to the first.
    link: Proxy,
    ways: Arc<Ways>,
    dead: HashSet<u16>,
    /// Nodes that stand still: they would not hear what they are told, or hear it much later.
    paused: HashSet<u16>,
    later: Vec<(Instant, Later)>,
    /// What was wrong with the nodes.
    pub troubles: Troubles,
    /// Troubles of nodes that are not over, by port.
    away: Vec<(u16, usize)>,
}

/// What is still to be done, and with which node.
enum Later {
    Resume(u16),
    Spacious(u16),
    Follow(u16),
}

impl Pair {
    /// The world's Redis and another that follows it.
    pub async fn new(world: World, ways: Arc<Ways>) -> Self {
        let second = RedisServer::temporary(redis_settings()).await.expect("Redis starts");
        let link = Proxy::stream(address(&world.redis)).await;
        follow(&second, &link).await;
        let (troubles, away) = (Troubles::default(), Vec::new());
        let (dead, paused, later) = (HashSet::new(), HashSet::new(), Vec::new());
        Self { world, second, link, ways, dead, paused, later, troubles, away }
    }

    /// When something is due by itself.
    pub fn due(&self) -> Option<Instant> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// Does what is due.
    pub async fn go_on(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(at, _)| *at <= now);
        self.later = later;
        self.done(due).await;
    }

    async fn done(&mut self, due: Vec<(Instant, Later)>) {
        for (_, what) in due {
            match what {
                Later::Resume(port) => self.resume(port),
                Later::Spacious(port) => self.tell(port, &["CONFIG", "SET", "maxmemory", "0"]).await,
                Later::Follow(port) if self.paused.contains(&port) => {
                    self.ways.redis.iter().for_each(Proxy::cut_old);
                    self.later.push((Instant::now() + SOON, Later::Follow(port)));
                }
                // A dead one follows when it is started again; one that is primary again does not.
                Later::Follow(port) if self.dead.contains(&port) => {}
                Later::Follow(port) if port == self.second.port().unwrap_or(0) => {
                    self.ways.redis.iter().for_each(Proxy::cut_old);
                    follow(&self.second, &self.link).await;
                    self.link.fault(Fault::Cut);
                }
                Later::Follow(_) => {}
            }
        }
    }

    fn resume(&mut self, port: u16) {
        self.paused.remove(&port);
        self.node(port).resume();
        self.back(port);
    }

    /// A node is away from now on.
    fn gone(&mut self, port: u16) {
        self.away.push((port, self.troubles.begin(Kind::Away)));
    }

    /// It is there again.
    fn back(&mut self, port: u16) {
        let (back, away) = std::mem::take(&mut self.away).into_iter().partition(|(gone, _)| *gone == port);
        self.away = away;
        let back: Vec<(u16, usize)> = back;
        back.into_iter().for_each(|(_, place)| self.troubles.over(place));
    }

    /// The port of both nodes.
    pub fn ports(&self) -> [u16; 2] {
        [&self.world.redis, &self.second].map(|node| node.port().unwrap_or(0))
    }

    /// Tells a node something, unless it would not hear it.
    async fn tell(&mut self, port: u16, words: &[&str]) {
        if !self.dead.contains(&port) && !self.paused.contains(&port) {
            command::<redis::Value>(self.node(port), words).await;
        }
    }

    fn node(&mut self, port: u16) -> &mut RedisServer {
        if self.world.redis.port() == Some(port) { &mut self.world.redis } else { &mut self.second }
    }

    /// Lets a fault happen.
    pub async fn fault(&mut self, fault: &RedisFault) {
        let port = self.world.redis.port().unwrap_or(0);
        let after = |time: &Duration| Instant::now() + *time;
        let loses = !matches!(fault, RedisFault::Pause(_) | RedisFault::Lag(_) | RedisFault::Full(_));
        let lost = loses.then(|| self.troubles.begin(Kind::Lost));
        match fault {
            RedisFault::Flush => self.tell(port, &["FLUSHALL"]).await,
            RedisFault::Forget(key) => self.tell(port, &["DEL", &self.world.key(key)]).await,
            RedisFault::Kill => {
                self.gone(port);
                self.world.redis.kill().await;
                self.paused.remove(&port);
                self.dead.insert(port);
            }
            RedisFault::Start => self.start().await,
            RedisFault::Pause(time) => {
                self.gone(port);
                self.world.redis.pause();
                self.paused.insert(port);
                self.later.push((after(time), Later::Resume(port)));
            }
            RedisFault::Lag(time) => self.link.fault(Fault::HalfOpen { lasting: *time }),
            RedisFault::Promote => self.promote(true).await,
            RedisFault::PromoteUndrained => self.promote(false).await,
            RedisFault::Full(time) => {
                self.later.push((after(time), Later::Spacious(port)));
                self.tell(port, &["CONFIG", "SET", "maxmemory", "1"]).await;
            }
        }
        lost.into_iter().for_each(|lost| self.troubles.over(lost));
    }

    async fn start(&mut self) {
        for port in std::mem::take(&mut self.dead) {
            self.node(port).restart().await.expect("Redis starts again");
            self.back(port);
            if self.second.port() == Some(port) {
                follow(&self.second, &self.link).await;
            }
        }
    }

    /// The second node takes over. Unless `drained` is false the old one is reachable over old connections for three quarters of the
    /// drain margin and follows the new one then.
    async fn promote(&mut self, drained: bool) {
        let port = self.second.port().unwrap_or(0);
        if self.dead.contains(&port) {
            return;
        }
        self.resume(port);
        // A node that was primary until just now gets its new id only by having been a follower, as any failover makes it one.
        follow(&self.second, &self.link).await;
        command::<()>(&self.second, &["REPLICAOF", "NO", "ONE"]).await;
        assert!(is_primary(&self.second).await, "a node that was promoted is the primary");
        std::mem::swap(&mut self.world.redis, &mut self.second);
        // The old one may answer for so long, and what is sent to it after that fails.
        let drain = self.world.timing.drain;
        let deposed = if drained { drain } else { Duration::MAX };
        self.troubles.lasting(Kind::Deposed(port), deposed);
        self.troubles.lasting(Kind::Away, deposed);
        let margin = drained.then_some(drain * 3 / 4);
        for way in &self.ways.redis {
            way.repoint(address(&self.world.redis), margin);
        }
        self.link.repoint(address(&self.world.redis), None);
        if let Some(margin) = margin {
            self.later.push((Instant::now() + margin, Later::Follow(self.second.port().unwrap_or(0))));
        }
    }

    /// For how long nobody may take the rebuild of the pool over from an instance that began it: that one may have died.
    pub async fn rebuild_lock_left(&mut self) -> Duration {
        let primary = &self.world.redis;
        let lock: Option<String> = command(primary, &["GET", &self.world.key("c")]).await;
        // nonce|replication id|until|seen (core/src/seat_store/rebuild_lock.lua)
        let Some(lock) = lock else { return Duration::ZERO };
        let until: u64 =
            lock.split('|').nth(2).and_then(|until| until.parse().ok()).expect("a lock says until when it is");
        let (seconds, micros): (u64, u64) = command(primary, &["TIME"]).await;
        Duration::from_millis(until.saturating_sub(seconds * 1000 + micros / 1000))
    }

    /// Ends all faults: both nodes run, answer and have space; the second follows the first.
    pub async fn calm(&mut self) {
        self.link.heal();
        for port in self.paused.clone() {
            self.resume(port);
        }
        self.start().await;
        let due = std::mem::take(&mut self.later);
        self.done(due).await;
        command::<()>(&self.world.redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
        assert!(is_primary(&self.world.redis).await, "the run ends with a primary");
        self.world.reaper = self.world.another_reaper();
    }
}

/// Makes a node follow whatever the link leads to.
async fn follow(node: &RedisServer, link: &Proxy) {
    command::<()>(node, &["REPLICAOF", "127.0.0.1", &link.port().to_string()]).await;
}

/// Tells a node that runs something.
async fn command<T: redis::FromRedisValue>(node: &RedisServer, words: &[&str]) -> T {
    let told = async {
        let mut connection = stores::redis_connection(&node.url()).await?;
        redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    };
    told.await.unwrap_or_else(|error: redis::RedisError| panic!("Redis does not {words:?}: {error}"))
}

async fn is_primary(node: &RedisServer) -> bool {
    let info: String = command(node, &["INFO", "replication"]).await;
    info.contains("role:master")
}

/// The PostgreSQL of a run.
pub struct Database {
    pub server: PostgresServer,
    ways: Arc<Ways>,
    /// The lease of a rebuild.
    lease: Duration,
    dead: bool,
}

impl Database {
    pub fn new(server: PostgresServer, ways: Arc<Ways>, lease: Duration) -> Self {
        Self { server, ways, lease, dead: false }
    }

    /// Lets a fault happen.
    pub async fn fault(&mut self, fault: RecordsFault) {
        match fault {
            RecordsFault::Kill => {
                self.server.kill().await;
                self.dead = true;
            }
            RecordsFault::Start => self.start().await,
            RecordsFault::Backup => {
                self.server.stop().await;
                self.copy("data", "backup");
                self.server.restart().await.expect("PostgreSQL starts again");
            }
            RecordsFault::Restore => self.restore(true).await,
            RecordsFault::RestoreUnsafely => self.restore(false).await,
        }
    }

    /// Starts it again where it was killed.
    pub async fn start(&mut self) {
        if std::mem::take(&mut self.dead) {
            self.server.restart().await.expect("PostgreSQL starts again");
        }
    }

    /// As docs/OPERATING.md, section 4, has it: every service closed, the database put back, made safe, opened. Redis is emptied by an
    /// operation of its own meanwhile.
    async fn restore(&mut self, safely: bool) {
        let closed = Fault::HalfOpen { lasting: Duration::from_secs(60) };
        self.ways.http.iter().for_each(|way| way.fault(closed));
        // Every request under way has ended by then.
        tokio::time::sleep(license_core::domain::lease::LeaseTiming::DEADLINE).await;
        self.server.stop().await;
        self.copy("backup", "data");
        self.server.restart().await.expect("PostgreSQL starts again");
        if safely {
            let mut owner = PgConnection::connect_with(&self.server.superuser()).await.unwrap();
            let safe =
                sqlx::query_scalar("select after_restore(make_interval(secs => $1))").bind(self.lease.as_secs_f64());
            let pools: i64 = safe.fetch_one(&mut owner).await.unwrap();
            assert!(pools > 0, "the restored database has a pool");
        }
        self.ways.http.iter().for_each(Proxy::heal);
    }

    fn copy(&self, from: &str, to: &str) {
        let (from, to) = (self.server.dir().join(from), self.server.dir().join(to));
        let _ = std::fs::remove_dir_all(&to);
        let copied = std::process::Command::new("cp").arg("-a").args([&from, &to]).status().unwrap();
        assert!(copied.success(), "the data is copied");
    }
}

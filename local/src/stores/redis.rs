//! One Redis of our own, with nothing on disk and no eviction: started, paused, stopped, killed and started again.

use super::{
    StoreError, StoreResult,
    keeper::{KeptServer, ServerSpec, end_of_server},
    place::SocketPlace,
};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// How long a start may take.
const READY: Duration = Duration::from_secs(20);
const HOW: &str = "Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis";

/// How a Redis is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisSettings {
    /// Also listen on a free TCP port of 127.0.0.1 (tests that put a proxy between).
    pub tcp: bool,
    /// Memory at most, in bytes; `None`: no limit.
    pub max_memory: Option<u64>,
    /// More options, as on the command line (`["--replicaof", "127.0.0.1", "7000"]`).
    pub more: Vec<String>,
}

/// A running Redis. It ends when this value is dropped, and when this process ends, however that happens.
pub struct RedisServer {
    // Dropped in this order: the server before its directory.
    kept: KeptServer,
    place: SocketPlace,
    settings: RedisSettings,
    /// 0 = none.
    port: u16,
}

impl RedisServer {
    /// Starts an empty Redis whose socket and log are in `dir`, and waits until it answers.
    ///
    /// # Errors
    /// If Redis is not installed or does not answer within 20 seconds.
    pub async fn start(dir: &Path, settings: RedisSettings) -> StoreResult<Self> {
        Self::start_in(SocketPlace::lasting(dir, &["redis.sock"]).await?, settings).await
    }

    /// Starts an empty Redis for a test, in a directory that goes with it.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub async fn temporary(settings: RedisSettings) -> StoreResult<Self> {
        Self::start_in(SocketPlace::temporary()?, settings).await
    }

    async fn start_in(place: SocketPlace, settings: RedisSettings) -> StoreResult<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            return Err(StoreError::Missing { program: "Redis", how: HOW });
        }
        let port = free_port(&settings)?;
        let kept = launch(&place, &settings, port).await?;
        let mut server = Self { kept, place, settings, port };
        for _ in 0..2 {
            match server.ready().await {
                // The port was free when asked for; somebody took it before Redis did.
                Err(_) if server.port > 0 && server.kept.has_ended() => {
                    server.port = free_port(&server.settings)?;
                    server.kept = launch(&server.place, &server.settings, server.port).await?;
                }
                answer => return answer.map(|()| server),
            }
        }
        server.ready().await.map(|()| server)
    }

    /// The address on the Unix socket, as the `redis` crate reads it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The address on TCP, if [`RedisSettings::tcp`] asked for one.
    pub fn tcp_url(&self) -> Option<String> {
        (self.port > 0).then(|| format!("redis://127.0.0.1:{}", self.port))
    }

    /// The TCP port, if [`RedisSettings::tcp`] asked for one.
    pub fn port(&self) -> Option<u16> {
        (self.port > 0).then_some(self.port)
    }

    /// The directory of the log.
    pub fn dir(&self) -> &Path {
        &self.place.dir
    }

    fn socket(&self) -> PathBuf {
        self.place.sockets.join("redis.sock")
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// If it ends instead, or takes longer than 20 seconds; with the end of its log.
    pub async fn ready(&mut self) -> StoreResult<()> {
        let until = Instant::now() + READY;
        loop {
            // Looked at first: after a crash the old socket may still be there, and the new server not yet.
            if self.kept.has_ended() {
                return Err(self.kept.failed("Redis ended before it answered"));
            }
            let Err(error) = ping(&self.url()).await else { return Ok(()) };
            if Instant::now() > until {
                return Err(self.kept.unanswered("Redis does not answer", error));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    end_of_server! {
        /// Stops it; its data is lost.
        stop,
        /// Kills it (SIGKILL).
        kill,
    }

    /// Pauses it (SIGSTOP): connections stay open and nothing answers, until [`RedisServer::resume`].
    pub fn pause(&mut self) {
        self.kept.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&mut self) {
        self.kept.signal("CONT");
    }

    /// Starts it again, empty, at the same address, after it was stopped, killed or died; waits until it answers.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub async fn restart(&mut self) -> StoreResult<()> {
        self.stop().await;
        self.kept = launch(&self.place, &self.settings, self.port).await?;
        self.ready().await
    }
}

async fn ping(url: &str) -> ::redis::RedisResult<()> {
    let client = ::redis::Client::open(url)?;
    let answer = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        ::redis::cmd("PING").query_async(&mut connection).await
    };
    let late = |_| ::redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    tokio::time::timeout(Duration::from_secs(2), answer).await.map_err(late)?
}

/// A TCP port nobody uses now; 0, which is none to Redis, where none is asked for.
fn free_port(settings: &RedisSettings) -> StoreResult<u16> {
    if !settings.tcp {
        return Ok(0);
    }
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let port = listener.and_then(|listener| Ok(listener.local_addr()?.port()));
    port.map_err(|source| StoreError::Io { what: "cannot find a free port on 127.0.0.1".into(), source })
}

async fn launch(place: &SocketPlace, settings: &RedisSettings, port: u16) -> StoreResult<KeptServer> {
    let socket = place.sockets.join("redis.sock");
    let mut command: Vec<String> = vec!["redis-server".into()];
    let mut option = |name: &str, value: &str| command.extend([name.to_owned(), value.to_owned()]);
    option("--port", &port.to_string());
    option("--bind", "127.0.0.1");
    option("--protected-mode", "yes");
    option("--unixsocket", &socket.display().to_string());
    option("--unixsocketperm", "700");
    // Redis owns liveness only: after a restart it knows nothing and is rebuilt, so nothing is written to disk.
    option("--save", "");
    option("--appendonly", "no");
    // The default of managed services would evict live seats.
    option("--maxmemory-policy", "noeviction");
    option("--maxmemory", &settings.max_memory.unwrap_or(0).to_string());
    option("--daemonize", "no");
    command.extend(settings.more.iter().cloned());
    KeptServer::start(&ServerSpec {
        command,
        account: place.account.as_ref(),
        dir: &place.dir,
        stop: "TERM",
        quick: "KILL",
        remove: place.removed_if_orphaned(),
    })
    .await
}

//! Connections to Redis that are never used for longer than 30 s. After a failover an instance can therefore speak to a
//! deposed primary for no longer than that, and the drain margin of a rebuild covers this time (docs/PROTOCOL.md,
//! section 2).

use super::{address::RedisAddress, contact::StoreContact, reply::ScriptReply, scripts::ScriptCall};
use crate::{Error, Result, error::ErrorContext};
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Long enough for a primary that is busy, short enough for a request to be answered within its deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The same, for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long after a failed connect the next one is tried.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

/// How scripts learn which node they run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReplicationId {
    /// The script asks its node (`INFO replication`, about 6 µs). This is always right.
    #[default]
    Script,
    /// For services that refuse `INFO` in scripts. The id is read once for each connection, passed to the script, and
    /// read again behind every answer, which counts only if the id is still the same. A new id is drawn at every
    /// promotion and ids never repeat, so it was the same throughout. This costs a second round trip.
    Connection,
}

/// The connection that all clones share, and how it is replaced.
#[derive(Clone)]
pub(super) struct RedisConnections {
    address: RedisAddress,
    id: ReplicationId,
    max_age: Duration,
    contact: StoreContact,
    current: Arc<Mutex<CurrentConnection>>,
}

#[derive(Default)]
struct CurrentConnection {
    live: Option<LiveConnection>,
    /// When the last connect failed, and why: callers that waited for it are not made to wait for another one.
    failed: Option<(Instant, Error)>,
}

#[derive(Clone)]
struct LiveConnection {
    since: Instant,
    connection: MultiplexedConnection,
    replication_id: String,
}

impl RedisConnections {
    pub(super) fn new(address: RedisAddress, id: ReplicationId, max_age: Duration, contact: StoreContact) -> Self {
        Self { address, id, max_age, contact, current: Arc::default() }
    }

    /// Runs one script call. `writes` says whether the script may write or only reads. A broken connection is replaced
    /// once; a server that does not answer is not asked twice.
    pub(super) async fn run<'a>(&self, writes: bool, call: impl Fn(&str) -> ScriptCall<'a>) -> Result<ScriptReply> {
        let _pending = self.contact.begin_call();
        let mut tries = 0;
        loop {
            tries += 1;
            let mut live = self.connection().await?;
            match call(&live.replication_id).run(&mut live.connection).await {
                Ok(value) => return self.accept_reply(ScriptReply::new(value)?, &mut live, writes).await,
                Err(error) => {
                    let is_broken = self.record_error(&error, &live).await;
                    if tries > 1 || error.is_timeout() || !is_broken {
                        return Err(Error::seats("running a script failed", error));
                    }
                }
            }
        }
    }

    /// Passes on what a primary answered. An answer of a node that is no primary, or that was replaced meanwhile,
    /// counts as none.
    async fn accept_reply(&self, reply: ScriptReply, live: &mut LiveConnection, writes: bool) -> Result<ScriptReply> {
        if reply.is("READONLY") || !self.is_same_node(live).await {
            self.contact.record_failure(false);
            self.discard(live).await;
            return Err(Error::Seats("the node is no primary, or was replaced meanwhile".into()));
        }
        self.contact.record_answer(writes);
        Ok(reply)
    }

    /// Records an error of a call, and discards the connection where it or its node may be at fault, so that the next
    /// caller begins with a new one. True if the connection is broken or the server was silent.
    async fn record_error(&self, error: &redis::RedisError, live: &LiveConnection) -> bool {
        let is_broken = error.is_io_error() || error.is_timeout() || error.is_connection_dropped();
        if is_broken || error.code() == Some("READONLY") {
            self.discard(live).await;
        }
        // An error is no answer: a caller that asked for a lease did not receive it (MISCONF, NOREPLICAS, CLUSTERDOWN,
        // LOADING, BUSY, NOPERM, what a proxy says, ...). But where only memory is short, holders are still served.
        if error.code() == Some("OOM") {
            self.contact.record_answer(true);
        } else {
            self.contact.record_failure(!is_broken);
        }
        is_broken
    }

    /// Whether the node that answered is the one whose replication id the script was given.
    async fn is_same_node(&self, live: &mut LiveConnection) -> bool {
        self.id == ReplicationId::Script
            || replication_id(&mut live.connection).await.is_ok_and(|id| id == live.replication_id)
    }

    /// Whether the store is away, as far as the last call can tell.
    pub(super) fn is_away(&self) -> bool {
        self.contact.is_away()
    }

    /// How many connections were made so far.
    pub(super) fn connects(&self) -> u64 {
        self.contact.connects()
    }

    /// The clock of the service for taking seats away: it stands still while the store is away and for a while after.
    pub(super) fn held_clock_ms(&self) -> i64 {
        self.contact.held_clock_ms()
    }

    /// Whether the store answers and drops nothing when it is full.
    pub(super) async fn check_ready(&self) -> Result<()> {
        let mut live = self.connection().await?;
        let answer: redis::RedisResult<String> =
            redis::cmd("INFO").arg("memory").query_async(&mut live.connection).await;
        if answer.is_err() {
            self.discard(&live).await;
        }
        // With any other policy Redis drops live seats when it is full.
        match field(&answer.map_err(|e| Error::seats("INFO was not answered", e))?, "maxmemory_policy:").as_str() {
            "noeviction" | "" => Ok(()),
            other => Err(Error::Seats(format!("maxmemory-policy is {other} and must be noeviction").into())),
        }
    }

    /// The current connection, or a new one where there is none that is young enough. All callers wait for the same
    /// connect.
    async fn connection(&self) -> Result<LiveConnection> {
        let mut current = self.current.lock().await;
        if let Some(live) = current.live.as_ref().filter(|live| live.since.elapsed() < self.max_age) {
            return Ok(live.clone());
        }
        current.live = None;
        if let Some((_, error)) = current.failed.as_ref().filter(|(at, _)| at.elapsed() < RECONNECT_PAUSE) {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(live) => {
                current.failed = None;
                self.contact.record_connect();
                Ok(current.live.insert(live).clone())
            }
            Err(e) => {
                self.contact.record_failure(false);
                let error = Error::seats("no connection to Redis was made", e);
                current.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> std::result::Result<LiveConnection, ErrorContext> {
        // The age counts from before the connect, because the node may be deposed at any time after that.
        let since = Instant::now();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let mut connection = self.address.connect(&config).await?;
        let replication_id = match self.id {
            ReplicationId::Script => String::new(),
            ReplicationId::Connection => replication_id(&mut connection).await?,
        };
        Ok(LiveConnection { since, connection, replication_id })
    }

    /// Has the next caller connect anew.
    async fn discard(&self, broken: &LiveConnection) {
        let mut current = self.current.lock().await;
        if current.live.as_ref().is_some_and(|live| live.since == broken.since) {
            current.live = None;
        }
    }
}

/// The replication id of a node, which must be a primary.
async fn replication_id(connection: &mut MultiplexedConnection) -> redis::RedisResult<String> {
    let info: String = redis::cmd("INFO").arg("replication").query_async(connection).await?;
    if field(&info, "role:") != "master" {
        return Err((redis::ErrorKind::Io, "the node is no primary").into());
    }
    Ok(field(&info, "master_replid:"))
}

/// A field of an `INFO` answer; empty if it is not there.
fn field(info: &str, name: &str) -> String {
    info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

//! Connections that never grow older than 30 s: a deposed primary can be spoken to only so long after a failover, and
//! the drain margin of a rebuild covers it (docs/PROTOCOL.md, section 2).

use super::{contact::StoreContact, reply::ScriptReply};
use crate::{Error, Result};
use redis::{AsyncConnectionConfig, Client, ScriptInvocation, aio::MultiplexedConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Long enough for a primary that is busy, short enough for a request to be answered within its deadline.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
/// How soon after a failed connect the next is tried.
const RETRY: Duration = Duration::from_millis(200);

/// How scripts learn which node they run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReplicationId {
    /// The script asks (`INFO replication`, about 6 µs). Always right.
    #[default]
    Script,
    /// For services that refuse `INFO` in scripts: it is read once per connection, passed along, and read again behind
    /// every answer, which counts only if it is still the same. Ids are drawn anew at every promotion and never repeat,
    /// so it was the same throughout. Costs a second round trip.
    Connection,
}

#[derive(Clone)]
pub(super) struct RedisConnections {
    client: Client,
    id: ReplicationId,
    max_age: Duration,
    contact: StoreContact,
    current: Arc<Mutex<CurrentConnection>>,
}

#[derive(Default)]
struct CurrentConnection {
    live: Option<LiveConnection>,
    /// The last connect failed, then and so: who waited for it is not made to wait for another.
    failed: Option<(Instant, Error)>,
}

#[derive(Clone)]
struct LiveConnection {
    since: Instant,
    connection: MultiplexedConnection,
    replication_id: String,
}

impl RedisConnections {
    pub(super) fn new(url: &str, id: ReplicationId, max_age: Duration, contact: StoreContact) -> Result<Self> {
        let client = Client::open(url).map_err(|e| Error::seats("the Redis URL cannot be read", e))?;
        Ok(Self { client, id, max_age, contact, current: Arc::default() })
    }

    /// Runs one script call, of a script that may write or only reads. A connection that turns out to be broken is
    /// replaced once; a silent server is not asked twice.
    pub(super) async fn run<'a>(
        &self,
        writes: bool,
        call: impl Fn(&str) -> ScriptInvocation<'a>,
    ) -> Result<ScriptReply> {
        let _asking = self.contact.ask();
        let mut tries = 0;
        loop {
            tries += 1;
            let mut live = self.get().await?;
            let answer: redis::RedisResult<redis::Value> =
                call(&live.replication_id).invoke_async(&mut live.connection).await;
            match answer {
                Ok(value) => {
                    let reply = ScriptReply::new(value)?;
                    if reply.is("READONLY") || !self.is_still(&mut live).await {
                        self.contact.missed(false);
                        self.forget(&live).await;
                        return Err(Error::Seats("the node is no primary, or was replaced meanwhile".into()));
                    }
                    self.contact.heard(writes);
                    return Ok(reply);
                }
                Err(e) => {
                    // Whatever went wrong with this connection or node, the next caller starts afresh.
                    let silent = e.is_io_error() || e.is_timeout() || e.is_connection_dropped();
                    if silent || e.code() == Some("READONLY") {
                        self.forget(&live).await;
                    }
                    // An error is no answer: whoever asked for a lease did not get it (MISCONF, NOREPLICAS,
                    // CLUSTERDOWN, LOADING, BUSY, NOPERM, what a proxy says, ...). But where only memory is short who
                    // holds a seat is let through.
                    if e.code() == Some("OOM") {
                        self.contact.heard(true);
                    } else {
                        self.contact.missed(!silent);
                    }
                    if tries > 1 || e.is_timeout() || !silent {
                        return Err(Error::seats("running a script failed", e));
                    }
                }
            }
        }
    }

    /// Whether the node that answered is the one whose id the script was given.
    async fn is_still(&self, live: &mut LiveConnection) -> bool {
        self.id == ReplicationId::Script
            || replication_id(&mut live.connection).await.is_ok_and(|id| id == live.replication_id)
    }

    /// The service's clock as it takes seats away: it stands still while and just after the store was away.
    pub(super) fn held_clock_ms(&self) -> i64 {
        self.contact.held_clock_ms()
    }

    pub(super) async fn ping(&self) -> Result<()> {
        let mut live = self.get().await?;
        let answer: redis::RedisResult<String> =
            redis::cmd("INFO").arg("memory").query_async(&mut live.connection).await;
        if answer.is_err() {
            self.forget(&live).await;
        }
        // With any other policy Redis drops live seats when it is full.
        match field(&answer.map_err(|e| Error::seats("INFO was not answered", e))?, "maxmemory_policy:").as_str() {
            "noeviction" | "" => Ok(()),
            other => Err(Error::Seats(format!("maxmemory-policy is {other} and must be noeviction").into())),
        }
    }

    /// The current connection, or a new one where there is none young enough. Callers wait for one connect, not many.
    async fn get(&self) -> Result<LiveConnection> {
        let mut current = self.current.lock().await;
        if let Some(live) = current.live.as_ref().filter(|live| live.since.elapsed() < self.max_age) {
            return Ok(live.clone());
        }
        current.live = None;
        if let Some((_, error)) = current.failed.as_ref().filter(|(at, _)| at.elapsed() < RETRY) {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(live) => {
                current.failed = None;
                Ok(current.live.insert(live).clone())
            }
            Err(e) => {
                self.contact.missed(false);
                let error = Error::seats("no connection to Redis was made", e);
                current.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> redis::RedisResult<LiveConnection> {
        // The age counts from before the connect: the other end may be deposed at any time after.
        let since = Instant::now();
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(ANSWER));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let replication_id = match self.id {
            ReplicationId::Script => String::new(),
            ReplicationId::Connection => replication_id(&mut connection).await?,
        };
        Ok(LiveConnection { since, connection, replication_id })
    }

    async fn forget(&self, broken: &LiveConnection) {
        let mut current = self.current.lock().await;
        if current.live.as_ref().is_some_and(|live| live.since == broken.since) {
            current.live = None;
        }
    }
}

/// The replication id of a primary.
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

//! Looks at both Redis nodes all the time: which epoch's copy was there, and when it was first seen.
//!
//! A rebuild is in the records before its
//! copy is in Redis, and a rebuilder may die or stand still in between.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::AbortHandle;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(15);
/// A node that does not answer is asked again after this.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a copy of an epoch was first seen on the node at a port, and the stamp it bore.
pub type Copies = BTreeMap<(i64, u16), (Instant, String)>;

/// A look that goes on until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Copies>>,
    looking: Vec<AbortHandle>,
}

impl Watch {
    /// Looks at the key `h` of a pool on nodes at these ports.
    pub fn begin(ports: &[u16], key: &str) -> Self {
        let seen = Arc::<Mutex<Copies>>::default();
        let look = |port: &u16| tokio::spawn(look(*port, key.to_owned(), seen.clone())).abort_handle();
        let looking = ports.iter().map(look).collect();
        Self { seen, looking }
    }

    /// Each epoch of which a copy was seen on a node, and when it was first.
    pub fn seen(&self) -> Copies {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.iter().for_each(AbortHandle::abort);
    }
}

async fn look(port: u16, key: String, seen: Arc<Mutex<Copies>>) {
    loop {
        // Whatever went wrong with the node, it is asked again.
        let _ = looks(port, &key, &seen).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn looks(port: u16, key: &str, seen: &Mutex<Copies>) -> redis::RedisResult<()> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let config =
        redis::AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    loop {
        let copy: (Option<i64>, Option<String>) =
            redis::cmd("HMGET").arg(key).arg("epoch").arg("stamp").query_async(&mut connection).await?;
        if let (Some(epoch), Some(stamp)) = copy {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry((epoch, port))
                .or_insert_with(|| (Instant::now(), stamp));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

//! A TCP proxy with faults that are set while it runs.
//!
//! * `stream.rs` carries bytes it does not understand, between functions and stores: a fault meets whatever is sent next
//! * `http.rs` carries whole requests, between clients and functions: it can also send one again, or hold several and change their order
//!
//! What makes no sense for a stream of bytes is not done there: nothing in the middle of a connection can be left out or swapped without
//! breaking it. A request that is dropped therefore takes its connection with it, and a duplicate of bytes travels over a connection of
//! its own, to which nobody listens.

pub mod fault;
mod http;
mod stream;

pub use fault::Fault;

use crate::{
    asked::Passages,
    troubles::{Kind, Troubles},
};
use fault::Faults;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::AbortHandle,
};

/// Where a proxy leads.
#[derive(Clone, Debug)]
pub enum Upstream {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// HTTP only: the last word of the path says where.
    Paths(BTreeMap<&'static str, SocketAddr>),
}

/// A running proxy; ends, with all it carries, when dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    place: Mutex<Place>,
    faults: Faults,
    /// What was wrong on this way.
    troubles: Troubles,
    /// Questions that were sent on.
    passages: Passages,
    /// Connections that led to an earlier place than this one end.
    oldest: watch::Sender<Oldest>,
}

/// Where new connections lead.
struct Place {
    upstream: Upstream,
    /// The how-manieth place this is.
    number: u64,
    /// From when on nothing is taken to an earlier place.
    drained: Option<Instant>,
}

/// Which connections may live on.
#[derive(Clone, Copy, Default)]
struct Oldest {
    place: u64,
    /// Rises with every cut of all connections.
    cuts: u64,
}

impl Proxy {
    /// Carries bytes to `upstream`.
    pub async fn stream(upstream: Upstream) -> Self {
        let (proxy, listener) = Self::made(upstream).await;
        proxy.accept(listener, stream::carry)
    }

    /// Carries HTTP requests, one to a connection, to `upstream`.
    pub async fn http(upstream: Upstream) -> Self {
        let (proxy, listener) = Self::made(upstream).await;
        let held = http::Held::default();
        proxy.accept(listener, move |shared, client| http::carry(shared, client, held.clone()))
    }

    async fn made(upstream: Upstream) -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().unwrap().port();
        let oldest = watch::channel(Oldest::default()).0;
        let place = Mutex::new(Place { upstream, number: 0, drained: None });
        let shared = Arc::new(Shared {
            place,
            faults: Faults::default(),
            troubles: Troubles::default(),
            passages: Passages::default(),
            oldest,
        });
        (Self { port, shared, accepting: tokio::spawn(async {}).abort_handle() }, listener)
    }

    fn accept<F: Future<Output = ()> + Send + 'static>(
        mut self,
        listener: TcpListener,
        carry: impl Fn(Arc<Shared>, TcpStream) -> F + Send + 'static,
    ) -> Self {
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let _ = client.set_nodelay(true);
                let shared = shared.clone();
                tokio::spawn(carry(shared, client));
            }
        });
        self.accepting = task.abort_handle();
        self
    }

    /// The port of 127.0.0.1 it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on this happens to what is carried; [`Fault::Cut`] happens at once.
    pub fn fault(&self, fault: Fault) {
        match fault {
            // Until then something may fail, or be answered late; what happens only to what is sent next is written down there.
            Fault::HalfOpen { lasting } => self.shared.troubles.lasting(Kind::Away, lasting),
            Fault::Delay { by, lasting } => self.shared.troubles.lasting(Kind::Away, lasting + 2 * by),
            Fault::Cut => self.shared.troubles.lasting(Kind::Away, Duration::ZERO),
            _ => {}
        }
        match fault {
            Fault::Cut => self.shared.oldest.send_modify(|oldest| oldest.cuts += 1),
            other => self.shared.faults.set(other),
        }
    }

    /// No fault from now on.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// Faults that met something so far.
    pub fn met(&self) -> usize {
        self.shared.faults.met()
    }

    /// What was wrong on this way so far.
    pub fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }

    /// The questions that were sent on.
    pub fn passages(&self) -> &Passages {
        &self.shared.passages
    }

    /// New connections lead there; those there are stay where they are, and nothing more is taken there once `drain` is over.
    pub fn repoint(&self, upstream: Upstream, drain: Option<Duration>) {
        let mut place = self.shared.place();
        let drained = drain.map(|drain| Instant::now() + drain);
        *place = Place { upstream, number: place.number + 1, drained };
    }

    /// Ends connections to wherever it led before it was last repointed.
    pub fn cut_old(&self) {
        let place = self.shared.place().number;
        self.shared.oldest.send_modify(|oldest| oldest.place = place);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.oldest.send_modify(|oldest| oldest.place = u64::MAX);
    }
}

impl Shared {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self) -> (Upstream, u64) {
        let place = self.place();
        (place.upstream.clone(), place.number)
    }

    /// Whether nothing more may be taken to this place. Looked at for everything that passes: a timer that a busy machine runs late would
    /// keep an old place reachable for longer than was promised.
    fn is_drained(&self, number: u64) -> bool {
        let place = self.place();
        place.number > number && place.drained.is_some_and(|drained| Instant::now() >= drained)
    }

    /// Resolves when a connection to `place` that began with these `cuts` has to end.
    async fn over(&self, place: u64, cuts: u64) {
        let mut oldest = self.oldest.subscribe();
        let _ = oldest.wait_for(|oldest| oldest.place > place || oldest.cuts != cuts).await;
    }

    fn cuts(&self) -> u64 {
        self.oldest.borrow().cuts
    }
}

/// The other side, whatever kind of socket it is on.
enum Server {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Server {
    async fn connect(upstream: &Upstream, path: &str) -> std::io::Result<Self> {
        let address = match upstream {
            Upstream::Unix(path) => return Ok(Self::Unix(UnixStream::connect(path).await?)),
            Upstream::Tcp(address) => Some(address),
            Upstream::Paths(paths) => paths.get(path.rsplit('/').next().unwrap_or_default()),
        };
        let address = address.ok_or(std::io::ErrorKind::NotFound)?;
        let stream = TcpStream::connect(address).await?;
        let _ = stream.set_nodelay(true);
        Ok(Self::Tcp(stream))
    }

    fn split(self) -> (Box<dyn tokio::io::AsyncRead + Send + Unpin>, Box<dyn tokio::io::AsyncWrite + Send + Unpin>) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
            Self::Unix(stream) => {
                let (read, write) = stream.into_split();
                (Box::new(read), Box::new(write))
            }
        }
    }
}

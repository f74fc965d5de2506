//! Room: how many connections a process keeps, whose they are, and which of them makes room for a new one.
//!
//! A connection that waits for its client, be it for a head, for a body or for an answer to be taken, may be closed for
//! another. One whose request is being worked on may not. Where room is scarce, the address that has most connections
//! gives one up, that which has waited longest: whoever opens a thousand closes their own, and many machines behind one
//! address are cut off by nobody as long as there is room.

use super::{address::client_bucket, rare_warning::RareWarning};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

/// The most connections a process keeps.
const MOST: usize = 4096;
/// How many files a process wants to be allowed to open: as many again for stores and everything else.
#[cfg(unix)]
const FILES: u64 = 2 * MOST as u64;
/// So long every connection is waited for, however many others want its place: a client that means it well has sent its
/// head by then, and whoever comes faster than that waits in the system's queue.
pub(super) const LEAST: Duration = Duration::from_millis(250);
/// How long the system is left alone after it could not accept a connection, unless one ends before.
const BREATH: Duration = Duration::from_millis(100);

/// Room for so many connections at once.
#[derive(Debug)]
pub struct ConnectionRoom {
    most: usize,
    /// The most of them that one address may have.
    share: usize,
    table: Mutex<PlaceTable>,
    /// A place is free, or there is one more that could be.
    changed: Notify,
}

#[derive(Debug, Default)]
struct PlaceTable {
    taken: usize,
    /// How many waits there were: each has its number, the longest the lowest.
    waits: u64,
    /// Asked to leave, and not gone.
    leaving: usize,
    /// Listeners that wait for a place.
    wanted: usize,
    /// Closed for others since it was last said.
    closed: u64,
    addresses: HashMap<Arc<str>, AddressShare>,
}

/// What one address has.
#[derive(Debug, Default)]
struct AddressShare {
    places: usize,
    waiting: BTreeMap<u64, PlaceWait>,
}

#[derive(Debug)]
struct PlaceWait {
    for_what: PlaceUse,
    since: Instant,
    waker: Option<Waker>,
}

/// Who makes room.
enum EvictionNotice {
    One,
    /// Somebody will, then at the earliest.
    NotBefore(Instant),
    Nobody,
}

/// What a listener hears that asks for a place.
enum PlaceAnswer {
    Taken(ConnectionPlace),
    /// The address has its share, and none of its connections can leave.
    Refused,
    /// For a change, or until a connection may be asked to leave.
    Wait {
        until: Option<Instant>,
    },
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceUse {
    /// A request: nothing is lost when it ends.
    Request,
    /// The rest of a body, or for an answer to be taken.
    Client,
}

/// The connection of a request was needed for others: its body ends with this error.
#[derive(Clone, Copy, Debug)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was needed for others")
    }
}

impl std::error::Error for NoRoom {}

impl ConnectionRoom {
    /// For so many connections, of which one address may have `share`.
    pub fn new(connections: usize, share: usize) -> Self {
        Self { most: connections.max(1), share: share.max(1), table: Mutex::default(), changed: Notify::new() }
    }

    /// The room of this process, which all its listeners share: for 4096, or for three quarters of the files it may
    /// open where that is less, since its own connections to stores need some too. The system's soft limit of files is
    /// raised first.
    ///
    /// One address may have half of it, unless there are `proxies` of ours in front: then the addresses are theirs, and
    /// everybody comes from them.
    pub fn of_process(proxies: u8) -> Arc<Self> {
        static ROOM: OnceLock<Arc<ConnectionRoom>> = OnceLock::new();
        let made = ROOM.get_or_init(|| {
            let most = MOST.min(files() / 4 * 3).max(1);
            Arc::new(Self::new(most, if proxies == 0 { most.div_ceil(2) } else { most }))
        });
        Arc::clone(made)
    }

    /// For how many connections it is.
    pub fn connections(&self) -> usize {
        self.most
    }

    fn table(&self) -> MutexGuard<'_, PlaceTable> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `ip`, as soon as there is one. `None`: that address has its share, and waits with
    /// none of them.
    pub(super) async fn place(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionPlace> {
        let whose: Arc<str> = client_bucket(ip).into();
        let mut wanted = None;
        loop {
            let changed = self.changed.notified();
            let mut changed = pin!(changed);
            changed.as_mut().enable();
            match self.try_place(&whose, &mut wanted) {
                PlaceAnswer::Taken(place) => return Some(place),
                PlaceAnswer::Refused => {
                    refused(self.share);
                    return None;
                }
                PlaceAnswer::Wait { until: Some(then) } => {
                    tokio::select! { () = changed => {}, () = sleep_until(then) => {} }
                }
                PlaceAnswer::Wait { until: None } => changed.await,
            }
        }
    }

    /// A place if there is one now. Where there is none a connection is asked to leave, once for each listener that
    /// waits: `wanted` says that this one does.
    fn try_place<'a>(self: &'a Arc<Self>, whose: &Arc<str>, wanted: &mut Option<WantedPlace<'a>>) -> PlaceAnswer {
        let mut table = self.table();
        let over = table.addresses.get(whose).is_some_and(|held| held.places >= self.share);
        if table.taken < self.most && !over {
            table.taken += 1;
            table.addresses.entry(Arc::clone(whose)).or_default().places += 1;
            let wait = AtomicU64::new(0);
            return PlaceAnswer::Taken(ConnectionPlace { room: Arc::clone(self), whose: Arc::clone(whose), wait });
        }
        if wanted.is_none() {
            table.wanted += 1;
            *wanted = Some(WantedPlace(self));
        }
        let mut until = None;
        if table.leaving < table.wanted {
            match table.evict(over.then_some(whose)) {
                EvictionNotice::NotBefore(then) => until = Some(then),
                EvictionNotice::Nobody if over && table.leaving == 0 => return PlaceAnswer::Refused,
                EvictionNotice::One | EvictionNotice::Nobody => {}
            }
        }
        table.say(self.most);
        PlaceAnswer::Wait { until }
    }

    /// Makes room although there should be some: the system has none.
    pub(super) async fn make(&self) {
        let changed = self.changed.notified();
        let mut changed = pin!(changed);
        changed.as_mut().enable();
        let evicted = self.table().evict(None);
        if matches!(evicted, EvictionNotice::One) {
            // It goes within the moment.
            let _ = timeout(BREATH, changed).await;
        } else {
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Closes every connection that waits for a request.
    pub(super) fn close(&self) {
        let mut table = self.table();
        let mut left = 0;
        for held in table.addresses.values_mut() {
            held.waiting.retain(|_, wait| {
                let stays = wait.for_what != PlaceUse::Request;
                if !stays {
                    left += 1;
                    wait.waker.take().into_iter().for_each(Waker::wake);
                }
                stays
            });
        }
        table.leaving += left;
    }
}

impl PlaceTable {
    /// Asks the connection to leave that has waited longest, of this address or of the one that has most.
    fn evict(&mut self, of: Option<&Arc<str>>) -> EvictionNotice {
        let held = match of {
            Some(whose) => self.addresses.get_mut(whose),
            None => {
                let first = |held: &AddressShare| {
                    held.waiting.first_key_value().map_or(u64::MAX, |(&number, _)| u64::MAX - number)
                };
                let waiting = self.addresses.values_mut().filter(|held| !held.waiting.is_empty());
                waiting.max_by_key(|held| (held.places, first(held)))
            }
        };
        let Some(first) = held.and_then(|held| held.waiting.first_entry()) else { return EvictionNotice::Nobody };
        let then = first.get().since + LEAST;
        if then > Instant::now() {
            return EvictionNotice::NotBefore(then);
        }
        first.remove().waker.into_iter().for_each(Waker::wake);
        self.leaving += 1;
        self.closed += 1;
        EvictionNotice::One
    }

    fn say(&mut self, most: usize) {
        static SAID: RareWarning = RareWarning::new();
        if SAID.due(std::time::Instant::now()) {
            let busiest = self.addresses.values().map(|held| held.places).max().unwrap_or(0);
            let (addresses, closed) = (self.addresses.len(), std::mem::take(&mut self.closed));
            tracing::warn!(
                most,
                addresses,
                busiest,
                closed,
                "no room for another connection: those that have waited longest for their clients are closed"
            );
        }
    }
}

fn refused(share: usize) {
    static SAID: RareWarning = RareWarning::new();
    if SAID.due(std::time::Instant::now()) {
        tracing::warn!(
            share,
            "an address has its share of connections, all with requests under way: new ones of it are closed"
        );
    }
}

/// A listener waits for a place.
struct WantedPlace<'a>(&'a ConnectionRoom);

impl Drop for WantedPlace<'_> {
    fn drop(&mut self) {
        self.0.table().wanted -= 1;
    }
}

/// A connection's place. Its request is under way until it says that it waits.
#[derive(Debug)]
pub(super) struct ConnectionPlace {
    room: Arc<ConnectionRoom>,
    whose: Arc<str>,
    /// The number of its wait; 0 while its request is under way. Only the connection's own task looks at it.
    wait: AtomicU64,
}

impl ConnectionPlace {
    /// The client is what it waits for. Said again, it has waited since the first time.
    pub(super) fn waits(&self, for_what: PlaceUse) {
        let mut table = self.room.table();
        let before = self.wait.load(Ordering::Relaxed);
        let number = if before == 0 { table.waits + 1 } else { before };
        table.waits = table.waits.max(number);
        let Some(held) = table.addresses.get_mut(&self.whose) else { return };
        if before != 0 {
            // One that was asked to leave has no wait any more.
            held.waiting.entry(before).and_modify(|wait| wait.for_what = for_what);
            return;
        }
        held.waiting.insert(number, PlaceWait { for_what, since: Instant::now(), waker: None });
        let wanted = table.wanted > 0;
        drop(table);
        self.wait.store(number, Ordering::Relaxed);
        if wanted {
            self.room.changed.notify_waiters();
        }
    }

    /// Its client has done its part. Where it was asked to leave, another is asked in its place.
    pub(super) fn works(&self) {
        let number = self.wait.swap(0, Ordering::Relaxed);
        if number != 0 && self.room.table().ends(&self.whose, number) {
            self.room.changed.notify_waiters();
        }
    }

    /// Ready when others need its place.
    pub(super) fn poll_leave(&self, cx: &mut Context<'_>) -> Poll<()> {
        let number = self.wait.load(Ordering::Relaxed);
        if number == 0 {
            return Poll::Pending;
        }
        let mut table = self.room.table();
        let Some(wait) = table.addresses.get_mut(&self.whose).and_then(|held| held.waiting.get_mut(&number)) else {
            return Poll::Ready(());
        };
        match &mut wait.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl PlaceTable {
    /// A wait is over. True where its connection had been asked to leave.
    fn ends(&mut self, whose: &Arc<str>, number: u64) -> bool {
        let asked = self.addresses.get_mut(whose).is_some_and(|held| held.waiting.remove(&number).is_none());
        self.leaving -= usize::from(asked);
        asked
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let number = self.wait.load(Ordering::Relaxed);
        let mut table = self.room.table();
        if number != 0 {
            table.ends(&self.whose, number);
        }
        table.taken -= 1;
        if let Some(held) = table.addresses.get_mut(&self.whose) {
            held.places -= 1;
            if held.places == 0 {
                table.addresses.remove(&self.whose);
            }
        }
        drop(table);
        self.room.changed.notify_waiters();
    }
}

/// How many files this process may open, after its soft limit was raised as far as it needs and may.
#[cfg(unix)]
fn files() -> usize {
    use rustix::process::{Resource::Nofile, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Nofile);
    let wanted = FILES.min(maximum.unwrap_or(FILES));
    let raised = current.filter(|now| *now < wanted).and_then(|_| {
        let limit = Rlimit { current: Some(wanted), maximum };
        setrlimit(Nofile, limit).ok().map(|()| wanted)
    });
    raised.or(current).and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn files() -> usize {
    usize::MAX
}

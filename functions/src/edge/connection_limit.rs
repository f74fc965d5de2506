//! How many connections a process keeps, whose they are, and which of them is closed for a new one. Each has a slot.
//!
//! A connection that waits for its client, be it for a head, for a body or for an answer to be taken, may be closed for
//! another. One whose request is being worked on may not. Where slots are scarce, the address that has most connections
//! gives one up, that which has waited longest: whoever opens a thousand closes their own, and many machines behind one
//! address are cut off by nobody as long as a slot is free.

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
const MOST_CONNECTIONS: usize = 4096;
/// How many files a process wants to be allowed to open: as many again for stores and everything else.
#[cfg(unix)]
const FILES: u64 = 2 * MOST_CONNECTIONS as u64;
/// So long every connection is waited for, however many others want its slot: a client that means it well has sent its
/// head by then, and whoever comes faster than that waits in the system's queue.
pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// How long the system is left alone after it could not accept a connection, unless one ends before.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The slots for so many connections at once.
#[derive(Debug)]
pub struct ConnectionSlots {
    most: usize,
    /// The most of them that one address may have.
    share: usize,
    table: Mutex<SlotTable>,
    /// A slot is free, or there is one more that could be.
    changed: Notify,
}

#[derive(Debug, Default)]
struct SlotTable {
    taken: usize,
    /// How many waits there were: each has its number, the longest the lowest.
    waits: u64,
    /// Asked to leave, and not gone.
    leaving: usize,
    /// Listeners that wait for a slot.
    wanted: usize,
    /// Closed for others since it was last said.
    closed: u64,
    addresses: HashMap<Arc<str>, AddressShare>,
}

/// What one address has.
#[derive(Debug, Default)]
struct AddressShare {
    slots: usize,
    waiting: BTreeMap<u64, SlotWait>,
}

#[derive(Debug)]
struct SlotWait {
    for_what: SlotUse,
    since: Instant,
    waker: Option<Waker>,
}

/// Which connection is asked to leave.
enum EvictionNotice {
    One,
    /// Somebody will, then at the earliest.
    NotBefore(Instant),
    Nobody,
}

/// What a listener hears that asks for a slot.
enum SlotAnswer {
    Taken(ConnectionSlot),
    /// The address has its share, and none of its connections can leave.
    Refused,
    /// For a change, or until a connection may be asked to leave.
    Wait {
        until: Option<Instant>,
    },
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotUse {
    /// A request: nothing is lost when it ends.
    Request,
    /// The rest of a body, or for an answer to be taken.
    Client,
}

/// The connection of a request was needed for others: its body ends with this error.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionEvicted;

impl fmt::Display for ConnectionEvicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was needed for others")
    }
}

impl std::error::Error for ConnectionEvicted {}

impl ConnectionSlots {
    /// For so many connections, of which one address may have `share`.
    pub fn new(connections: usize, share: usize) -> Self {
        Self { most: connections.max(1), share: share.max(1), table: Mutex::default(), changed: Notify::new() }
    }

    /// The slots of this process, which all its listeners share: for 4096, or for three quarters of the files it may
    /// open where that is less, since its own connections to stores need some too. The system's soft limit of files is
    /// raised first.
    ///
    /// One address may have half of it, unless there are `proxies` of ours in front: then the addresses are theirs, and
    /// everybody comes from them.
    pub fn of_process(proxies: u8) -> Arc<Self> {
        static SLOTS: OnceLock<Arc<ConnectionSlots>> = OnceLock::new();
        let made = SLOTS.get_or_init(|| {
            let most = MOST_CONNECTIONS.min(files() / 4 * 3).max(1);
            Arc::new(Self::new(most, if proxies == 0 { most.div_ceil(2) } else { most }))
        });
        Arc::clone(made)
    }

    /// For how many connections it is.
    pub fn connections(&self) -> usize {
        self.most
    }

    fn table(&self) -> MutexGuard<'_, SlotTable> {
        // Nothing panics while it is held.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a connection from `ip`, as soon as there is one. `None`: that address has its share, and waits with
    /// none of them.
    pub(super) async fn slot(self: &Arc<Self>, ip: IpAddr) -> Option<ConnectionSlot> {
        let whose: Arc<str> = client_bucket(ip).into();
        let mut wanted = None;
        loop {
            let changed = self.changed.notified();
            let mut changed = pin!(changed);
            changed.as_mut().enable();
            match self.try_slot(&whose, &mut wanted) {
                SlotAnswer::Taken(slot) => return Some(slot),
                SlotAnswer::Refused => {
                    refused(self.share);
                    return None;
                }
                SlotAnswer::Wait { until: Some(then) } => {
                    tokio::select! { () = changed => {}, () = sleep_until(then) => {} }
                }
                SlotAnswer::Wait { until: None } => changed.await,
            }
        }
    }

    /// A slot if there is one now. Where there is none a connection is asked to leave, once for each listener that
    /// waits: `wanted` says that this one does.
    fn try_slot<'a>(self: &'a Arc<Self>, whose: &Arc<str>, wanted: &mut Option<WantedSlot<'a>>) -> SlotAnswer {
        let mut table = self.table();
        let over = table.addresses.get(whose).is_some_and(|held| held.slots >= self.share);
        if table.taken < self.most && !over {
            table.taken += 1;
            table.addresses.entry(Arc::clone(whose)).or_default().slots += 1;
            let wait = AtomicU64::new(0);
            return SlotAnswer::Taken(ConnectionSlot { slots: Arc::clone(self), whose: Arc::clone(whose), wait });
        }
        if wanted.is_none() {
            table.wanted += 1;
            *wanted = Some(WantedSlot(self));
        }
        let mut until = None;
        if table.leaving < table.wanted {
            match table.evict(over.then_some(whose)) {
                EvictionNotice::NotBefore(then) => until = Some(then),
                EvictionNotice::Nobody if over && table.leaving == 0 => return SlotAnswer::Refused,
                EvictionNotice::One | EvictionNotice::Nobody => {}
            }
        }
        table.say(self.most);
        SlotAnswer::Wait { until }
    }

    /// Asks a connection to leave although slots should be free: the system accepts no other.
    pub(super) async fn evict_one(&self) {
        let changed = self.changed.notified();
        let mut changed = pin!(changed);
        changed.as_mut().enable();
        let evicted = self.table().evict(None);
        if matches!(evicted, EvictionNotice::One) {
            // It goes within the moment.
            let _ = timeout(ACCEPT_PAUSE, changed).await;
        } else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }

    /// Closes every connection that waits for a request.
    pub(super) fn close(&self) {
        let mut table = self.table();
        let mut left = 0;
        for held in table.addresses.values_mut() {
            held.waiting.retain(|_, wait| {
                let stays = wait.for_what != SlotUse::Request;
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

impl SlotTable {
    /// Asks the connection to leave that has waited longest, of this address or of the one that has most.
    fn evict(&mut self, of: Option<&Arc<str>>) -> EvictionNotice {
        let held = match of {
            Some(whose) => self.addresses.get_mut(whose),
            None => {
                let first = |held: &AddressShare| {
                    held.waiting.first_key_value().map_or(u64::MAX, |(&number, _)| u64::MAX - number)
                };
                let waiting = self.addresses.values_mut().filter(|held| !held.waiting.is_empty());
                waiting.max_by_key(|held| (held.slots, first(held)))
            }
        };
        let Some(first) = held.and_then(|held| held.waiting.first_entry()) else { return EvictionNotice::Nobody };
        let then = first.get().since + SHORTEST_WAIT;
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
            let busiest = self.addresses.values().map(|held| held.slots).max().unwrap_or(0);
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

/// A listener waits for a slot.
struct WantedSlot<'a>(&'a ConnectionSlots);

impl Drop for WantedSlot<'_> {
    fn drop(&mut self) {
        self.0.table().wanted -= 1;
    }
}

/// A connection's slot. Its request is under way until it says that it waits.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    whose: Arc<str>,
    /// The number of its wait; 0 while its request is under way. Only the connection's own task looks at it.
    wait: AtomicU64,
}

impl ConnectionSlot {
    /// The client is what it waits for. Said again, it has waited since the first time.
    pub(super) fn waits(&self, for_what: SlotUse) {
        let mut table = self.slots.table();
        let before = self.wait.load(Ordering::Relaxed);
        let number = if before == 0 { table.waits + 1 } else { before };
        table.waits = table.waits.max(number);
        let Some(held) = table.addresses.get_mut(&self.whose) else { return };
        if before != 0 {
            // One that was asked to leave has no wait any more.
            held.waiting.entry(before).and_modify(|wait| wait.for_what = for_what);
            return;
        }
        held.waiting.insert(number, SlotWait { for_what, since: Instant::now(), waker: None });
        let wanted = table.wanted > 0;
        drop(table);
        self.wait.store(number, Ordering::Relaxed);
        if wanted {
            self.slots.changed.notify_waiters();
        }
    }

    /// Its client has done its part. Where it was asked to leave, another is asked in its place.
    pub(super) fn works(&self) {
        let number = self.wait.swap(0, Ordering::Relaxed);
        if number != 0 && self.slots.table().ends(&self.whose, number) {
            self.slots.changed.notify_waiters();
        }
    }

    /// Ready when others need its slot.
    pub(super) fn poll_leave(&self, cx: &mut Context<'_>) -> Poll<()> {
        let number = self.wait.load(Ordering::Relaxed);
        if number == 0 {
            return Poll::Pending;
        }
        let mut table = self.slots.table();
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

impl SlotTable {
    /// A wait is over. True where its connection had been asked to leave.
    fn ends(&mut self, whose: &Arc<str>, number: u64) -> bool {
        let asked = self.addresses.get_mut(whose).is_some_and(|held| held.waiting.remove(&number).is_none());
        self.leaving -= usize::from(asked);
        asked
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let number = self.wait.load(Ordering::Relaxed);
        let mut table = self.slots.table();
        if number != 0 {
            table.ends(&self.whose, number);
        }
        table.taken -= 1;
        if let Some(held) = table.addresses.get_mut(&self.whose) {
            held.slots -= 1;
            if held.slots == 0 {
                table.addresses.remove(&self.whose);
            }
        }
        drop(table);
        self.slots.changed.notify_waiters();
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

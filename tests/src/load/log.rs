//! The belief log: every span of time in which a process, by its own clock, relied on its lease.

use license_core::{
    Clock,
    domain::id::{Attempt, Holder, SeatNo, SessionId},
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What one session's process believed, in microseconds since the log began.
#[derive(Clone, Debug)]
pub struct Belief {
    pub session: SessionId,
    pub holder: Holder,
    pub seat: SeatNo,
    pub label: String,
    pub spans: Vec<(i64, i64)>,
}

/// One clock and one list for all processes of a run.
pub struct BeliefLog {
    began: Instant,
    began_ms: i64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    beliefs: HashMap<SessionId, Belief>,
    attempts: HashMap<(Holder, Attempt), SessionId>,
    renamed: Vec<(SessionId, String)>,
    broken: Vec<String>,
    compared: usize,
}

impl Default for BeliefLog {
    fn default() -> Self {
        Self { began: Instant::now(), began_ms: Clock::system().now_ms(), inner: Mutex::default() }
    }
}

impl BeliefLog {
    /// A process was told that it holds a seat: it believes from now until `lease` after it sent the request, if that is still to come.
    pub fn seated(&self, belief: &Belief, attempt: Attempt, sent: Instant, lease: Duration) {
        let now = self.at(Instant::now());
        let mut inner = self.lock();
        let before = inner.attempts.insert((belief.holder, attempt), belief.session);
        if let Some(other) = before.filter(|other| *other != belief.session) {
            let still = inner.beliefs.get(&other).is_some_and(|b| b.spans.iter().any(|s| s.1 > now));
            if still {
                let what = format!("S9: {} has {other} and for the same attempt {}", belief.label, belief.session);
                inner.renamed.push((other, what));
            }
        }
        inner.beliefs.entry(belief.session).or_insert_with(|| Belief { spans: Vec::new(), ..belief.clone() });
        drop(inner);
        self.extended(belief.session, sent, lease);
    }

    /// A heartbeat was answered.
    pub fn extended(&self, session: SessionId, sent: Instant, lease: Duration) {
        let (now, until) = (self.at(Instant::now()), self.at(sent + lease));
        if until > now {
            self.lock().beliefs.get_mut(&session).expect("a session begins with its seat").spans.push((now, until));
        }
    }

    /// The process stops believing: it is about to release, or was refused.
    pub fn dropped(&self, session: SessionId) {
        let now = self.at(Instant::now());
        if let Some(belief) = self.lock().beliefs.get_mut(&session) {
            belief.spans.retain(|span| span.0 < now);
            for span in &mut belief.spans {
                span.1 = span.1.min(now);
            }
        }
    }

    /// A machine is switched off: nobody on it believes any more.
    pub fn off(&self, holder: Holder) {
        let sessions: Vec<SessionId> = {
            let inner = self.lock();
            inner.beliefs.values().filter(|belief| belief.holder == holder).map(|belief| belief.session).collect()
        };
        sessions.into_iter().for_each(|session| self.dropped(session));
    }

    /// The process was told that its session is gone, without having released it.
    pub fn gone(&self, session: SessionId, reason: &str) {
        let now = self.at(Instant::now());
        let mut inner = self.lock();
        let until = inner.beliefs.get(&session).into_iter().flat_map(|b| &b.spans).map(|s| s.1).max().unwrap_or(0);
        if until > now && reason != "kicked" {
            inner
                .broken
                .push(format!("S8: {session} was told {reason:?} {} ms before its lease ended", (until - now) / 1000));
        }
        drop(inner);
        self.dropped(session);
    }

    /// Until when each session believes that believes now.
    pub fn believed(&self) -> HashMap<SessionId, i64> {
        let now = self.at(Instant::now());
        let until = |b: &Belief| b.spans.iter().filter(|s| s.0 <= now && now < s.1).map(|s| s.1).max();
        self.lock().beliefs.values().filter_map(|b| Some((b.session, until(b)?))).collect()
    }

    /// Something that must not be was seen while the run went on.
    pub fn broke(&self, what: String) {
        self.lock().broken.push(what);
    }

    /// So many leases in Redis were held against beliefs.
    pub fn leases_compared(&self, leases: usize) {
        self.lock().compared += leases;
    }

    /// How many leases were held against beliefs so far.
    pub fn compared(&self) -> usize {
        self.lock().compared
    }

    /// How many holders believe now.
    pub fn believing(&self) -> usize {
        let now = self.at(Instant::now());
        let inner = self.lock();
        let believes = |b: &&Belief| b.spans.iter().any(|s| s.0 <= now && now < s.1);
        inner.beliefs.values().filter(believes).map(|b| b.holder).collect::<std::collections::HashSet<_>>().len()
    }

    /// All beliefs, and what was broken while they were written down.
    pub fn read(&self) -> (Vec<Belief>, Vec<String>) {
        let inner = self.lock();
        (inner.beliefs.values().cloned().collect(), inner.broken.clone())
    }

    /// Sessions whose process was given another one for the same attempt while it believed in them: S9 is broken, unless they were kicked.
    pub fn renamed(&self) -> Vec<(SessionId, String)> {
        self.lock().renamed.clone()
    }

    /// A moment in microseconds since the log began.
    pub fn at(&self, moment: Instant) -> i64 {
        moment.saturating_duration_since(self.began).as_micros() as i64
    }

    /// A wall-clock time (microseconds since 1970) on the log's clock: all processes of a run are on one machine.
    pub fn from_unix_us(&self, us: i64) -> i64 {
        us - self.began_ms * 1000
    }

    /// By how much, in microseconds, wall clock and monotonic clock have come to differ since the log began: what was measured here cannot
    /// be held against anybody. The wall clock is read to a millisecond.
    pub fn clocks_apart(&self) -> i64 {
        let wall = (Clock::system().now_ms() - self.began_ms) * 1000;
        ((wall - self.at(Instant::now())).abs() - 1000).max(0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

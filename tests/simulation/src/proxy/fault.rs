//! What can happen to bytes on their way, and how a run's text spells it.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Something that goes wrong between two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything arrives, in order, so much later in each direction.
    Delay { by: Duration, lasting: Duration },
    /// Connections are accepted and stay open; nothing passes meanwhile.
    HalfOpen { lasting: Duration },
    /// All connections there are end now.
    Cut,
    /// What is sent next is lost, and its connection with it.
    DropRequest { times: u32 },
    /// What is sent next arrives; its answer is lost, and its connection with it.
    DropAnswer { times: u32 },
    /// What is sent next arrives so much later, after its connection has ended for the sender.
    Late { by: Duration, times: u32 },
    /// What is sent next arrives so often.
    Duplicate { copies: u32, times: u32 },
    /// Requests wait for each other and go on in the opposite order.
    Reorder { lasting: Duration },
}

impl Fault {
    /// The fault's name, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Delay { .. } => "delay",
            Self::HalfOpen { .. } => "half-open",
            Self::Cut => "cut",
            Self::DropRequest { .. } => "drop-request",
            Self::DropAnswer { .. } => "drop-answer",
            Self::Late { .. } => "late",
            Self::Duplicate { .. } => "duplicate",
            Self::Reorder { .. } => "reorder",
        }
    }

    fn times(&mut self) -> Option<&mut u32> {
        match self {
            Self::DropRequest { times }
            | Self::DropAnswer { times }
            | Self::Late { times, .. }
            | Self::Duplicate { times, .. } => Some(times),
            _ => None,
        }
    }

    fn lasting(&self) -> Duration {
        match self {
            Self::Delay { lasting, .. } | Self::HalfOpen { lasting } | Self::Reorder { lasting } => *lasting,
            _ => Duration::MAX,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |d: &Duration| format!("{}ms", d.as_millis());
        write!(f, "{}", self.kind())?;
        match self {
            Self::Cut => Ok(()),
            Self::Delay { by, lasting } => write!(f, " {} for {}", ms(by), ms(lasting)),
            Self::HalfOpen { lasting } | Self::Reorder { lasting } => write!(f, " for {}", ms(lasting)),
            Self::DropRequest { times } | Self::DropAnswer { times } => write!(f, " {times} times"),
            Self::Late { by, times } => write!(f, " {} {times} times", ms(by)),
            Self::Duplicate { copies, times } => write!(f, " {copies} copies {times} times"),
        }
    }
}

/// Reads `1200ms`.
pub fn duration(word: &str) -> Result<Duration, String> {
    let ms = word.strip_suffix("ms").and_then(|number| number.parse().ok());
    ms.map(Duration::from_millis).ok_or_else(|| format!("{word:?} is no time like 1200ms"))
}

pub fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["delay", by, "for", lasting] => Self::Delay { by: duration(by)?, lasting: duration(lasting)? },
            ["half-open", "for", lasting] => Self::HalfOpen { lasting: duration(lasting)? },
            ["cut"] => Self::Cut,
            ["drop-request", times, "times"] => Self::DropRequest { times: number(times)? },
            ["drop-answer", times, "times"] => Self::DropAnswer { times: number(times)? },
            ["late", by, times, "times"] => Self::Late { by: duration(by)?, times: number(times)? },
            ["duplicate", copies, "copies", times, "times"] => {
                Self::Duplicate { copies: number(copies)?, times: number(times)? }
            }
            ["reorder", "for", lasting] => Self::Reorder { lasting: duration(lasting)? },
            _ => return Err(format!("no such fault: {text}")),
        })
    }
}

/// The fault a proxy has now, if any.
#[derive(Default)]
pub(super) struct Faults {
    current: Mutex<Option<(Fault, Option<Instant>)>>,
    met: AtomicUsize,
}

impl Faults {
    pub(super) fn set(&self, fault: Fault) {
        *self.lock() = Some((fault, Instant::now().checked_add(fault.lasting())));
    }

    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    pub(super) fn met(&self) -> usize {
        self.met.load(Ordering::Relaxed)
    }

    /// The fault that what passes now meets, where `fits`; one of so many times is used up by it.
    pub(super) fn meet(&self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut current = self.lock();
        let (fault, until) = current.as_mut()?;
        if until.is_some_and(|until| Instant::now() >= until) {
            *current = None;
            return None;
        }
        if !fits(fault) {
            return None;
        }
        let met = *fault;
        if let Some(times) = fault.times() {
            *times = times.saturating_sub(1);
            if *times == 0 {
                *current = None;
            }
        }
        self.met.fetch_add(1, Ordering::Relaxed);
        Some(met)
    }

    /// How long nothing passes from now on.
    pub(super) fn silence(&self) -> Option<Duration> {
        let current = self.lock();
        let (fault, until) = current.as_ref()?;
        let left = until.as_ref()?.checked_duration_since(Instant::now())?;
        (matches!(fault, Fault::HalfOpen { .. }) && !left.is_zero()).then_some(left)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Fault, Option<Instant>)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

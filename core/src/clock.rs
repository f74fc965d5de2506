//! The one clock. Outside Redis everybody asks [`Clock`]; inside scripts Redis `TIME` counts.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use time::OffsetDateTime;

/// What the monotonic hand counts from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Wall-clock time: the system's, or in test builds one that stands where a test put it. Clones share one time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    #[cfg(feature = "testing")]
    fake: Option<std::sync::Arc<FakeTime>>,
    #[cfg(feature = "testing")]
    behind_ms: i64,
}

#[cfg(feature = "testing")]
#[derive(Debug)]
struct FakeTime {
    service_ms: std::sync::atomic::AtomicI64,
    monotonic_ms: std::sync::atomic::AtomicI64,
    redis_ahead_ms: std::sync::atomic::AtomicI64,
}

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// Milliseconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now_ms(&self) -> i64 {
        #[cfg(feature = "testing")]
        if let Some(fake) = &self.fake {
            return fake.service_ms.load(std::sync::atomic::Ordering::SeqCst);
        }
        // A clock before 1970 is a broken machine; 0 makes every lease look old, which takes nothing away (see
        // `reap_now`).
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        #[cfg(feature = "testing")]
        let now = now - self.behind_ms;
        now
    }

    /// Milliseconds since some moment of this process, whatever happens to the wall clock.
    pub(crate) fn monotonic_ms(&self) -> i64 {
        #[cfg(feature = "testing")]
        if let Some(fake) = &self.fake {
            return fake.monotonic_ms.load(std::sync::atomic::Ordering::SeqCst);
        }
        START.elapsed().as_millis() as i64
    }

    /// The same as a date and time in UTC, to the millisecond.
    pub fn now(&self) -> OffsetDateTime {
        from_ms(self.now_ms())
    }

    /// Whole seconds since the Unix epoch, rounded down: what tokens carry.
    pub fn now_seconds(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// What scripts get as their test clock: 0 means "ask Redis", the only answer outside test builds.
    pub(crate) fn redis_test_ms(&self) -> i64 {
        #[cfg(feature = "testing")]
        if let Some(fake) = &self.fake {
            return self.now_ms() + fake.redis_ahead_ms.load(std::sync::atomic::Ordering::SeqCst);
        }
        0
    }
}

#[cfg(feature = "testing")]
impl Clock {
    /// A clock that stands at the system's present time until [`Clock::advance_ms`] moves it; scripts see it too.
    pub fn fake() -> Self {
        let now = Self::system().now_ms();
        let fake = FakeTime { service_ms: now.into(), monotonic_ms: 0.into(), redis_ahead_ms: 0.into() };
        Self { fake: Some(std::sync::Arc::new(fake)), behind_ms: 0 }
    }

    /// The system's clock as a machine has it whose clock is wrong; negative: ahead. Scripts go on asking Redis.
    pub fn system_behind_ms(behind_ms: i64) -> Self {
        Self { fake: None, behind_ms }
    }

    /// Lets time pass on a fake clock, for the service and for Redis alike.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn advance_ms(&self, ms: i64) {
        self.fake_time().monotonic_ms.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
        self.step_ms(ms);
    }

    /// Puts the wall clock of a fake elsewhere, for the service and for Redis alike, while no time passes: one
    /// machine's clock is set.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn step_ms(&self, ms: i64) {
        self.fake_time().service_ms.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// Makes the Redis clock run `ms` ahead of the service's (negative: behind), to stand for one wrong clock.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn set_redis_ahead_ms(&self, ms: i64) {
        self.fake_time().redis_ahead_ms.store(ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// Makes this clock a fake of its own that starts at the same time but moves alone: another process's wrong clock.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn independent_fake(&self) -> Self {
        let redis_ahead = self.fake_time().redis_ahead_ms.load(std::sync::atomic::Ordering::SeqCst);
        let (now, monotonic) = (self.now_ms(), self.monotonic_ms());
        let fake =
            FakeTime { service_ms: now.into(), monotonic_ms: monotonic.into(), redis_ahead_ms: redis_ahead.into() };
        Self { fake: Some(std::sync::Arc::new(fake)), behind_ms: 0 }
    }

    fn fake_time(&self) -> &FakeTime {
        self.fake.as_deref().expect("the system clock cannot be moved")
    }
}

/// Milliseconds since the Unix epoch as a date and time in UTC; out-of-range values become the epoch.
pub fn from_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A date and time as milliseconds since the Unix epoch, rounded down.
pub fn to_ms(at: OffsetDateTime) -> i64 {
    at.unix_timestamp_nanos().div_euclid(1_000_000) as i64
}

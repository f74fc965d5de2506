//! The wall clock and the monotonic clock of a process.
//!
//! All code outside Redis reads the time from [`Clock`]. Scripts that run inside Redis read the time of Redis (`TIME`).

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use time::OffsetDateTime;

/// The moment from which [`Clock::monotonic_ms`] counts.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A source of the present time: the system's clocks or, in test builds, a fake clock that moves only when a test moves
/// it. All clones of a clock show the same time.
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
        // A wall clock that shows a time before 1970 belongs to a broken machine and is read as 0. That takes no seat
        // away, because a seat is taken away only when this clock and the clock of Redis are both past the end of its
        // lease (`reap_now` in the scripts is the earlier of the two).
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        #[cfg(feature = "testing")]
        let now = now - self.behind_ms;
        now
    }

    /// Milliseconds since an arbitrary moment of this process. Setting the wall clock does not change it.
    pub(crate) fn monotonic_ms(&self) -> i64 {
        #[cfg(feature = "testing")]
        if let Some(fake) = &self.fake {
            return fake.monotonic_ms.load(std::sync::atomic::Ordering::SeqCst);
        }
        START.elapsed().as_millis() as i64
    }

    /// The present time as a date and time in UTC, to the millisecond.
    pub fn now(&self) -> OffsetDateTime {
        from_ms(self.now_ms())
    }

    /// Whole seconds since the Unix epoch, rounded down. This is the form in which tokens contain times.
    pub fn now_seconds(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// The time that is passed to Redis scripts as their test clock, in milliseconds since the Unix epoch. 0 means that
    /// the script reads the clock of Redis; outside test builds it is always 0.
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
    /// A fake clock that starts at the system's present time and stands still until [`Clock::advance_ms`] moves it.
    /// Redis scripts use its time too.
    pub fn fake() -> Self {
        let now = Self::system().now_ms();
        let fake = FakeTime { service_ms: now.into(), monotonic_ms: 0.into(), redis_ahead_ms: 0.into() };
        Self { fake: Some(std::sync::Arc::new(fake)), behind_ms: 0 }
    }

    /// The system's clock minus `behind_ms` milliseconds (a negative number puts it ahead), as on a machine whose clock
    /// is wrong. Redis scripts still read the clock of Redis.
    pub fn system_behind_ms(behind_ms: i64) -> Self {
        Self { fake: None, behind_ms }
    }

    /// Lets `ms` milliseconds pass on a fake clock, for the service and for Redis alike.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn advance_ms(&self, ms: i64) {
        self.fake_time().monotonic_ms.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
        self.step_ms(ms);
    }

    /// Moves the wall clock of a fake clock by `ms` milliseconds, for the service and for Redis alike, while its
    /// monotonic clock stands still. This is what happens when the clock of a machine is set.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn step_ms(&self, ms: i64) {
        self.fake_time().service_ms.fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// Puts the clock of Redis `ms` milliseconds ahead of the service's clock (a negative number puts it behind), as
    /// when one of the two clocks is wrong.
    ///
    /// # Panics
    /// If this is the system's clock.
    pub fn set_redis_ahead_ms(&self, ms: i64) {
        self.fake_time().redis_ahead_ms.store(ms, std::sync::atomic::Ordering::SeqCst);
    }

    /// A new fake clock that starts at the time of this one and is moved independently of it, as the wrong clock of
    /// another process.
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

/// Converts milliseconds since the Unix epoch to a date and time in UTC. Values that are out of range become the epoch.
pub fn from_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Converts a date and time to milliseconds since the Unix epoch, rounded down.
pub fn to_ms(at: OffsetDateTime) -> i64 {
    at.unix_timestamp_nanos().div_euclid(1_000_000) as i64
}

//! How long things last: the constants of the protocol, derived from a few settings.

use std::time::Duration;

/// The protocol's times. All other durations derive from these three (docs/PROTOCOL.md, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// The server-side lease of a session.
    pub ttl: Duration,
    /// How long an answer of a deposed primary may still arrive: maximum connection age + request deadline + margin.
    pub drain: Duration,
    /// What heartbeats aim at; every answer draws its own value around it.
    pub heartbeat: Duration,
    /// The oldest Redis connection a script may be sent over; part of `drain`.
    pub max_connection_age: Duration,
}

impl LeaseTiming {
    /// A request's time from receipt to answer; what is not done by then is answered with 503.
    pub const DEADLINE: Duration = Duration::from_secs(5);
    /// The oldest Redis connection a script may be sent over, unless a test wants a younger one.
    pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30);

    /// Times for a lease of `ttl`: a heartbeat every 30 % of it.
    pub fn with_ttl(ttl: Duration) -> Self {
        Self {
            ttl,
            drain: Duration::from_secs(45),
            heartbeat: ttl * 3 / 10,
            max_connection_age: Self::MAX_CONNECTION_AGE,
        }
    }

    /// The same for a lease of so many milliseconds, where that is shorter: everything in proportion.
    #[must_use]
    pub fn of_lease(&self, lease_ms: i64) -> Self {
        let ttl = Duration::from_millis(lease_ms.unsigned_abs()).min(self.ttl);
        Self { ttl, heartbeat: self.heartbeat.mul_f64(ttl.as_secs_f64() / self.ttl.as_secs_f64()), ..*self }
    }

    /// The lease in milliseconds.
    pub fn ttl_ms(&self) -> i64 {
        self.ttl.as_millis() as i64
    }

    /// What the rates of two clocks may differ by within one lease: a client's lease ends this much before ours.
    pub fn eps(&self) -> Duration {
        self.ttl / 72
    }

    /// The lease of every holder after a rebuild, in milliseconds, where no longer one than ours is out.
    pub fn rebuild_lease_ms(&self) -> i64 {
        (self.ttl + self.drain).as_millis() as i64
    }

    /// When an ending that nobody finished is taken up again, in milliseconds.
    pub fn reclaim_ms(&self) -> i64 {
        (self.ttl / 12).as_millis() as i64
    }

    /// How long a holder must have held its seat to have lived through so many heartbeats, in milliseconds: a quarter
    /// of the lease for each. A client is asked to beat after 28 to 32 % of it and may come a little early. Time counts
    /// and not requests: ten in one second are as good as one.
    pub fn lived_through_ms(&self, heartbeats: u32) -> i64 {
        self.ttl_ms() / 4 * i64::from(heartbeats)
    }

    /// What a client is told: its lease in whole seconds, counted from the time it sent the request.
    pub fn expires_in(&self) -> u64 {
        (self.ttl - self.eps()).as_secs()
    }

    /// When the client should send its next heartbeat, in whole seconds (at least one): drawn between 93 % and 107 % of
    /// the setting (28 to 32 % of the lease), so that clients that started together do not stay together.
    pub fn draw_heartbeat_in(&self) -> u64 {
        let draw = u64::from(u16::from_be_bytes(super::secret::random()));
        let base = self.heartbeat.as_millis() as u64;
        let low = base * 28 / 30;
        let span = base * 4 / 30;
        ((low + span * draw / u64::from(u16::MAX) + 500) / 1000).max(1)
    }
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self::with_ttl(Duration::from_secs(360))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_protocol() {
        let timing = LeaseTiming::default();
        assert_eq!(timing.eps(), Duration::from_secs(5));
        assert_eq!(timing.expires_in(), 355);
        assert_eq!(timing.rebuild_lease_ms(), 405_000);
        assert_eq!(timing.reclaim_ms(), 30_000);
        assert_eq!(timing.lived_through_ms(2), 180_000);
        let short = timing.of_lease(20_000);
        assert_eq!((short.expires_in(), timing.of_lease(900_000)), (19, timing));
        for _ in 0..1000 {
            assert!((101..=115).contains(&timing.draw_heartbeat_in()));
            assert!((5..=7).contains(&short.draw_heartbeat_in()));
        }
    }
}

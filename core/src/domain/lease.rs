//! The durations of the protocol, derived from a few settings.

use std::time::Duration;

/// The basic durations of the protocol. All other durations are derived from them (docs/PROTOCOL.md, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// The lease of a session as the server counts it.
    pub ttl: Duration,
    /// The longest time for which an answer of a deposed Redis primary may still arrive: maximum connection age +
    /// request deadline + margin.
    pub drain: Duration,
    /// The average time between two heartbeats of a client; every answer draws its own value around it.
    pub heartbeat: Duration,
    /// The greatest age of a Redis connection over which a script may be sent; it is part of `drain`.
    pub max_connection_age: Duration,
}

// An answer of a deposed primary arrives at the latest when the oldest connection and the request over it are over. A
// drain that is shorter would let it count after a rebuild, and a seat could have two holders.
const _: () = assert!(
    LeaseTiming::DRAIN.as_millis() > LeaseTiming::MAX_CONNECTION_AGE.as_millis() + LeaseTiming::DEADLINE.as_millis(),
    "the drain must be longer than the age of a connection and the deadline of a request together"
);

impl LeaseTiming {
    /// The time of a request from its receipt to its answer. A request that takes longer is answered with 503.
    pub const DEADLINE: Duration = Duration::from_secs(5);
    /// The default of `max_connection_age`; a test may set a smaller one.
    pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(30);
    /// The default of `drain`.
    pub const DRAIN: Duration = Duration::from_secs(45);

    /// The durations for a lease of `ttl`, with a heartbeat after every 30 % of it.
    pub fn with_ttl(ttl: Duration) -> Self {
        Self { ttl, drain: Self::DRAIN, heartbeat: ttl * 3 / 10, max_connection_age: Self::MAX_CONNECTION_AGE }
    }

    /// The durations for a lease of `lease_ms` milliseconds if that is shorter than `ttl`. The heartbeat becomes
    /// shorter in proportion.
    #[must_use]
    pub fn for_lease_ms(&self, lease_ms: i64) -> Self {
        let ttl = Duration::from_millis(lease_ms.unsigned_abs()).min(self.ttl);
        Self { ttl, heartbeat: self.heartbeat.mul_f64(ttl.as_secs_f64() / self.ttl.as_secs_f64()), ..*self }
    }

    /// The lease in milliseconds.
    pub fn ttl_ms(&self) -> i64 {
        self.ttl.as_millis() as i64
    }

    /// The largest difference that the rates of two clocks may make within one lease. A client counts its lease as this
    /// much shorter than the server does.
    pub fn eps(&self) -> Duration {
        self.ttl / 72
    }

    /// The lease of every holder after a rebuild, in milliseconds, if no holder has a longer lease than `ttl`.
    pub fn rebuild_lease_ms(&self) -> i64 {
        (self.ttl + self.drain).as_millis() as i64
    }

    /// The time after which a claimed ending that was not finished is claimed again, in milliseconds.
    pub fn reclaim_after_ms(&self) -> i64 {
        (self.ttl / 12).as_millis() as i64
    }

    /// The time for which a holder must have held its seat to count as having sent so many heartbeats, in milliseconds:
    /// a quarter of the lease for each. A client is asked to send a heartbeat after 28 to 32 % of the lease and may
    /// send it a little earlier. The time is counted and not the requests, so ten requests in one second gain nothing.
    pub fn required_seat_time_ms(&self, heartbeats: u32) -> i64 {
        self.ttl_ms() / 4 * i64::from(heartbeats)
    }

    /// The lease in whole seconds as an answer states it; the client counts it from the time at which it sent the
    /// request.
    pub fn expires_in(&self) -> u64 {
        (self.ttl - self.eps()).as_secs()
    }

    /// The time after which the client should send its next heartbeat, in whole seconds (at least one). It is drawn
    /// between 93 % and 107 % of the setting (28 to 32 % of the lease), so that clients that started at the same time
    /// do not always send their heartbeats at the same time.
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
        assert_eq!(timing.reclaim_after_ms(), 30_000);
        assert_eq!(timing.required_seat_time_ms(2), 180_000);
        let short = timing.for_lease_ms(20_000);
        assert_eq!((short.expires_in(), timing.for_lease_ms(900_000)), (19, timing));
        for _ in 0..1000 {
            assert!((101..=115).contains(&timing.draw_heartbeat_in()));
            assert!((5..=7).contains(&short.draw_heartbeat_in()));
        }
    }
}

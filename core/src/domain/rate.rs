//! Rate limits.

use super::id::InvalidText;
use std::{str::FromStr, time::Duration};

/// A limit of the generic cell rate algorithm: one request in every interval of [`RateLimit::interval`], and up to
/// `burst` requests at once after a pause.
///
/// <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The number of requests in a minute.
    pub per_minute: u32,
    /// The number of requests that may come at once.
    pub burst: u32,
}

impl RateLimit {
    /// A limit of so many requests in a minute, all of which may come at once.
    pub const fn per_minute(per_minute: u32) -> Self {
        Self { per_minute, burst: per_minute }
    }

    /// The time that each request uses up.
    pub fn interval(self) -> Duration {
        Duration::from_millis(u64::from(60_000 / self.per_minute.max(1)))
    }
}

/// Parses `120` or `120/40`: the number of requests in a minute and, after the slash, the number at once.
impl FromStr for RateLimit {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let wrong = InvalidText(
            "must be requests per minute from 1 to 60000, and after a slash how many may come at once: 120/40",
        );
        let (per_minute, burst) = text.split_once('/').unwrap_or((text, text));
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| (1..=60_000).contains(n)).ok_or(wrong);
        Ok(Self { per_minute: number(per_minute)?, burst: number(burst)? })
    }
}

/// The limits that the Redis scripts of a pool apply themselves, so that they need no round trip of their own. `None`
/// means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolRates {
    /// The limit on the acquires of one holder.
    pub acquire: Option<RateLimit>,
    /// The limit on the new sessions of a license, for each of its seats.
    pub license: Option<RateLimit>,
    /// The limit on the heartbeats of one session.
    pub heartbeat: Option<RateLimit>,
}

/// A request that came too early and was refused by a rate limit before anything else was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// The limit that refused the request.
    pub by: LimitKind,
    /// The time to wait before the next attempt, in milliseconds.
    pub wait_ms: u64,
    /// The limit with the numbers that apply to this caller.
    pub rate: RateLimit,
}

/// The kinds of limits on an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// The limit on the acquires of one holder.
    Holder,
    /// The limit on the new sessions of a license.
    License,
    /// The limit on wrong secrets from one network address.
    Guesses,
}

/// The decision of a rate limit about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateDecision {
    /// The request is allowed and was counted.
    Allowed {
        /// The number of further requests that may come at once.
        left: u32,
    },
    /// The request is refused; it may be repeated after so many milliseconds.
    Wait(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        assert_eq!("60".parse(), Ok(RateLimit::per_minute(60)));
        assert_eq!("120/40".parse(), Ok(RateLimit { per_minute: 120, burst: 40 }));
        assert_eq!("120/40".parse::<RateLimit>().unwrap().interval(), Duration::from_millis(500));
        for wrong in ["", "0", "1/0", "x", "60001", "-1", "1/2/3", "1.5"] {
            assert!(wrong.parse::<RateLimit>().is_err(), "{wrong}");
        }
    }
}

//! How often something may be asked for.

use super::id::InvalidText;
use std::{str::FromStr, time::Duration};

/// A limit as the generic cell rate algorithm has it: one request every `every`, up to `burst` at once after a pause.
/// <https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a minute.
    pub per_minute: u32,
    /// How many may come at once.
    pub burst: u32,
}

impl RateLimit {
    /// So many in a minute, all of them at once if need be.
    pub const fn per_minute(per_minute: u32) -> Self {
        Self { per_minute, burst: per_minute }
    }

    /// The time one request takes up.
    pub fn every(self) -> Duration {
        Duration::from_millis(u64::from(60_000 / self.per_minute.max(1)))
    }
}

/// `120` or `120/40`: so many a minute, so many at once.
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

/// The limits that scripts of a pool keep themselves, in the round trip there is anyway. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolRates {
    /// Acquires of one holder.
    pub acquire: Option<RateLimit>,
    /// New sessions of a license, for each of its seats.
    pub license: Option<RateLimit>,
    /// Heartbeats of one session.
    pub heartbeat: Option<RateLimit>,
}

/// A request that came too soon, and was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Which limit says so.
    pub by: LimitKind,
    /// How many milliseconds to wait.
    pub wait_ms: u64,
    /// The limit as it is for who asked.
    pub rate: RateLimit,
}

/// The limits of an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// On the acquires of one holder.
    Holder,
    /// On the new sessions of a license.
    License,
    /// On wrong secrets from one place.
    Guesses,
}

/// Whether a request may be answered now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateDecision {
    /// Yes, and so many more at once.
    Taken {
        /// How many more may come at once.
        left: u32,
    },
    /// Not before so many milliseconds have passed.
    Wait(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        assert_eq!("60".parse(), Ok(RateLimit::per_minute(60)));
        assert_eq!("120/40".parse(), Ok(RateLimit { per_minute: 120, burst: 40 }));
        assert_eq!("120/40".parse::<RateLimit>().unwrap().every(), Duration::from_millis(500));
        for wrong in ["", "0", "1/0", "x", "60001", "-1", "1/2/3", "1.5"] {
            assert!(wrong.parse::<RateLimit>().is_err(), "{wrong}");
        }
    }
}

//! Of what an organization wants to be told: the kinds of alert rules, and the numbers that each kind has.

use super::{access::text_enum, id::InvalidText};
use serde::{Deserialize, Serialize};
use std::{fmt, ops::RangeInclusive, str::FromStr};

text_enum! {
    /// What a rule watches.
    AlertKind = "must be pool_use, wants_refused, license_ends, webhook_paused or monthly_report";
    /// So much of a pool's seats was held at the end of each of so many minutes.
    PoolUse = "pool_use",
    /// So many wants of a seat of a pool were refused within so many minutes.
    WantsRefused = "wants_refused",
    /// A license that is active ends within so many days.
    LicenseEnds = "license_ends",
    /// A webhook is paused, because every attempt failed for days.
    WebhookPaused = "webhook_paused",
    /// A month is over: what it was like is told by mail. It raises no alert.
    MonthlyReport = "monthly_report",
}

impl AlertKind {
    /// The numbers that a rule of this kind must have; it has no others.
    pub const fn numbers(self) -> &'static [AlertNumber] {
        match self {
            Self::PoolUse => &[AlertNumber::Percent, AlertNumber::Minutes],
            Self::WantsRefused => &[AlertNumber::Count, AlertNumber::Minutes],
            Self::LicenseEnds => &[AlertNumber::Days],
            Self::WebhookPaused | Self::MonthlyReport => &[],
        }
    }

    /// Whether a rule of this kind raises alerts; else it only sends mail.
    pub const fn raises(self) -> bool {
        !matches!(self, Self::MonthlyReport)
    }

    /// Whether a rule of this kind can be for one license alone.
    pub const fn is_of_licenses(self) -> bool {
        !matches!(self, Self::WebhookPaused)
    }
}

text_enum! {
    /// A number of a rule.
    AlertNumber = "must be percent, minutes, count or days";
    /// How much of a pool's seats, in percent.
    Percent = "percent",
    /// For how long, or within how many minutes.
    Minutes = "minutes",
    /// How many wants.
    Count = "count",
    /// How many days before a license ends.
    Days = "days",
}

impl AlertNumber {
    /// What it may be.
    pub const fn range(self) -> RangeInclusive<u32> {
        match self {
            Self::Percent => 1..=100,
            Self::Minutes => 1..=1440,
            Self::Count => 1..=1_000_000,
            Self::Days => 1..=365,
        }
    }
}

/// The numbers of a rule; `None`: its kind has none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertNumbers {
    /// From how many percent of a pool's seats on.
    pub percent: Option<u32>,
    /// For how many minutes, or within how many.
    pub minutes: Option<u32>,
    /// From how many refused wants on.
    pub count: Option<u32>,
    /// From how many days before the end of a license on.
    pub days: Option<u32>,
}

impl AlertNumbers {
    /// The place of a number.
    pub fn get_mut(&mut self, number: AlertNumber) -> &mut Option<u32> {
        match number {
            AlertNumber::Percent => &mut self.percent,
            AlertNumber::Minutes => &mut self.minutes,
            AlertNumber::Count => &mut self.count,
            AlertNumber::Days => &mut self.days,
        }
    }
}

text_enum! {
    /// Whether an alert is over.
    AlertState = "must be open or ended";
    /// It is as the rule says, or was a moment ago.
    Open = "open",
    /// It is back to normal, or nobody watches it any more.
    Ended = "ended",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_place_of_its_own_and_some_kind_that_it_is_of() {
        let mut numbers = AlertNumbers::default();
        for (value, number) in (1..).zip(AlertNumber::ALL) {
            assert_eq!(numbers.get_mut(*number).replace(value), None);
            assert!(AlertKind::ALL.iter().any(|kind| kind.numbers().contains(number)));
        }
        assert_eq!(numbers, AlertNumbers { percent: Some(1), minutes: Some(2), count: Some(3), days: Some(4) });
    }
}

//! What happened, as the records have it, made into wants: who waited for which hold, and for how long seats are held.

use super::{Denial, Hold};
use std::collections::{HashMap, VecDeque};

/// How far apart the times may be at which the two stores say that a seat was given: they have a clock each.
const CLOCKS_APART_MS: i64 = 60_000;

/// Denials by machine, those first that were refused first.
pub(super) struct Waited<'a>(HashMap<&'a str, VecDeque<&'a Denial>>);

impl<'a> Waited<'a> {
    pub(super) fn of(denials: &'a [Denial]) -> Self {
        let mut sorted: Vec<&Denial> = denials.iter().collect();
        sorted.sort_by_key(|denial| denial.first_ms);
        let mut by_machine: HashMap<&str, VecDeque<&Denial>> = HashMap::new();
        for denial in sorted {
            by_machine.entry(denial.machine.as_str()).or_default().push_back(denial);
        }
        Self(by_machine)
    }

    /// When whoever holds this asked first, if it had to wait; its denial is put aside.
    pub(super) fn first_ask(&mut self, hold: &Hold) -> Option<i64> {
        let denials = self.0.get_mut(hold.machine.as_str())?;
        let is_its = |denial: &&Denial| {
            denial.granted_ms.is_some_and(|granted| (granted - hold.from_ms).abs() <= CLOCKS_APART_MS)
        };
        let at = denials.iter().position(is_its)?;
        denials.remove(at).map(|denial| denial.first_ms.min(hold.from_ms))
    }

    /// Those who were given no seat.
    pub(super) fn left(self) -> Vec<&'a Denial> {
        let mut left: Vec<&Denial> = self.0.into_values().flatten().collect();
        left.sort_by_key(|denial| (denial.first_ms, denial.machine.as_str()));
        left
    }
}

/// For how long seats were held, ms.
pub(super) struct Durations<'a> {
    of_machine: HashMap<&'a str, Vec<i64>>,
    all: Vec<i64>,
}

impl<'a> Durations<'a> {
    pub(super) fn of(holds: &'a [Hold], now_ms: i64) -> Self {
        let mut durations = Self { of_machine: HashMap::new(), all: Vec::new() };
        for hold in holds {
            let duration = (hold.to_ms.unwrap_or(now_ms) - hold.from_ms).max(0);
            durations.of_machine.entry(hold.machine.as_str()).or_default().push(duration);
            durations.all.push(duration);
        }
        durations
    }

    /// Always the same of the same denial, so that the same question has the same answer.
    pub(super) fn draw(&self, denial: &Denial) -> i64 {
        let from = self.of_machine.get(denial.machine.as_str()).unwrap_or(&self.all);
        // `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>: neighbours in time draw far from each other.
        let mut number = denial.first_ms.cast_unsigned().wrapping_add(0x9e37_79b9_7f4a_7c15);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        match from.len() {
            0 => 0,
            many => from[(number % many as u64) as usize],
        }
    }
}

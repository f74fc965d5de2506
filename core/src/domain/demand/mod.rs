//! How many seats are needed: what happened is played again with another number of seats.
//!
//! Played are *wants*: whoever wanted a seat, from its first ask on, for as long as it held its seat. Whoever finds none
//! free is refused, and waits in the order of first asks: who got a seat in the end for as long as it takes, who gave up
//! for as long as it did. Who gave up held nothing, so how long it would have held a seat is drawn from what the same
//! machine held, else from what anybody did. Whoever never asks, because it is always full, is in no history.

mod history;
mod replay;
#[cfg(test)]
mod tests;

use history::{Durations, Waited};
use replay::Replay;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// So many numbers of seats are looked at, at most.
const NUMBERS: usize = 400;
const HOUR_MS: i64 = 3_600_000;

/// A seat that was held, from when to when, Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The public hash of the machine that held it.
    pub machine: String,
    /// Since when.
    pub from_ms: i64,
    /// Until when; `None`: it is held still.
    pub to_ms: Option<i64>,
}

/// Somebody who was refused, Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The public hash of its machine.
    pub machine: String,
    /// When it was refused first.
    pub first_ms: i64,
    /// When it was refused last.
    pub last_ms: i64,
    /// When it was given a seat; `None`: never.
    pub granted_ms: Option<i64>,
}

/// From when on there were so many seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatCount {
    /// Unix milliseconds.
    pub from_ms: i64,
    /// How many.
    pub seats: u32,
}

/// Somebody who wanted a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Want {
    first_ms: i64,
    hold_ms: i64,
    /// How long it waits; `None`: for as long as it takes.
    patience_ms: Option<i64>,
    /// False of whoever held a seat when the time that is asked about began.
    counts: bool,
}

/// Everybody who wanted a seat within some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    from_ms: i64,
    to_ms: i64,
    wants: Vec<Want>,
    /// From the first ask until the seat was given back, or the last ask.
    wanted: Vec<(i64, i64)>,
    /// How many wanted a seat.
    pub count: usize,
    /// How many of them were refused when they asked first.
    pub refused: usize,
    /// Of how many it was drawn how long they would have held a seat.
    pub drawn: usize,
}

/// The least number of seats of which at most so many wants in a thousand are refused, and of any larger number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatsNeeded {
    /// How many wants in a thousand.
    pub per_mille: u32,
    /// How many seats.
    pub seats: u32,
}

impl Demand {
    /// What was wanted from one time to another. Holds and denials may begin earlier; denials of whoever was given a
    /// seat are put together with its hold.
    pub fn of(holds: &[Hold], denials: &[Denial], from_ms: i64, to_ms: i64) -> Self {
        let mut demand = Self { from_ms, to_ms, wants: Vec::new(), wanted: Vec::new(), count: 0, refused: 0, drawn: 0 };
        let mut waited = Waited::of(denials);
        let durations = Durations::of(holds, to_ms);
        for hold in holds {
            let first_ms = waited.first_ask(hold).unwrap_or(hold.from_ms);
            let end_ms = hold.to_ms.unwrap_or(to_ms).max(hold.from_ms);
            demand.add(
                Want { first_ms, hold_ms: end_ms - hold.from_ms, patience_ms: None, counts: first_ms >= from_ms },
                end_ms,
            );
            demand.refused += usize::from(first_ms < hold.from_ms && first_ms >= from_ms);
        }
        for denial in waited.left() {
            let patience_ms = Some(denial.granted_ms.unwrap_or(denial.last_ms).max(denial.last_ms) - denial.first_ms);
            let hold_ms = durations.draw(denial);
            let counts = denial.first_ms >= from_ms;
            demand.add(Want { first_ms: denial.first_ms, hold_ms, patience_ms, counts }, denial.last_ms);
            (demand.refused, demand.drawn) = (demand.refused + usize::from(counts), demand.drawn + usize::from(counts));
        }
        demand.wants.sort_by_key(|want| want.first_ms);
        demand
    }

    fn add(&mut self, want: Want, until_ms: i64) {
        self.count += usize::from(want.counts);
        self.wants.push(want);
        // At least the moment in which it was.
        self.wanted.push((want.first_ms, until_ms.max(want.first_ms + 1)));
    }

    /// How many of them would have been refused at their first ask, of so many seats.
    pub fn refused_with(&self, seats: &[SeatCount]) -> usize {
        let mut replay = Replay::of(seats);
        self.wants.iter().filter(|want| !replay.seat(want) && want.counts).count()
    }

    /// For each of these shares, the number of seats that is needed. Where more than 400 seats are ever held at once,
    /// at most 400 numbers are looked at, evenly spaced, so that the answer may be higher than needed by one such space.
    pub fn seats_needed(&self, per_mille: &[u32]) -> Vec<SeatsNeeded> {
        let most = self.most_wanted();
        let mut needed: Vec<_> = per_mille.iter().map(|&per_mille| SeatsNeeded { per_mille, seats: most }).collect();
        // Downwards, since fewer seats may refuse fewer: who is seated late holds a seat when others come.
        let mut open: Vec<bool> = vec![self.count > 0; needed.len()];
        let step = 1 + most as usize / NUMBERS;
        for seats in (0..most).rev().step_by(step) {
            let refused = self.refused_with(&[SeatCount { from_ms: i64::MIN, seats }]) as u64;
            for (needed, open) in needed.iter_mut().zip(&mut open) {
                *open &= refused * 1000 <= u64::from(needed.per_mille) * self.count as u64;
                if *open {
                    needed.seats = seats;
                }
            }
            if open.iter().all(|open| !open) {
                break;
            }
        }
        needed
    }

    /// The most seats that were wanted at once, in each hour in which any was: its number (Unix hours), and how many.
    pub fn peaks(&self) -> BTreeMap<i64, u32> {
        // At the same time, who leaves comes before who comes, and both before a look at how many there are.
        const LEAVES: i64 = -1;
        const COMES: i64 = 1;
        const LOOK: i64 = 2;
        let come = self.wanted.iter().map(|(from, _)| (*from, COMES));
        let leave = self.wanted.iter().map(|(_, to)| (*to, LEAVES));
        let hours = self.from_ms.div_euclid(HOUR_MS)..=(self.to_ms - 1).div_euclid(HOUR_MS);
        let looks = hours.clone().map(|hour| (hour * HOUR_MS, LOOK));
        let mut events: Vec<(i64, i64)> = come.chain(leave).chain(looks).collect();
        events.sort_unstable();
        let (mut peaks, mut wanted) = (BTreeMap::new(), 0_i64);
        for (at, what) in events {
            if what != LOOK {
                wanted += what;
            }
            let hour = at.div_euclid(HOUR_MS);
            if wanted > 0 && what != LEAVES && hours.contains(&hour) {
                let peak = peaks.entry(hour).or_default();
                *peak = u32::try_from(wanted).unwrap_or(u32::MAX).max(*peak);
            }
        }
        peaks
    }

    /// The most seats that are ever held at once if there is always one free.
    fn most_wanted(&self) -> u32 {
        let mut ends = BinaryHeap::new();
        let mut most = 0;
        for want in &self.wants {
            while ends.peek().is_some_and(|Reverse(end)| *end <= want.first_ms) {
                ends.pop();
            }
            ends.push(Reverse(want.first_ms + want.hold_ms));
            most = most.max(ends.len());
        }
        most as u32
    }
}

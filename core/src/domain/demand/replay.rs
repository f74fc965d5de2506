//! A pool with so many seats, through which those who wanted one go.

use super::{SeatCount, Want};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

/// A pool as it is played again. Whoever waits is seated in the order of first asks.
pub(super) struct Replay<'a> {
    steps: &'a [SeatCount],
    seats: u32,
    /// When each seat that is held is given back.
    ends: BinaryHeap<Reverse<i64>>,
    /// Until when each one waits, and for how long it will hold its seat.
    line: VecDeque<(i64, i64)>,
}

impl<'a> Replay<'a> {
    pub(super) fn of(steps: &'a [SeatCount]) -> Self {
        Self { steps, seats: 0, ends: BinaryHeap::new(), line: VecDeque::new() }
    }

    /// Somebody asks; false: no seat is free.
    pub(super) fn seat(&mut self, want: &Want) -> bool {
        self.pass_to(want.first_ms);
        let is_free = self.ends.len() < self.seats as usize;
        if is_free {
            self.ends.push(Reverse(want.first_ms + want.hold_ms));
        } else {
            let until = want.patience_ms.map_or(i64::MAX, |patience| want.first_ms + patience);
            self.line.push_back((until, want.hold_ms));
        }
        is_free
    }

    fn pass_to(&mut self, now: i64) {
        loop {
            let end = self.ends.peek().map(|Reverse(end)| *end).filter(|end| *end <= now);
            let step = self.steps.first().filter(|step| step.from_ms <= now);
            let at = match (end, step) {
                (Some(end), Some(step)) if step.from_ms <= end => self.resize(step.seats, step.from_ms),
                (Some(end), _) => {
                    self.ends.pop();
                    end
                }
                (None, Some(step)) => self.resize(step.seats, step.from_ms),
                (None, None) => return,
            };
            while self.ends.len() < self.seats as usize {
                let Some((until, hold)) = self.line.pop_front() else { break };
                if until >= at {
                    self.ends.push(Reverse(at + hold));
                }
            }
        }
    }

    fn resize(&mut self, seats: u32, at: i64) -> i64 {
        self.steps = &self.steps[1..];
        self.seats = seats;
        at
    }
}

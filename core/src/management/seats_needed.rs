//! How many seats a pool needs, and when no number is said.

use super::Management;
use crate::{
    Error, Result,
    domain::{
        demand::{Demand, SeatsNeeded},
        id::{LicenseId, PoolName},
    },
    records::{Caller, HistoryRead, PoolHistory},
};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// The shares of wants that are answered for: 0.1, 1 and 5 percent.
const PER_MILLE: [u32; 3] = [1, 10, 50];
/// How far what is played again may be from what was, in percent of all wants, to be believed.
const MOST_MISSED_PERCENT: usize = 2;

/// What the history of a pool says about how many seats it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatsAdvice {
    /// In how many days the pool was used.
    pub days: i64,
    /// How many wanted a seat.
    pub wants: usize,
    /// How many of them were refused when they asked first.
    pub refused: usize,
    /// How many are if the same is played again with the seats that there were.
    pub replayed: usize,
    /// Of how many it was drawn how long they would have held a seat.
    pub drawn: usize,
    /// The seats that are needed, or why no number is said.
    pub needed: std::result::Result<Vec<SeatsNeeded>, AdviceWithheld>,
    /// The most seats that were wanted at once, by the hour (Unix hours).
    pub peaks: BTreeMap<i64, u32>,
}

/// Why no number of seats is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdviceWithheld {
    /// The pool was used on fewer days than [`SeatsAdvice::LEAST_DAYS`].
    FewDays,
    /// Played again with the seats that there were, another number is refused than was.
    Unexplained,
}

/// What became of a request for advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdviceOutcome {
    /// Here it is.
    Advice(Box<SeatsAdvice>),
    /// There are more than [`crate::records::MOST_ROWS`] sessions, or denials.
    TooLong,
    /// The organization has no such license, or the license no such pool.
    NoPool,
}

impl SeatsAdvice {
    /// With fewer days of use a number would be an anecdote.
    pub const LEAST_DAYS: i64 = 14;

    fn of(history: &PoolHistory, [from, to]: [OffsetDateTime; 2]) -> Self {
        let ms = |at: OffsetDateTime| (at.unix_timestamp_nanos() / 1_000_000) as i64;
        let demand = Demand::of(&history.holds, &history.denials, ms(from), ms(to));
        let replayed = demand.refused_with(&history.seats_from_the_beginning());
        let missed = replayed.abs_diff(demand.refused);
        let needed = if history.days < Self::LEAST_DAYS {
            Err(AdviceWithheld::FewDays)
        } else if missed * 100 > MOST_MISSED_PERCENT * demand.count {
            Err(AdviceWithheld::Unexplained)
        } else {
            Ok(demand.seats_needed(&PER_MILLE))
        };
        let Demand { count: wants, refused, drawn, .. } = demand;
        Self { days: history.days, wants, refused, replayed, drawn, needed, peaks: demand.peaks() }
    }
}

impl Management {
    /// How many seats a pool needs by what happened from one time to another.
    ///
    /// # Errors
    /// [`Error::Records`].
    pub async fn seats_needed(
        &self,
        caller: &Caller,
        license: LicenseId,
        pool: &PoolName,
        times: [OffsetDateTime; 2],
    ) -> Result<AdviceOutcome> {
        let history = match self.records.pool_history(caller, license, pool, times).await? {
            HistoryRead::Whole(history) => history,
            HistoryRead::TooLong => return Ok(AdviceOutcome::TooLong),
            HistoryRead::NoPool => return Ok(AdviceOutcome::NoPool),
        };
        // It takes as long as a processor needs: no other request waits for it.
        let unfinished = "an advice was not finished";
        let turn = self.advising.clone().acquire_owned().await.map_err(|error| Error::internal(unfinished, error))?;
        let advise = move || {
            let advice = SeatsAdvice::of(&history, times);
            drop(turn);
            advice
        };
        let advice = tokio::task::spawn_blocking(advise).await.map_err(|error| Error::internal(unfinished, error))?;
        Ok(AdviceOutcome::Advice(Box::new(advice)))
    }
}

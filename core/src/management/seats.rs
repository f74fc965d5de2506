//! What people ask about the numbered seats of a pool: the records say who holds which, Redis who is heard from and from
//! when a seat can be granted.

use super::{SeatManagement, looking::looked};
use crate::{
    Result, clock,
    domain::id::{LicenseId, PoolName, SeatNo},
    records::{Caller, ListedRows, ListedSeats, PageRequest, SeatRow, SeatedSession},
    seat_store::{PoolKey, PoolReply, SeatCondition, SeatSighting, SeatStore},
};
use time::OffsetDateTime;

/// What a numbered seat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// Whoever comes next can have it.
    Free,
    /// Its holder's lease goes on.
    Live,
    /// Its holder's lease is over, and nobody has taken the seat yet.
    Silent,
    /// It is being ended just now.
    Ending,
    /// Nobody holds it, and nobody is given it yet.
    Waiting,
    /// It has a holder. Redis could not be asked, or has forgotten and hears of it with the next request of any client
    /// of the pool.
    Unknown,
}

/// A numbered seat as people see it.
#[derive(Clone, Debug, PartialEq)]
pub struct SeatView {
    /// Its number within the pool, from 0.
    pub seat: SeatNo,
    /// What the seat is.
    pub state: SeatState,
    /// The session on it that began first, of those that who asks may see.
    pub session: Option<SeatedSession>,
    /// Since when its holder has had it, as far as it is written down.
    pub since: Option<OffsetDateTime>,
    /// When its holder's lease ends or ended, where Redis knows.
    pub lease_ends_at: Option<OffsetDateTime>,
    /// From when it can be granted if its holder is not heard from; `None`: now, or that is not known.
    pub free_at: Option<OffsetDateTime>,
}

impl SeatManagement {
    /// The longest page of seats.
    pub const MOST_SEATS: u16 = SeatStore::MOST_SEATS;

    /// A page of the seats of a pool, by number: one statement, and one look at Redis. Where Redis is away or has
    /// forgotten the pool, the page is what the records know. `None`: the organization has no such license, or the license
    /// no pool of this name.
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn seats_of_pool(
        &self,
        caller: &Caller,
        license: LicenseId,
        pool: &PoolName,
        page: PageRequest,
    ) -> Result<Option<ListedRows<SeatView>>> {
        let Some(found) = self.records.seats_of_pool(caller, (license, pool), page).await? else { return Ok(None) };
        let ListedSeats { number, epoch, opening, listed: ListedRows { items, next } } = found;
        let wanted: Vec<SeatNo> = items.iter().map(|it| it.seat).collect();
        let key = PoolKey { license: number, pool: pool.clone() };
        let sightings = match looked(self.seats.look_up_seats(&key, &wanted)).await {
            // A copy of an earlier epoch has not heard of a change.
            Some(PoolReply::Answer(look)) if look.epoch >= epoch => look.seats,
            _ => Vec::new(),
        };
        let mut sightings = sightings.into_iter();
        let items = items.into_iter().map(|row| match sightings.next() {
            Some(sighting) => seen(row, sighting),
            None => unseen(row, opening),
        });
        Ok(Some(ListedRows { items: items.collect(), next }))
    }
}

/// A seat as Redis knows it, which was asked after the records.
fn seen(row: SeatRow, sighting: SeatSighting) -> SeatView {
    let SeatSighting { condition, lease_end_ms, free_at_ms } = sighting;
    let (state, is_held) = match condition {
        SeatCondition::Live => (SeatState::Live, true),
        SeatCondition::Silent => (SeatState::Silent, true),
        SeatCondition::Ending => (SeatState::Ending, true),
        SeatCondition::Waiting => (SeatState::Waiting, false),
        SeatCondition::Free => (SeatState::Free, false),
    };
    SeatView {
        seat: row.seat,
        state,
        // Whoever had a seat when the records were read may have left it since.
        session: row.session.filter(|_| is_held),
        since: row.since.filter(|_| is_held),
        lease_ends_at: lease_end_ms.map(clock::from_ms),
        free_at: free_at_ms.map(clock::from_ms),
    }
}

/// A seat as the records alone know it.
fn unseen(row: SeatRow, opening: bool) -> SeatView {
    let state = match (row.held, row.waits || opening) {
        (true, _) => SeatState::Unknown,
        (false, true) => SeatState::Waiting,
        (false, false) => SeatState::Free,
    };
    let SeatRow { seat, session, since, .. } = row;
    SeatView { seat, state, session, since, lease_ends_at: None, free_at: None }
}

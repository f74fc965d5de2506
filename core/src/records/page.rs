//! Pages of long lists: a page costs the same wherever it is, since it begins where the one before it ended.

use crate::{Error, Result, refusal::UnreadableText};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Which part of a list: at most `limit` rows after `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The cursor of the page before; `None` for the first page.
    pub after: Option<PageCursor>,
    /// How many rows, from 1 on.
    pub limit: u16,
}

/// Where a page ended: the id of its last row. It gives access to nothing, since every query names its tenant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageCursor(pub Uuid);

impl std::fmt::Display for PageCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::domain::secret::base64url(self.0.as_bytes()))
    }
}

impl FromStr for PageCursor {
    type Err = UnreadableText;
    fn from_str(text: &str) -> std::result::Result<Self, UnreadableText> {
        let bytes = crate::domain::secret::from_base64url(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(|bytes| Self(Uuid::from_bytes(bytes))).ok_or(UnreadableText::PageCursor)
    }
}

/// Rows of a list, and where the next page begins if there is one.
#[derive(Clone, Debug)]
pub struct ListedRows<T> {
    /// At most as many as asked for.
    pub items: Vec<T>,
    /// `None` on the last page.
    pub next: Option<PageCursor>,
}

impl PageRequest {
    /// The newest first page of the usual length.
    pub const FIRST: Self = Self { after: None, limit: 20 };

    /// One row more than the page has tells whether another page follows.
    pub(super) fn fetch(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Before this id in a list that goes from new to old.
    pub(super) fn below(self) -> Uuid {
        self.after.map_or(Uuid::max(), |cursor| cursor.0)
    }

    /// Makes a page of the rows that were fetched.
    pub(super) fn cut<R, T>(
        self,
        rows: Vec<R>,
        id: impl Fn(&T) -> Uuid,
        read: impl Fn(&R) -> sqlx::Result<T>,
    ) -> Result<ListedRows<T>> {
        let more = rows.len() > usize::from(self.limit);
        let items = rows.iter().take(self.limit.into()).map(read).collect::<sqlx::Result<Vec<T>>>();
        let items = items.map_err(|e| Error::internal("a row of a list cannot be read", e))?;
        let next = items.last().filter(|_| more).map(|last| PageCursor(id(last)));
        Ok(ListedRows { items, next })
    }
}

/// The least id that could have been drawn at this time or later: UUIDs of version 7 begin with their milliseconds.
pub(super) fn first_id_of(time: OffsetDateTime) -> Uuid {
    // The first millisecond that is not before it: what was drawn earlier in the same one was drawn before.
    let ms = (time.unix_timestamp_nanos() + 999_999).div_euclid(1_000_000);
    Uuid::from_u128(ms.clamp(0, (1 << 48) - 1).unsigned_abs() << 80)
}

/// The least id that could have been drawn so long before this one.
pub(super) fn id_before(id: Uuid, age: Duration) -> Uuid {
    let ms = id.as_u128() >> 80;
    Uuid::from_u128(ms.saturating_sub(age.whole_milliseconds().max(0).unsigned_abs()) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::draw_uuid;

    #[test]
    fn a_time_is_the_least_id_of_its_millisecond_and_no_time_is_out_of_bounds() {
        let at = |ns| OffsetDateTime::from_unix_timestamp_nanos(ns).unwrap();
        assert_eq!(first_id_of(at(1_000_000)).as_u128(), 1 << 80);
        assert_eq!(first_id_of(at(1_000_001)).as_u128(), 2 << 80);
        assert_eq!(first_id_of(at(-5)), Uuid::nil());
        assert!(first_id_of(time::macros::datetime!(9999-12-31 23:59:59 UTC)) < Uuid::max());
        let now = draw_uuid();
        let day_ago = id_before(now, Duration::days(1));
        assert!(day_ago < now && (now.as_u128() >> 80) - (day_ago.as_u128() >> 80) <= 86_400_000);
    }
}

//! Changes made without a ticket: each bumps the epoch and answers the one before. After `migrations/0230_resize_pool.sql` to
//! `migrations/0239_after_restore.sql`.

use super::{Records, Row};
use crate::{
    rules::{Rule, Rules},
    time::{REBUILD_LEASE, Time},
    words::{Epoch, RESTORE_JUMP, SeatNo, SessionId},
};

impl Records {
    /// Every change: the epoch before.
    fn bump(&mut self) -> Epoch {
        self.epoch += 1;
        self.epoch - 1
    }

    /// `resize_pool`. Growing un-retires, then inserts; shrinking retires what is free, and the rest drains.
    pub fn resize_pool(&mut self, total: usize, rules: Rules) -> Epoch {
        let mut kept = self.seats().count();
        for row in &mut self.seats {
            if row.retired && kept < total {
                row.retired = false;
                kept += 1;
            }
        }
        while kept < total {
            self.seats.push(Row::default());
            kept += 1;
        }
        let keeps_quarantines = rules.hold(Rule::ShrinkKeepsQuarantines);
        for row in self.seats.iter_mut().rev() {
            let quarantine = row.hold_until.is_some() && keeps_quarantines;
            if kept > total && !row.retired && row.holder.is_none() && !quarantine {
                row.retired = true;
                kept -= 1;
            }
        }
        self.total = total;
        self.surplus = kept - total;
        self.bump()
    }

    /// `kick_seat`. Also answers which sessions it ended. `None`: no such seat.
    pub fn kick_seat(&mut self, seat: SeatNo, force: bool, now: Time, rules: Rules) -> Option<(Epoch, Vec<SessionId>)> {
        let row = *self.row(seat).filter(|row| !row.retired)?;
        let epoch = self.epoch + 1;
        let mut kicked: Vec<_> = self.open_sessions(seat).map(|(id, _)| id).collect();
        let whole = rules.hold(Rule::KickEndsTheWholeSeat);
        if !whole {
            kicked.truncate(1);
        }
        self.end_where(|id, _| kicked.contains(&id));
        let lives_on = !whole && self.open_sessions(seat).next().is_some();
        if let Some(kicked) = self.row_mut(seat)
            && !lives_on
        {
            kicked.holder = None;
            if force {
                (kicked.hold_until, kicked.hold_epoch) = (None, 0);
            } else if row.holder.is_some() && rules.hold(Rule::KickQuarantines) {
                (kicked.hold_until, kicked.hold_epoch) = (Some(now), epoch);
            }
        }
        Some((self.bump(), kicked))
    }

    /// `suspend_license`, `resume_license`.
    pub fn set_active(&mut self, active: bool) -> Epoch {
        self.active = active;
        self.bump()
    }

    /// `after_restore`, run before anything is opened.
    pub fn after_restore(&mut self, now: Time, rules: Rules) {
        self.rebuilt = 0;
        if rules.hold(Rule::RestoreJumpsEpochs) {
            self.epoch += RESTORE_JUMP;
        }
        if rules.hold(Rule::RestoreOpensLater) {
            self.opens_at = now + REBUILD_LEASE;
        }
        if rules.hold(Rule::RestoreQuarantines) {
            for row in self.seats.iter_mut().filter(|row| row.holder.is_none()) {
                (row.hold_until, row.hold_epoch) = (Some(now), self.epoch);
            }
        }
    }
}

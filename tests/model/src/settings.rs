//! The settings that are searched: each lets a few faults happen together, so that a walk gets deep.

use crate::{
    faults::Fault::{
        Duplicate, Failover, Flush, ForcedKick, Kick, LoseKey, RedisClock, Resize, Restart, Restore, ServiceClock,
        Suspend, Sweep,
    },
    model::Bounds,
};

/// A named setting.
pub struct Setting {
    /// What it is about.
    pub name: &'static str,
    /// Its bounds.
    pub bounds: Bounds,
}

/// One machine with two processes and another machine.
const SHARED: &[u8] = &[1, 1, 2];
/// Three machines.
const APART: &[u8] = &[1, 2, 3];

/// All of them.
pub fn all() -> Vec<Setting> {
    let one = |holders| Bounds::new(1, holders);
    let two = |holders| Bounds::new(2, holders);
    let setting = |name, bounds| Setting { name, bounds };
    vec![
        setting(
            "sharing one seat",
            one(SHARED).within(8, 3, 7).with(&[(Sweep, 3), (Duplicate, 2), (Restart, 2), (Flush, 1)]),
        ),
        setting(
            "crowded seats",
            one(SHARED).of_crowded_seats().within(8, 3, 7).with(&[
                (Sweep, 3),
                (Duplicate, 2),
                (Restart, 2),
                (Flush, 1),
                (ServiceClock, 1),
            ]),
        ),
        setting(
            "failovers",
            one(SHARED).within(10, 4, 7).with(&[(Sweep, 2), (Duplicate, 1), (Restart, 1), (Failover, 2), (Flush, 1)]),
        ),
        setting(
            "lost keys",
            one(SHARED).within(9, 3, 7).with(&[(Sweep, 3), (Restart, 1), (LoseKey, 2), (Failover, 1), (Duplicate, 1)]),
        ),
        setting(
            "wrong clocks",
            one(SHARED).within(10, 3, 7).with(&[
                (Sweep, 3),
                (RedisClock, 2),
                (ServiceClock, 2),
                (Flush, 1),
                (Restart, 1),
            ]),
        ),
        setting(
            "kicks",
            one(SHARED).within(10, 3, 7).with(&[(Sweep, 3), (Kick, 2), (ForcedKick, 1), (Flush, 1), (Failover, 1)]),
        ),
        setting(
            "changes under a wrong clock",
            one(SHARED).within(10, 3, 7).with(&[
                (Sweep, 2),
                (RedisClock, 2),
                (ServiceClock, 2),
                (Suspend, 2),
                (Kick, 1),
                (Restart, 1),
            ]),
        ),
        setting(
            "changes and failovers",
            one(SHARED).within(10, 4, 7).with(&[(Sweep, 1), (Failover, 2), (Suspend, 2), (Kick, 1), (Flush, 1)]),
        ),
        setting(
            "two seats, moves",
            two(APART).within(10, 4, 8).with(&[(Sweep, 3), (Duplicate, 2), (Restart, 1), (Flush, 1), (Failover, 1)]),
        ),
        setting(
            "resizes",
            two(APART).within(10, 3, 8).with(&[(Sweep, 3), (Resize, 3), (Kick, 1), (Flush, 1), (Duplicate, 1)]),
        ),
        setting(
            "suspension",
            two(SHARED).within(9, 3, 7).with(&[(Sweep, 3), (Suspend, 2), (Resize, 1), (Failover, 1), (Duplicate, 1)]),
        ),
        setting(
            "everything",
            two(APART).within(11, 4, 8).with(&[
                (Sweep, 3),
                (Duplicate, 2),
                (Restart, 2),
                (Failover, 1),
                (Flush, 1),
                (LoseKey, 1),
                (RedisClock, 1),
                (ServiceClock, 1),
                (Kick, 1),
                (Resize, 2),
                (Suspend, 1),
            ]),
        ),
        setting(
            "two lengths of lease",
            one(&[1, 2]).with_another_lease(6).within(12, 3, 5).with(&[
                (Sweep, 1),
                (Flush, 1),
                (Failover, 1),
                (Suspend, 1),
            ]),
        ),
        setting("restores", one(SHARED).within(10, 3, 7).with(&[(Sweep, 2), (Restore, 1), (Flush, 1), (Restart, 1)])),
    ]
}

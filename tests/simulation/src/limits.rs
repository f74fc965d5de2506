//! L4 of docs/PROTOCOL.md, section 6, held against a clock: a suspension reaches a live client within one heartbeat.

/// A heartbeat that was answered: when it was sent, when it was answered, and whether with a lease; in microseconds of
/// the log's clock.
pub type Beat = (i64, i64, bool);

/// What became of the suspensions of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Suspensions that staff were told of.
    pub suspensions: usize,
    /// Heartbeats that were sent and refused after that.
    pub refused: usize,
    /// How long after it, at the latest, a heartbeat was sent that was given a lease all the same.
    pub worst: i64,
    pub broken: Vec<String>,
}

/// `statuses` has every change of the pool's row and whether it is suspended then.
///
/// `told`: when staff were told that it is suspended, which Redis knew before. `within`: one heartbeat. By `clocks` the
/// records' clock and the log's may differ.
pub fn reached(statuses: &[(i64, bool)], told: &[i64], beats: &[Beat], within: i64, clocks: i64) -> Reached {
    let mut found = Reached::default();
    for &told in told {
        let now = statuses.iter().rfind(|(at, _)| *at <= told);
        if !now.is_some_and(|(_, suspended)| *suspended) {
            continue; // It was resumed again before the answer came.
        }
        found.suspensions += 1;
        let resumed = statuses.iter().find(|(at, suspended)| *at > told && !suspended).map_or(i64::MAX, |(at, _)| *at);
        for &(sent, answered, lease) in beats {
            if sent <= told || answered >= resumed.saturating_sub(clocks) {
                continue;
            }
            if !lease {
                found.refused += 1;
                continue;
            }
            found.worst = found.worst.max(sent - told);
            if sent - told > within + clocks {
                found.broken.push(format!(
                    "L4: staff were told of the suspension at {told}, and a heartbeat sent at {sent} was given a lease \
                     at {answered}"
                ));
            }
        }
    }
    found
}

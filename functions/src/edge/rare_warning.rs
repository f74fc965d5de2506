//! What is worth a log line, and not one for each request.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Something that is said at first, and then once a minute at most.
pub(super) struct RareWarning(Mutex<Option<Instant>>);

impl RareWarning {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether it is time to say it again.
    pub(super) fn due(&self, now: Instant) -> bool {
        // Whoever panicked here changed nothing by halves.
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = said.is_none_or(|said| now.duration_since(said) >= Duration::from_secs(60));
        if due {
            *said = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_first_and_then_once_a_minute() {
        let (seldom, start) = (RareWarning::new(), Instant::now());
        let said = [0, 1, 59, 60, 61, 119, 120].map(|second| seldom.due(start + Duration::from_secs(second)));
        assert_eq!(said, [true, false, false, true, false, false, true]);
    }
}

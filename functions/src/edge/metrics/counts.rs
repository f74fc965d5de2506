//! What services count by themselves. Each series is there from the start, so that its first increase is seen.

use license_core::protocol::rebuild_counts::RebuildEnd;
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use std::sync::LazyLock;

/// One label and its value.
type ByOutcome = Family<[(&'static str, &'static str); 1], Counter>;

/// How a tick can end.
const SWEEPS: [&str; 3] = ["begun", "idle", "failed"];
/// How one try of a delivery can end: the outcomes of attempts, and the two of a service that cannot send.
pub(crate) const ATTEMPTS: [&str; 11] = [
    "delivered",
    "refused",
    "redirected",
    "gone",
    "not_allowed",
    "unresolved",
    "unreachable",
    "tls",
    "timed_out",
    "secret_unreadable",
    "no_client",
];

static SWEPT: LazyLock<ByOutcome> = LazyLock::new(|| from_zero(&SWEEPS));
static ATTEMPTED: LazyLock<ByOutcome> = LazyLock::new(|| from_zero(&ATTEMPTS));
static PUBLISHED: LazyLock<Counter> = LazyLock::new(Counter::default);

fn from_zero(outcomes: &[&'static str]) -> ByOutcome {
    let family = ByOutcome::default();
    for outcome in outcomes {
        family.get_or_create_owned(&[("outcome", *outcome)]);
    }
    family
}

/// A tick found something to sweep (`Some(true)`) or nothing (`Some(false)`), or could not look (`None`).
pub(crate) fn count_sweep(found: Option<bool>) {
    let [begun, idle, failed] = SWEEPS;
    let outcome = found.map_or(failed, |found| if found { begun } else { idle });
    SWEPT.get_or_create(&[("outcome", outcome)]).inc();
}

/// So many events were published.
pub(crate) fn count_published(events: usize) {
    PUBLISHED.inc_by(events as u64);
}

/// A try of a delivery ended.
pub(crate) fn count_attempt(outcome: &'static str) {
    ATTEMPTED.get_or_create(&[("outcome", outcome)]).inc();
}

pub(super) fn register(registry: &mut Registry) {
    let rebuilds = ByOutcome::default();
    for end in RebuildEnd::ALL {
        rebuilds.get_or_create(&[("outcome", end.as_str())]).inc_by(end.count());
    }
    registry.register("license_rebuilds", "Rebuilds of copies in Redis that this process made", rebuilds);
    registry.register("license_sweeps", "Ticks that this process looked after", SWEPT.clone());
    registry.register("license_events_published", "Events that this process published", PUBLISHED.clone());
    registry.register("license_webhook_attempts", "Tries of deliveries to webhooks", ATTEMPTED.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use license_core::webhooks::AttemptOutcome;

    #[test]
    fn every_outcome_of_an_attempt_is_there_from_the_start() {
        let all = [
            AttemptOutcome::Delivered { status: 200 },
            AttemptOutcome::Refused { status: 500, body: String::new() },
            AttemptOutcome::Redirected { status: 302 },
            AttemptOutcome::Gone,
            AttemptOutcome::NotAllowed,
            AttemptOutcome::Unresolved,
            AttemptOutcome::Unreachable,
            AttemptOutcome::Tls,
            AttemptOutcome::TimedOut,
        ];
        let words: Vec<_> = all.iter().map(AttemptOutcome::as_str).chain(["secret_unreadable", "no_client"]).collect();
        assert_eq!(words, ATTEMPTS);
    }
}

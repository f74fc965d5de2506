//! 409: why there is no seat, or no place on the holder's seat, and when it may be worth asking again.

use crate::{
    answer::{holders, seconds, span},
    edge::{Problem, layers::about},
};
use license_core::{
    ProblemCode,
    seat_store::{PoolFull, TooManyProcesses, WaitReason},
};
use serde_json::json;

/// A pool that gives nobody new a seat. `ttl_ms` tells when a holder was heard from its lease's end.
pub(super) fn no_seat(full: &PoolFull, ttl_ms: i64) -> Problem {
    about(Some(full.facts.tenant), None);
    let next = (full.wait_ms > 0).then(|| seconds(full.wait_ms));
    let problem = Problem::new(ProblemCode::NoSeatsAvailable, detail(full, next))
        .with("seats_total", full.seats_total)
        .with("seats_used", full.held)
        .with("seats_waiting", full.waiting)
        .with("holders", json!(holders(&full.silent, &full.facts, full.now_ms, ttl_ms)));
    match next {
        Some(seconds) => problem.with("next_seat_in", seconds).retry_after(seconds),
        None => problem,
    }
}

fn detail(full: &PoolFull, next: Option<u64>) -> String {
    let PoolFull { seats_total: total, held, waiting, .. } = *full;
    let at = next.map(span);
    let within = at.as_deref().map_or_else(|| "later".to_owned(), |at| format!("in {at}"));
    // Who was ended by somebody, or is not known to restored records, may go on believing for as long.
    const WAITS: &str = "until whoever had it before cannot be using it any more";
    match full.until {
        WaitReason::Never if held == 0 => {
            "The license has no seats here at present. The vendor can add some.".to_owned()
        }
        WaitReason::Never => format!(
            "The license has no seats here any more; {held} {} left to whoever {} until they are given back. The vendor can add some.",
            if held == 1 { "is" } else { "are" },
            if held == 1 { "has it" } else { "have them" },
        ),
        WaitReason::Opening => format!(
            "The license server's records were restored, and until every lease given before that is over nobody who starts is seated. Try again {within}."
        ),
        WaitReason::Wait if held == 0 && total == 1 => {
            format!("The license's only seat is in nobody's use, but it waits {WAITS}. It is free {within}.")
        }
        WaitReason::Wait if held == 0 => {
            format!(
                "The license's {total} seats are in nobody's use, but each waits {WAITS}. The first is free {within}."
            )
        }
        WaitReason::Wait => format!(
            "No seat is free: {held} of {total} in use, {waiting} waiting, each {WAITS}. The first of those is free {within}; or close the program where it is not needed."
        ),
        WaitReason::Lease if held > total => format!(
            "The license has {} now, and {held} are still in use from when it had more. Close the program where it is not needed, or try again later.",
            if total == 1 { "1 seat".to_owned() } else { format!("{total} seats") },
        ),
        WaitReason::Lease if waiting > 0 => format!(
            "No seat is free: {held} of {total} in use, {waiting} waiting, each {WAITS}. Close the program where it is not needed, or try again later."
        ),
        WaitReason::Lease if total == 1 => {
            "The license's only seat is in use. Close the program where it is not needed, or try again later."
                .to_owned()
        }
        WaitReason::Lease => {
            format!("All {total} seats are in use. Close the program where it is not needed, or try again later.")
        }
    }
}

/// A seat that carries as many processes as it may.
pub(super) fn too_many(many: &TooManyProcesses) -> Problem {
    let TooManyProcesses { processes, by_process, wait_ms } = *many;
    let next = seconds(wait_ms);
    let who = match (processes, by_process) {
        (1, false) => "Another process of this machine has its seat".to_owned(),
        (_, false) => format!("{processes} processes of this machine share its seat"),
        (1, true) => "Another start under this instance_id has its seat".to_owned(),
        (_, true) => format!("{processes} starts under this instance_id share its seat"),
    };
    let detail = format!(
        "{who} already, as many as the license allows. Close one. One that ended without giving its place back keeps it until its lease ends: the first is over in {}, unless it gives a sign of life.",
        span(next)
    );
    Problem::new(ProblemCode::TooManyProcesses, detail)
        .with("processes", processes)
        .with("next_process_in", next)
        .retry_after(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use license_core::domain::license::LicenseFacts;

    fn full(total: u32, held: u32, waiting: u32, until: WaitReason) -> PoolFull {
        let facts = json!({"tenant": uuid::Uuid::nil(), "number": "752KJY5EZQ1CW", "product": "demo", "tier": "demo", "seats_total": total,
            "features": {}, "expires_at": null, "offline": {"policy": "none"}, "facts_version": 1});
        let facts: LicenseFacts = serde_json::from_value(facts).unwrap();
        let next_lease_end_ms = 1;
        PoolFull {
            held,
            seats_total: total,
            waiting,
            until,
            next_lease_end_ms,
            wait_ms: 51_000,
            now_ms: 0,
            facts,
            silent: Vec::new(),
        }
    }

    #[test]
    fn nobody_is_told_to_close_what_nobody_uses() {
        for total in [0, 1, 2, 5] {
            for (until, waiting) in [(WaitReason::Wait, total), (WaitReason::Opening, total), (WaitReason::Never, 0)] {
                let text = detail(&full(total, 0, waiting, until), Some(51));
                assert!(!text.contains("Close") && !text.contains("All"), "{text}");
                assert_eq!(text.contains("51 s"), until != WaitReason::Never, "{text}");
            }
        }
        assert!(detail(&full(5, 5, 0, WaitReason::Lease), Some(51)).starts_with("All 5 seats are in use"));
        assert!(detail(&full(5, 3, 2, WaitReason::Wait), Some(51)).contains("3 of 5 in use, 2 waiting"));
        assert!(detail(&full(2, 3, 0, WaitReason::Lease), Some(51)).contains("has 2 seats now, and 3"));
    }
}

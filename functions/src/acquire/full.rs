//! 409: why a pool has no seat, or the holder's seat no place, and when it may be worth asking again.

use crate::{
    answer::{holders, seconds, span},
    edge::{Problem, context::about},
};
use license_core::{
    ProblemCode, clock,
    seat_store::{PoolFull, TooManyProcesses, WaitReason},
};
use serde_json::json;

/// The problem of a pool that gives a new holder no seat. `ttl_ms` is the length of a lease, from which and from the
/// end of a lease follows when its holder was last heard from.
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

// A holder that was ended by an administrator, or that restored records do not know, may believe in its lease until
// then.
const WAITS: &str = "until whoever had it before cannot be using it any more";

fn detail(full: &PoolFull, next: Option<u64>) -> String {
    let held = full.held;
    let at = next.map(span);
    let within = at.as_deref().map_or_else(|| "later".to_owned(), |at| format!("in {at}"));
    match full.until {
        WaitReason::Never if held == 0 => {
            "The license has no seats here at present. The vendor can add some.".to_owned()
        }
        WaitReason::Never => format!(
            "The license has no seats here any more; {held} {} left to whoever {} until they are given back. \
             The vendor can add some.",
            if held == 1 { "is" } else { "are" },
            if held == 1 { "has it" } else { "have them" },
        ),
        WaitReason::Opening => format!(
            "The license server's records were restored, and leases of before that may still be in use: \
             no seat is given before {}. Try again {within}.",
            opens_at(full, next)
        ),
        WaitReason::Wait => waiting_detail(full, next, &within),
        WaitReason::Lease => held_detail(full),
    }
}

/// When the next seat is free, to the second.
fn opens_at(full: &PoolFull, next: Option<u64>) -> String {
    let after_ms = next.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1000));
    let Some(at) = after_ms.and_then(|after_ms| full.now_ms.checked_add(after_ms)) else {
        return "a time that is not known yet".to_owned();
    };
    let at = clock::from_ms(at);
    let [year, month, day] = [at.year(), i32::from(u8::from(at.month())), i32::from(at.day())];
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", at.hour(), at.minute(), at.second())
}

/// The next seat to be free is one that waits.
fn waiting_detail(full: &PoolFull, next: Option<u64>, within: &str) -> String {
    let PoolFull { seats_total: total, held, waiting, .. } = *full;
    let at = opens_at(full, next);
    match (held, total) {
        (0, 1) => format!(
            "The license's only seat is in nobody's use, but it waits {WAITS}: no seat is given before {at}. \
             Try again {within}."
        ),
        (0, _) => format!(
            "The license's {total} seats are in nobody's use, but each waits {WAITS}: no seat is given before {at}. \
             Try again {within}."
        ),
        _ => format!(
            "No seat is free: {held} of {total} in use, {waiting} waiting, each {WAITS}. \
             The first of those is free {within}; or close the program where it is not needed."
        ),
    }
}

/// The next seat to be free is one that has a holder.
fn held_detail(full: &PoolFull) -> String {
    let PoolFull { seats_total: total, held, waiting, .. } = *full;
    if held > total {
        let seats = if total == 1 { "1 seat".to_owned() } else { format!("{total} seats") };
        return format!(
            "The license has {seats} now, and {held} are still in use from when it had more. \
             Close the program where it is not needed, or try again later."
        );
    }
    if waiting > 0 {
        return format!(
            "No seat is free: {held} of {total} in use, {waiting} waiting, each {WAITS}. \
             Close the program where it is not needed, or try again later."
        );
    }
    if total == 1 {
        return "The license's only seat is in use. Close the program where it is not needed, or try again later."
            .into();
    }
    format!("All {total} seats are in use. Close the program where it is not needed, or try again later.")
}

/// The problem of a seat that carries as many processes as it may.
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
        "{who} already, as many as the license allows. Close one. One that ended without giving its place back keeps \
         it until its lease ends: the first is over in {}, unless it gives a sign of life.",
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
        // As after a restore, when nothing is held: the same is told whether the pool or each seat of it waits.
        for (until, total) in [(WaitReason::Opening, 5), (WaitReason::Wait, 5), (WaitReason::Wait, 1)] {
            let text = detail(&full(total, 0, total, until), Some(51));
            assert!(text.contains("no seat is given before 1970-01-01 00:00:51 UTC. Try again in 51 s."), "{text}");
        }
        assert!(detail(&full(5, 5, 0, WaitReason::Lease), Some(51)).starts_with("All 5 seats are in use"));
        assert!(detail(&full(5, 3, 2, WaitReason::Wait), Some(51)).contains("3 of 5 in use, 2 waiting"));
        assert!(detail(&full(2, 3, 0, WaitReason::Lease), Some(51)).contains("has 2 seats now, and 3"));
    }
}

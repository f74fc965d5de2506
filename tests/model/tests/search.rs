//! Random walks: the protocol stays whole in every setting, and most mutants are found by walks alone. Each walk is its seed and its
//! number, so whatever is found here can be told again: `./dev model --seed 1 --setting NAME --walk N [--without RULE]`.

use license_model::{
    model::Seats,
    rules::{Rule, Rules},
    settings,
    walk::{Limits, Report, search},
    world::Sight,
};
use std::time::Duration;

const SEED: u64 = 1;
/// Walks of each setting, six to twelve million worlds.
const WALKS: u64 = 40_000;
/// Walks after which a mutant is given up. Where it is found, most are not needed.
const PATIENCE: u64 = 30_000;

fn walks(name: &str, rules: Rules, walks: u64) -> Report {
    let setting = settings::all().into_iter().find(|setting| setting.name == name).expect("a setting of that name");
    let model = Seats { rules, bounds: setting.bounds };
    let mut report = search(&model, SEED, 0, Limits { walks, time: Duration::MAX, repair: 64 });
    if rules == Rules::all()
        && let Some(found) = report.found.take()
    {
        panic!("{}", found.tell(&model));
    }
    report
}

/// Nothing breaks, and the setting is not empty: what it is about happens.
fn is_whole(name: &str, sights: &[Sight]) {
    let report = walks(name, Rules::all(), WALKS);
    println!("{} worlds, {} steps at most, {} repairs", report.worlds, report.longest, report.repairs);
    for sight in [&[Sight::Granted, Sight::SecondHolder, Sight::Repeated], sights].concat() {
        assert!(report.seen & (1 << sight as u16) != 0, "{sight:?} was never seen");
    }
}

/// Walks alone find these mutants.
fn finds(name: &str, mutants: &[Rule]) {
    for rule in mutants {
        let report = walks(name, Rules::all().without(*rule), PATIENCE);
        let found = report.found.unwrap_or_else(|| panic!("{rule}: {PATIENCE} walks found nothing"));
        println!("{rule}: {} in walk {}, {} steps", found.property, found.at.1, found.actions.len());
    }
}

#[test]
fn nothing_breaks_while_processes_share_a_seat() {
    is_whole("sharing one seat", &[Sight::Joined, Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_through_failovers() {
    is_whole("failovers", &[Sight::Joined, Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_when_keys_are_lost() {
    is_whole("lost keys", &[Sight::Joined, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_under_a_wrong_clock() {
    is_whole("wrong clocks", &[Sight::Joined, Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_when_things_change_under_a_wrong_clock() {
    is_whole("changes under a wrong clock", &[Sight::Joined, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_when_things_change_through_failovers() {
    is_whole("changes and failovers", &[Sight::Joined, Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_through_kicks() {
    is_whole("kicks", &[Sight::Joined, Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_while_holders_move() {
    is_whole("two seats, moves", &[Sight::Moved, Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_through_resizes() {
    is_whole("resizes", &[Sight::Retired, Sight::GrantedAfterFlush]);
}

#[test]
fn nothing_breaks_through_suspensions() {
    is_whole("suspension", &[Sight::Joined]);
}

#[test]
fn nothing_breaks_when_everything_happens() {
    is_whole("everything", &[Sight::Joined, Sight::LateHeartbeatKept, Sight::Retired]);
}

#[test]
fn nothing_breaks_under_leases_of_two_lengths() {
    is_whole("two lengths of lease", &[Sight::GrantedAfterFlush, Sight::LateHeartbeatKept]);
}

#[test]
fn nothing_breaks_through_restores() {
    is_whole("restores", &[Sight::Joined, Sight::GrantedAfterFlush]);
}

#[test]
fn walks_find_what_breaks_sessions() {
    finds(
        "sharing one seat",
        &[
            Rule::GrantComparesEpochs,
            Rule::GrantIsFenced,
            Rule::EndedStaysEnded,
            Rule::GrantEndsTheUncounted,
            Rule::RetryDrawsATicket,
            Rule::RetryIsOfOneAttempt,
            Rule::EndingComparesEpochs,
            Rule::EndingIsFenced,
            Rule::EndingIsForWhoeverHolds,
            Rule::NothingIsUndone,
            Rule::FreeLooksAgain,
            Rule::ReapClaimsSessions,
            Rule::ReapClaimsSeats,
            Rule::ReapedSessionsCompareEpochs,
            Rule::ClaimsAreTakenUpAgain,
            Rule::EndingStaysListed,
            Rule::JoinEndsTheLapsed,
            Rule::ReleaseLeavesTheSeatToSiblings,
            Rule::ReleasedIsEndedById,
            Rule::NotHeldIsEndedById,
            Rule::VacatedIsDoneAgain,
            Rule::LeftIsDoneAgain,
            Rule::AnswersHaveGenerations,
            Rule::LeaseFromTheSendTime,
            Rule::FreshAttemptAfterRelease,
            Rule::NonceIsSpent,
        ],
    );
}

#[test]
fn walks_find_what_breaks_copies() {
    finds(
        "failovers",
        &[
            Rule::RebuildGivesAFullLease,
            Rule::KeepsOnlyTheLatestCopy,
            Rule::Stamp,
            Rule::Nonce,
            Rule::UnknownComparesEpochs,
            Rule::ReaperComparesEpochs,
        ],
    );
    finds(
        "lost keys",
        &[Rule::Counts, Rule::KeepsOnlyWholeCopies, Rule::HeldByNobodyIsOver, Rule::RebuildKeepsWhatItKnows],
    );
    finds("two lengths of lease", &[Rule::NonceFreezes, Rule::ColdForLongerLeases, Rule::LongerLeasesAreRemembered]);
}

#[test]
fn walks_find_what_trusts_one_clock() {
    finds(
        "wrong clocks",
        &[Rule::TwoClocksTake, Rule::TwoClocksForSessions, Rule::LeaseFromTheLaterClock, Rule::ClaimedIsOverByAnyClock],
    );
}

#[test]
fn walks_find_what_breaks_two_seats() {
    finds("two seats, moves", &[Rule::GrantLooksAtTheOtherSeat, Rule::RebuildLeaseCountsDrain, Rule::LeasesOnlyRise]);
}

#[test]
fn walks_find_what_breaks_changes() {
    finds(
        "resizes",
        &[
            Rule::GrantRefusesRetiredRows,
            Rule::EndingFencesEmptySeats,
            Rule::CapCountsTheLiving,
            Rule::SurplusIsRetired,
            Rule::ShrinkKeepsQuarantines,
        ],
    );
    finds(
        "suspension",
        &[
            Rule::NonceIsOfItsNode,
            Rule::InvalidateReachesRebuilds,
            Rule::SuspendedGivesNoSeat,
            Rule::ReaperLooksAtChangedPools,
        ],
    );
    finds(
        "kicks",
        &[
            Rule::KickQuarantines,
            Rule::TicketLiftsQuarantine,
            Rule::OnlyKnownQuarantinesAreServed,
            Rule::ReaperLooksAtQuarantines,
            Rule::KickEndsTheWholeSeat,
            Rule::QuarantineCountsFromTheRebuild,
        ],
    );
    finds("restores", &[Rule::RestoreOutlastsLeases]);
}

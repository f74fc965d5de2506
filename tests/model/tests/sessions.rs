//! Sessions that share a seat: how each of them ends.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{answer, end, grant, guards},
    properties::{BELIEVER, OVERSOLD, RELEASED, WRONGLY_GONE},
    repair::{HELD_FOR_EVER, OPEN_FOR_EVER},
    rules::Rule,
};

/// Processes 0 and 1 are of one machine, process 2 of another.
fn one_seat() -> Bounds {
    Bounds::new(1, &[1, 1, 2])
}

#[test]
fn a_session_claimed_by_the_reaper_cannot_come_back() {
    guards(Rule::ReapClaimsSessions, &one_seat(), &[BELIEVER], |play| {
        play.acquire(0);
        play.acquire(1);
        play.wait(1);
        play.heartbeat(1);
        play.wait(1);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.heartbeat(0);
        play.finish(sweep);
    });
}

#[test]
fn a_seat_claimed_by_the_reaper_cannot_be_kept_by_a_late_heartbeat() {
    guards(Rule::ReapClaimsSeats, &one_seat(), &[BELIEVER], |play| {
        play.acquire(0);
        play.wait(2);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.heartbeat(0);
        play.finish(sweep);
    });
}

#[test]
fn a_session_reaped_before_a_rebuild_that_revived_it_is_not_ended() {
    guards(Rule::ReapedSessionsCompareEpochs, &one_seat(), &[BELIEVER], |play| {
        play.acquire(0);
        play.acquire(1);
        play.wait(1);
        play.heartbeat(1);
        play.wait(1);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.flush();
        play.heartbeat(0);
        play.finish(sweep);
    });
}

#[test]
fn a_join_paused_until_its_session_was_reaped_opens_nothing_that_stays() {
    guards(Rule::ReapedSessionsDrawTickets, &one_seat(), &[OPEN_FOR_EVER], |play| {
        play.acquire(0);
        let paused = play.asks_for_seat(1);
        play.until(paused, grant);
        play.wait(1);
        play.heartbeat(0);
        play.wait(1);
        play.heartbeat(0);
        play.sweep();
        play.finish(paused);
        play.must_come_right();
    });
}

#[test]
fn a_release_that_died_is_finished_by_the_reaper() {
    guards(Rule::ClaimsAreTakenUpAgain, &one_seat(), &[HELD_FOR_EVER], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.until(release, end);
        play.dies(release);
        play.must_come_right();
    });
}

#[test]
fn a_session_claimed_by_a_reaper_that_died_is_ended_by_the_next() {
    guards(Rule::EndingStaysListed, &one_seat(), &[OPEN_FOR_EVER], |play| {
        play.acquire(0);
        play.acquire(1);
        play.wait(1);
        play.heartbeat(1);
        play.wait(1);
        play.heartbeat(1);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.dies(sweep);
        play.must_come_right();
    });
}

#[test]
fn a_session_that_a_join_ended_is_not_kept_by_a_late_heartbeat() {
    guards(Rule::JoinEndsTheLapsed, &one_seat(), &[BELIEVER], |play| {
        let first = play.asks_for_seat(0);
        let copy = play.asks_for_seat(0);
        play.finish(first);
        play.wait(2);
        // The late copy gets a session of its own, which ends the older one of its attempt.
        play.finish(copy);
        play.heartbeat(0);
    });
}

#[test]
fn two_processes_of_one_machine_share_its_seat_and_the_last_to_leave_frees_it() {
    guards(Rule::ReleaseLeavesTheSeatToSiblings, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.release(0);
        play.acquire(2);
    });
}

#[test]
fn a_release_that_finds_nothing_to_release_ends_the_session_all_the_same() {
    guards(Rule::NotHeldIsEndedById, &one_seat(), &[RELEASED], |play| {
        play.acquire(0);
        play.acquire(1);
        let release = play.sends_release(0);
        let again = play.duplicate(release);
        play.until(release, end);
        play.dies(release);
        play.finish(again);
    });
}

#[test]
fn a_release_overtaken_by_a_rebuild_is_done_again_in_the_new_epoch() {
    guards(Rule::VacatedIsDoneAgain, &one_seat(), &[RELEASED], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.until(release, end);
        play.flush();
        play.acquire(2);
        play.finish(release);
    });
}

#[test]
fn a_session_that_left_while_its_pool_was_rebuilt_leaves_the_new_copy_too() {
    guards(Rule::LeftIsDoneAgain, &one_seat(), &[RELEASED], |play| {
        play.acquire(0);
        play.acquire(1);
        let release = play.sends_release(0);
        play.until(release, end);
        play.flush();
        play.heartbeat(1);
        play.finish(release);
    });
}

#[test]
fn a_session_told_gone_does_not_come_back_with_a_rebuild() {
    guards(Rule::GoneIsRecorded, &one_seat(), &[WRONGLY_GONE], |play| {
        play.acquire(0);
        play.wait(2);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.dies(sweep);
        let slow = play.sends_heartbeat(0);
        play.until(slow, answer);
        play.flush();
        play.heartbeat(0);
        play.finish(slow);
    });
}

#[test]
fn an_answer_to_an_earlier_life_is_dropped() {
    guards(Rule::AnswersHaveGenerations, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        let first = play.asks_for_seat(0);
        let copy = play.asks_for_seat(0);
        play.finish(first);
        play.until(copy, answer);
        play.release(0);
        play.step(copy);
        play.acquire(2);
    });
}

#[test]
fn a_lease_counts_from_when_its_request_was_sent() {
    guards(Rule::LeaseFromTheSendTime, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        let slow = play.sends_heartbeat(0);
        play.until(slow, answer);
        play.wait(1);
        play.finish(slow);
        play.wait(1);
        play.acquire(2);
    });
}

#[test]
fn a_process_that_has_sent_a_release_does_not_repeat_its_attempt() {
    guards(Rule::FreshAttemptAfterRelease, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.acquire(0);
        play.finish(release);
        play.acquire(2);
    });
}

#[test]
fn a_suspended_license_gives_no_seat() {
    guards(Rule::SuspendedGivesNoSeat, &one_seat(), &[license_model::properties::SUSPENDED], |play| {
        play.change(Action::Suspend);
        play.acquire(0);
    });
}

#[test]
fn a_process_of_a_crowded_seat_is_told_the_short_lease_it_was_given() {
    let crowded = one_seat().of_crowded_seats();
    guards(Rule::TellsTheLeaseThatWasGiven, &crowded, &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.release(0);
        play.wait(1);
        play.acquire(2);
    });
}

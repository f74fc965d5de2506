//! Tickets: what is decided on an old copy, or overtaken, is not written down.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{end, free, grant, guards},
    properties::{BELIEVER, OVERSOLD, RELEASED, REOPENED},
    repair::{ENDLESS, HELD_FOR_EVER},
    rules::Rule,
};

/// Processes 0 and 1 are of one machine, process 2 of another.
fn one_seat() -> Bounds {
    Bounds::new(1, &[1, 1, 2])
}

/// Three machines.
fn two_seats() -> Bounds {
    Bounds::new(2, &[1, 2, 3])
}

#[test]
fn a_grant_decided_before_a_rebuild_is_not_written_down() {
    guards(Rule::GrantComparesEpochs, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        let early = play.asks_for_seat(0);
        play.until(early, grant);
        play.flush();
        // The new copy knows nothing of that and gives the seat to another machine.
        let late = play.asks_for_seat(2);
        play.until(late, grant);
        play.finish(early);
        play.finish(late);
    });
}

#[test]
fn a_paused_acquire_cannot_take_a_seat_twice() {
    guards(Rule::GrantIsFenced, &one_seat(), &[BELIEVER], |play| {
        let paused = play.asks_for_seat(0);
        play.until(paused, grant);
        play.wait(2);
        play.acquire(2);
        play.finish(paused);
    });
}

#[test]
fn a_paused_acquire_does_not_free_the_newer_seat_of_its_machine() {
    guards(Rule::GrantLooksAtTheOtherSeat, &two_seats(), &[BELIEVER], |play| {
        let paused = play.asks_for_seat(0);
        play.until(paused, grant);
        play.acquire(2);
        play.wait(1);
        play.heartbeat(2);
        play.wait(1);
        play.heartbeat(2);
        // The reservation has lapsed; who takes it dies before the records hear of it.
        let taker = play.asks_for_seat(1);
        play.until(taker, grant);
        play.dies(taker);
        play.release(2);
        play.acquire(0);
        play.finish(paused);
    });
}

#[test]
fn an_ended_session_is_never_opened_again() {
    guards(Rule::EndedStaysEnded, &one_seat(), &[REOPENED], |play| {
        let first = play.asks_for_seat(0);
        let copy = play.asks_for_seat(0);
        play.finish(first);
        play.acquire(1);
        // The copy's ticket is the newest; then its session is released, which needs no ticket.
        play.until(copy, grant);
        play.release(0);
        play.step(copy);
    });
}

#[test]
fn an_attempt_whose_session_was_taken_over_and_never_ended_gets_a_new_one() {
    guards(Rule::GrantEndsTheUncounted, &one_seat(), &[ENDLESS], |play| {
        let unheard = play.asks_for_seat(0);
        play.until(unheard, license_model::play::answer);
        play.dies(unheard);
        play.wait(2);
        // Another machine takes the lapsed seat in Redis and dies: the records still count the old session in.
        let taker = play.asks_for_seat(2);
        play.until(taker, grant);
        play.dies(taker);
        play.wait(2);
        play.must_come_right();
    });
}

#[test]
fn a_seat_that_was_retired_is_not_offered_for_ever() {
    guards(Rule::GrantRefusesRetiredRows, &two_seats(), &[ENDLESS], |play| {
        play.acquire(0);
        play.acquire(1);
        play.change(Action::Resize { total: 1 });
        play.heartbeat(0);
        play.heartbeat(1);
        let release = play.sends_release(1);
        play.until(release, free);
        play.dies(release);
        play.release(0);
        play.must_come_right();
    });
}

#[test]
fn an_acquire_does_not_loop_on_a_session_that_has_ended() {
    guards(Rule::EndedProvesTheCopyWrong, &one_seat(), &[ENDLESS], |play| {
        play.acquire(0);
        play.acquire(1);
        let attempt = play.world.processes[0].attempt;
        let release = play.sends_release(0);
        play.until(release, end);
        play.flush();
        let rebuild = play.sends_heartbeat(1);
        play.until(rebuild, license_model::play::rebuild);
        play.step(release);
        // The release dies after the records, before the copy hears of it; the copy is rebuilt from what was read before.
        play.dies(release);
        play.finish(rebuild);
        // A program may go on after a failed release, as the same process start.
        play.world.processes[0].attempt = attempt;
        play.must_come_right();
    });
}

#[test]
fn a_repeated_attempt_is_not_fenced_for_ever_by_its_siblings() {
    guards(Rule::RetryDrawsATicket, &one_seat(), &[ENDLESS], |play| {
        let unwritten = play.asks_for_seat(0);
        play.until(unwritten, grant);
        play.dies(unwritten);
        play.acquire(1);
        play.must_come_right();
    });
}

#[test]
fn two_processes_of_one_machine_have_a_session_each() {
    guards(Rule::RetryIsOfOneAttempt, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.release(0);
        play.acquire(2);
    });
}

#[test]
fn a_claim_from_before_a_rebuild_vacates_nothing() {
    guards(Rule::EndingComparesEpochs, &one_seat(), &[BELIEVER], |play| {
        play.acquire(0);
        play.wait(2);
        let sweep = play.sends_reaper();
        play.until(sweep, end);
        play.flush();
        play.heartbeat(0);
        play.finish(sweep);
    });
}

#[test]
fn a_release_overtaken_by_a_join_leaves_the_seat_to_who_joined() {
    guards(Rule::EndingIsFenced, &one_seat(), &[BELIEVER], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.until(release, end);
        play.acquire(1);
        play.step(release);
    });
}

#[test]
fn a_seat_is_vacated_whoever_the_records_say_holds_it() {
    guards(Rule::EndingIsForWhoeverHolds, &one_seat(), &[HELD_FOR_EVER], |play| {
        play.acquire(0);
        play.wait(2);
        let taker = play.asks_for_seat(2);
        play.until(taker, grant);
        play.dies(taker);
        play.must_come_right();
    });
}

#[test]
fn a_grant_paused_until_its_reservation_was_reaped_does_not_hold_a_seat_nobody_knows_of() {
    guards(Rule::EndingFencesEmptySeats, &one_seat(), &[HELD_FOR_EVER], |play| {
        // The pool is one that somebody used, so the reaper looks at it.
        play.acquire(2);
        play.release(2);
        play.flush();
        let paused = play.asks_for_seat(0);
        play.until(paused, grant);
        play.wait(2);
        play.sweep();
        play.finish(paused);
        play.must_come_right();
    });
}

#[test]
fn nothing_is_undone_by_a_release() {
    guards(Rule::NothingIsUndone, &one_seat(), &[BELIEVER], |play| {
        let copy = play.asks_for_seat(0);
        let other_copy = play.asks_for_seat(0);
        play.until(copy, grant);
        play.acquire(1);
        play.step(copy);
        play.finish(other_copy);
        play.finish(copy);
    });
}

#[test]
fn a_released_session_is_ended_by_its_id() {
    guards(Rule::ReleasedIsEndedById, &one_seat(), &[RELEASED], |play| {
        play.acquire(0);
        play.acquire(1);
        play.release(0);
    });
}

#[test]
fn a_free_of_an_old_epoch_frees_nothing_in_a_new_one() {
    guards(Rule::FreeComparesEpochs, &one_seat(), &[HELD_FOR_EVER], |play| {
        play.acquire(0);
        let old = play.sends_release(0);
        play.until(old, free);
        play.flush();
        play.acquire(2);
        // The same number is drawn in the new epoch, for a claim the records never hear of.
        let new = play.sends_release(2);
        play.until(new, end);
        play.dies(new);
        play.finish(old);
        play.must_come_right();
    });
}

#[test]
fn a_free_that_comes_late_leaves_who_joined_meanwhile() {
    guards(Rule::FreeLooksAgain, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.until(release, free);
        play.acquire(1);
        play.finish(release);
        play.acquire(2);
    });
}

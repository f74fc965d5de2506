//! Rebuilds: whose they are, and what they keep of what the copy before knew.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{end, guards, guards_alone, read, rebuild},
    properties::{BELIEVER, OVERSOLD, UNHEARD},
    redis::Key,
    repair::{LOST, NOT_GIVEN},
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

/// Somebody changes something that concerns no seat.
const EDIT: Action = Action::Resume;

#[test]
fn a_release_that_met_a_change_and_a_cold_copy_leaves_its_seat_to_whoever_comes() {
    guards(Rule::HeldByNobodyIsOver, &one_seat(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.until(release, end);
        play.change_untold(EDIT);
        // Stale: the session is ended by its id, the seat keeps its holder.
        play.step(release);
        play.flush();
        play.finish(release);
        play.must_get_a_seat(2);
    });
}

#[test]
fn a_release_that_met_a_change_leaves_its_seat_to_whoever_comes() {
    // The copy knows it too: it says X.
    let keeps = Rule::RebuildKeepsWhatItKnows;
    guards_alone(Rule::HeldByNobodyIsOver, &[keeps], &one_seat(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        let release = play.sends_release(0);
        play.until(release, end);
        play.change_untold(EDIT);
        play.finish(release);
        play.must_get_a_seat(2);
    });
}

#[test]
fn a_change_that_comes_while_a_copy_is_rebuilt_is_in_the_copy_believed_next() {
    guards(Rule::InvalidateReachesRebuilds, &one_seat(), &[UNHEARD], |play| {
        play.acquire(0);
        play.flush();
        let rebuilds = play.sends_heartbeat(0);
        play.until(rebuilds, rebuild);
        play.change(Action::Suspend);
        play.step(rebuilds);
        play.heartbeat(0);
    });
}

#[test]
fn the_seat_of_a_dead_machine_is_free_when_its_lease_is_over_although_others_change_things() {
    guards(Rule::RebuildKeepsWhatItKnows, &one_seat(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        for _ in 0..2 {
            play.wait(1);
            play.change(EDIT);
            play.acquire(2);
        }
        play.must_get_a_seat(2);
    });
}

#[test]
fn the_quarantine_of_a_kick_runs_down_although_others_change_things() {
    guards(Rule::RebuildKeepsWhatItKnows, &one_seat(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        play.kick(0);
        play.acquire(2);
        for _ in 0..3 {
            play.wait(1);
            play.change(EDIT);
            play.acquire(2);
        }
        play.must_get_a_seat(2);
    });
}

#[test]
fn seats_cleared_one_by_one_are_free_one_by_one() {
    guards(Rule::RebuildKeepsWhatItKnows, &two_seats(), &[NOT_GIVEN], |play| {
        play.acquire(0);
        play.acquire(1);
        play.kick(0);
        play.acquire(2);
        play.wait(2);
        play.kick(1);
        play.acquire(2);
        play.wait(1);
        play.must_get_a_seat(2);
    });
}

#[test]
fn a_deposed_primary_rebuilt_keeps_nothing_of_what_it_knew_before_another_was() {
    guards(Rule::KeepsOnlyTheLatestCopy, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.wait(1);
        play.fail_over();
        play.acquire(2);
        play.heartbeat(0);
        play.wait(1);
        // On the deposed primary the lease is over; it is proved old, and rebuilt.
        let other = play.asks_for_seat(2);
        play.finish_on_deposed(other);
    });
}

#[test]
fn a_rebuild_of_a_copy_that_lost_a_key_keeps_nothing_of_it() {
    guards(Rule::KeepsOnlyWholeCopies, &one_seat(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.acquire(1);
        play.happen(Action::LoseKey { key: Key::N });
        play.acquire(2);
    });
}

#[test]
fn a_lease_given_while_redis_was_far_ahead_is_over_one_lease_after_the_next_rebuild() {
    guards(Rule::KeepsNoMoreThanAFullLease, &one_seat(), &[NOT_GIVEN], |play| {
        play.happen(Action::RedisClock { skew: 40 });
        play.acquire(0);
        play.happen(Action::RedisClock { skew: 0 });
        play.change(EDIT);
        play.acquire(2);
        play.wait(12);
        play.must_get_a_seat(2);
    });
}

#[test]
fn who_kept_asking_while_a_copy_was_frozen_and_the_records_were_away_is_not_overtaken() {
    guards(Rule::FrozenTimeIsGivenBack, &one_seat(), &[LOST], |play| {
        play.acquire(0);
        play.wait(1);
        play.change(EDIT);
        for _ in 0..2 {
            // The records do not answer, and it is told so.
            let asks = play.sends_heartbeat(0);
            play.until(asks, read);
            play.dies(asks);
            play.wait(1);
        }
        play.acquire(2);
        play.must_keep_its_seat(0);
    });
}

//! Leases of two lengths: instances that were told different ones, while a new one is rolled out or for ever.

use license_model::{
    faults::Action,
    model::Bounds,
    play::{Play, guards, rebuild},
    properties::{BELIEVER, OVERSOLD},
    rules::Rule,
};

/// Two machines; the other instance gives leases twice as long.
fn two_lengths() -> Bounds {
    Bounds::new(1, &[1, 2]).with_another_lease(4)
}

/// A process asks the instance with the longer lease.
fn acquire_longer(play: &mut Play, process: usize) {
    let call = play.begin(Action::Acquire { process, other_instance: true });
    play.finish(call);
}

/// A process sends a heartbeat to the instance with the longer lease.
fn heartbeat_longer(play: &mut Play, process: usize) {
    let call = play.begin(Action::Heartbeat { process, other_instance: true });
    play.finish(call);
}

#[test]
fn a_longer_lease_of_before_is_outlasted_by_a_rebuild_of_an_instance_that_gives_shorter_ones() {
    guards(Rule::LongerLeasesAreRemembered, &two_lengths(), &[BELIEVER, OVERSOLD], |play| {
        acquire_longer(play, 0);
        play.flush();
        play.acquire(1);
        play.wait(3);
        play.acquire(1);
    });
}

#[test]
fn no_longer_lease_is_given_than_the_records_know_of() {
    guards(Rule::ColdForLongerLeases, &two_lengths(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        heartbeat_longer(play, 0);
        play.flush();
        play.acquire(1);
        play.wait(3);
        play.acquire(1);
    });
}

#[test]
fn a_lease_raised_while_an_instance_with_a_longer_one_rebuilds_is_not_forgotten() {
    guards(Rule::NonceFreezes, &two_lengths(), &[BELIEVER, OVERSOLD], |play| {
        play.acquire(0);
        play.wait(1);
        // Cold for this one only.
        let rebuilds = play.begin(Action::Heartbeat { process: 0, other_instance: true });
        play.until(rebuilds, rebuild);
        play.heartbeat(0);
        play.step(rebuilds);
        play.dies(rebuilds);
        play.wait(1);
        play.acquire(1);
    });
}

#[test]
fn a_copy_with_longer_leases_that_nobody_replaced_is_remembered() {
    guards(Rule::LongerOutlivesUnseenCopies, &two_lengths(), &[BELIEVER, OVERSOLD], |play| {
        // Paused before the records are read; the instance with the longer lease takes its rebuild over.
        let paused = play.asks_for_seat(1);
        play.step(paused);
        play.step(paused);
        acquire_longer(play, 0);
        play.step(paused);
        play.dies(paused);
        for _ in 0..5 {
            play.wait(1);
            heartbeat_longer(play, 0);
        }
        play.flush();
        play.acquire(1);
        play.wait(3);
        play.acquire(1);
    });
}

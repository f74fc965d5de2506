//! Every run of small settings, breadth first. stateright keeps worlds apart by their hashes. Bounds are chosen so that the first four end.

use license_model::{
    faults::Fault::{self, Failover, Flush, LoseKey, Resize, Restart, Sweep},
    model::{Bounds, Seats},
    rules::Rules,
};
use stateright::{Checker, Model};

/// Where a search is cut that would take an hour.
const CUT: usize = 1_500_000;

/// Calls are crashed, lost and delayed in all of them; these faults beside that.
fn small(holders: &[u8], ticks: i8, calls: usize, sessions: u8, faults: &[(Fault, u8)]) -> Bounds {
    Bounds { again: 1, tickets: (2, 2), ..Bounds::new(1, holders).within(ticks, calls, sessions).with(faults) }
}

/// Visits every world within bounds; nothing may be broken in any.
fn every_world(bounds: Bounds) {
    search(bounds, usize::MAX);
}

/// Visits so many of them, the nearest first.
fn the_nearest_worlds(bounds: Bounds) {
    let visited = search(bounds, CUT);
    assert!(visited >= CUT, "it ends after {visited} and need not be cut");
}

fn search(bounds: Bounds, cut: usize) -> usize {
    let model = Seats { rules: Rules::all(), bounds };
    let checker = model.checker().target_state_count(cut).spawn_bfs().join();
    println!("{} worlds, {} steps deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
    checker.state_count()
}

#[test]
fn every_run_of_two_machines_that_want_one_seat() {
    every_world(small(&[1, 2], 2, 2, 2, &[]));
}

#[test]
fn every_run_with_one_call_at_a_time_a_flush_and_the_reaper() {
    every_world(small(&[1, 2], 4, 1, 2, &[(Flush, 1), (Sweep, 1)]));
}

#[test]
fn every_run_with_one_call_at_a_time_two_resizes_and_the_reaper() {
    every_world(small(&[1, 2], 3, 1, 2, &[(Resize, 2), (Sweep, 1)]));
}

#[test]
fn every_run_of_one_machine_with_a_key_lost() {
    every_world(small(&[1], 2, 2, 1, &[(LoseKey, 1)]));
}

#[test]
fn the_nearest_runs_of_two_processes_that_share_a_seat() {
    the_nearest_worlds(small(&[1, 1], 2, 2, 2, &[(Restart, 1)]));
}

#[test]
fn the_nearest_runs_with_a_failover() {
    the_nearest_worlds(small(&[1, 2], 2, 2, 2, &[(Failover, 1)]));
}

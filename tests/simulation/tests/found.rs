//! Lists of operations under which a run once was broken, by a fault of the server or of its checkers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{plan::Plan, run};

/// The checker took the second session of one process start for a broken S9; the first had been ended by a kick that it did not know of yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_kicked_and_asks_again_before_it_is_told_has_a_new_session() {
    let plan: Plan = include_str!("../found/kicked-and-asks-again.operations").parse().unwrap();
    let figures = run::carry_out(&plan).await.clean(&plan);
    assert_eq!((figures.sessions, figures.told["acquire: seat"]), (2, 2), "{figures}");
}

/// Who was kicked and told so only after the faults was waited for: it does not come back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_of_its_kick_after_the_faults_need_not_be_served() {
    let plan: Plan = include_str!("../found/kicked-and-not-yet-told-in-the-end.operations").parse().unwrap();
    let figures = run::carry_out(&plan).await.clean(&plan);
    assert_eq!((figures.sessions, figures.told["acquire: seat"]), (2, 2), "{figures}");
}

/// A seat that had waited after a kick was reserved by an acquire that died, and the next rebuild let it wait once more (L1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_has_waited_after_a_kick_is_given_at_once_although_who_took_it_died_before_an_edit() {
    let plan: Plan = include_str!("../found/taken-after-a-kick-and-never-written-down.operations").parse().unwrap();
    let figures = run::carry_out(&plan).await.clean(&plan);
    assert_eq!((figures.sessions, figures.told["acquire: seat"]), (2, 2), "{figures}");
}

/// An instance died between the two stores just when the faults ended, and nobody may take its rebuild over for 2 s. Served was
/// counted from before that (L3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_rebuild_whose_rebuilder_died_last_is_served_from_when_another_may_rebuild() {
    let plan: Plan = include_str!("../found/rebuilder-dies-in-the-end.operations").parse().unwrap();
    let figures = run::carry_out(&plan).await.clean(&plan);
    assert_eq!((figures.sessions, figures.told["acquire: seat"]), (2, 2), "{figures}");
}

/// Heartbeats that waited for a rebuild which died waited for the next one, which died too, and shared its end; the checker counted as many
/// internal errors as asked for as there were deaths, and the others as faults.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_wait_for_a_rebuild_end_with_it_and_keep_their_seats() {
    let plan: Plan = include_str!("../found/rebuilder-dies-twice-with-all-who-wait.operations").parse().unwrap();
    let figures = run::carry_out(&plan).await.clean(&plan);
    assert_eq!((figures.sessions, figures.told["acquire: seat"]), (8, 8), "{figures}");
}

/// The answer came when most of its lease was over, and the next heartbeat after all of it; the checker counted its silence from the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_answered_late_and_asks_after_its_lease_has_been_silent() {
    let plan: Plan = include_str!("../found/answered-late-and-asks-after-its-lease.operations").parse().unwrap();
    let figures = run::carry_out(&plan).await.clean(&plan);
    assert_eq!(figures.told["heartbeat: gone (expired) after silence"], 1, "{figures}");
}

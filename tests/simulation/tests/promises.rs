//! L1 to L3 by a clock: small histories that break a promise are seen, and the same ones that keep it are not. Times are milliseconds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    asked::{Told, Verb},
    promises::{Absence, Change, Kept, Question, Rebuild, Seen, judge},
};

/// Leases of 6 s, 8 s after a rebuild that knew nothing; such a one in the beginning.
fn pool(seats: usize) -> Seen {
    Seen {
        sizes: vec![(i64::MIN, seats)],
        rebuilds: vec![rebuild(0, 10, true)],
        processes_from: 3,
        ttl: ms(6000),
        rebuild_lease: ms(8000),
        heartbeat: ms(1920),
        ..Seen::default()
    }
}

fn ms(time: i64) -> i64 {
    time * 1000
}

fn rebuild(at: i64, seen: i64, cold: bool) -> Rebuild {
    Rebuild { at: ms(at), seen: ms(seen), cold }
}

/// Somebody asks instance 0 and is answered 10 ms later.
fn asks(holder: &str, verb: Verb, sent: i64, told: Told) -> Question {
    let answered = ms(sent + 10);
    let acts = (told != Told::Full).then_some(answered);
    Question { holder: holder.into(), instance: 0, verb, sent: ms(sent), answered, told, acts, single: true }
}

fn acquires(holder: &str, sent: i64, told: Told) -> Question {
    asks(holder, Verb::Acquire, sent, told)
}

fn sits(holder: &str, at: i64) -> Change {
    Change { at: ms(at), before: None, after: Some(holder.into()), by_staff: false }
}

fn leaves(holder: &str, at: i64) -> Change {
    Change { at: ms(at), before: Some(holder.into()), after: None, by_staff: false }
}

/// The same history with more questions, judged.
fn with(seen: &Seen, more: &[Question]) -> Kept {
    let mut seen = seen.clone();
    seen.questions.extend_from_slice(more);
    judge(&seen)
}

/// What is said when `b` is told "full" then.
fn full(seen: &Seen, sent: i64) -> Kept {
    with(seen, &[acquires("b", sent, Told::Full)])
}

#[track_caller]
fn breaks(kept: &Kept, promise: &str) {
    assert!(kept.broken.len() == 1 && kept.broken[0].starts_with(promise), "{kept:?}");
}

#[track_caller]
fn holds(kept: &Kept) {
    assert_eq!(kept.broken, Vec::<String>::new(), "{kept:?}");
}

/// The only seat is given back at 2000.
fn given_back() -> Seen {
    let questions = vec![acquires("a", 1000, Told::Seat)];
    Seen { questions, changes: vec![sits("a", 1005), leaves("a", 2000)], ..pool(1) }
}

/// The only holder was last heard of at 3010 at the latest.
fn silent() -> Seen {
    let questions = vec![acquires("a", 1000, Told::Seat), asks("a", Verb::Heartbeat, 3000, Told::Alive)];
    Seen { questions, changes: vec![sits("a", 1005)], ..pool(1) }
}

#[test]
fn full_although_a_seat_was_given_back_a_second_ago_is_seen() {
    let seen = given_back();
    holds(&full(&seen, 1900));
    let kept = full(&seen, 2900);
    holds(&kept);
    assert_eq!((kept.l1.judged, kept.l1.worst), (1, ms(900)));
    let kept = full(&seen, 3100);
    breaks(&kept, "L1: ");
    assert_eq!(kept.l1.worst, ms(1100));
    let kept = with(&seen, &[acquires("b", 3100, Told::Seat)]);
    holds(&kept);
    assert_eq!((kept.l1.judged, kept.l1.worst), (1, 0), "it was given the seat");
}

#[test]
fn a_seat_that_somebody_else_may_have_is_not_free() {
    let seen = given_back();
    for told in [Told::Seat, Told::Nothing] {
        let kept = with(&seen, &[acquires("c", 2500, told), acquires("b", 3100, Told::Full)]);
        holds(&kept);
    }
    let twice = |told| {
        with(&seen, &[acquires("c", 2500, told), acquires("c", 2600, Told::Full), acquires("b", 3700, Told::Full)])
    };
    assert_eq!(twice(Told::Nothing).broken.len(), 1, "it was told that it has none");
    let mut two = given_back();
    two.sizes = vec![(i64::MIN, 2)];
    two.questions.push(acquires("c", 1500, Told::Seat));
    breaks(&full(&two, 3100), "L1: ");
    two.questions.push(acquires("d", 1500, Told::Seat));
    holds(&full(&two, 3100));
}

#[test]
fn full_although_a_lease_ran_out_a_second_ago_is_seen() {
    let seen = silent();
    let kept = full(&seen, 8900);
    holds(&kept);
    assert_eq!(kept.l1.judged, 0, "its lease goes on");
    let kept = full(&seen, 9500);
    holds(&kept);
    assert_eq!((kept.l1.judged, kept.l1.worst), (1, ms(490)));
    breaks(&full(&seen, 10_100), "L1: ");
    let mut late = seen;
    late.questions[1].acts = Some(ms(4000));
    holds(&full(&late, 10_100));
}

#[test]
fn the_clock_of_an_instance_that_saw_redis_away_stands_still_and_goes_on() {
    let away = |instance| Seen { absences: vec![Absence { instance, from: ms(8500), until: ms(9800) }], ..silent() };
    let heard = |sent, more: Question| {
        let mut seen = away(Some(0));
        seen.questions.push(acquires("c", sent, Told::Full));
        with(&seen, &[more])
    };
    breaks(&full(&away(Some(1)), 10_100), "L1: ");
    holds(&full(&away(Some(0)), 10_100));
    holds(&full(&away(None), 10_100));
    // Heard of at 9910: the clock goes on at 11,830.
    holds(&heard(9900, acquires("b", 11_800, Told::Full)));
    let kept = heard(9900, acquires("b", 12_800, Told::Full));
    holds(&kept);
    assert_eq!((kept.l1.judged, kept.l1.worst), (1, ms(970)));
    breaks(&heard(9900, acquires("b", 12_900, Told::Full)), "L1: ");
}

#[test]
fn an_instance_whose_clock_is_behind_is_judged_by_what_was_given_back() {
    let behind = |seen| Seen { behind: Some(0), ..seen };
    holds(&full(&behind(silent()), 20_000));
    breaks(&full(&behind(given_back()), 3100), "L1: ");
}

#[test]
fn full_because_of_a_reservation_older_than_a_lease_is_seen() {
    let seen = Seen { questions: vec![acquires("a", 1000, Told::Nothing)], ..pool(1) };
    let kept = full(&seen, 6900);
    holds(&kept);
    assert_eq!((kept.l2.judged, kept.l2.worst), (1, ms(5890)), "it may still be reserved");
    let kept = full(&seen, 7100);
    breaks(&kept, "L2: ");
    assert_eq!((kept.l2.judged, kept.l2.worst), (1, ms(6090)));
    assert_eq!(with(&seen, &[acquires("b", 7100, Told::Seat)]).l2.judged, 1);
    let kept = full(&Seen { changes: vec![sits("a", 1005)], ..seen }, 7100);
    holds(&kept);
    assert_eq!(kept.l1.worst, ms(90), "it was written down: no reservation, but a lease");
}

#[test]
fn a_holder_that_is_refused_what_the_records_reserved_for_it_is_seen() {
    let lost = Seen { questions: vec![acquires("a", 1000, Told::Nothing)], changes: vec![sits("a", 1005)], ..pool(1) };
    let kept = with(&lost, &[acquires("a", 3000, Told::Seat)]);
    holds(&kept);
    assert_eq!(kept.again, 1);
    breaks(&with(&lost, &[acquires("c", 2500, Told::Seat), acquires("a", 3000, Told::Full)]), "L2: ");
    let kept = with(&lost, &[acquires("c", 6000, Told::Seat), acquires("a", 7000, Told::Full)]);
    assert_eq!((kept.again, kept.broken.len()), (0, 0), "its lease may be over");
    let gone =
        [asks("a", Verb::Release, 2000, Told::Other), acquires("c", 2500, Told::Seat), acquires("a", 3000, Told::Full)];
    let kept = with(&lost, &gone);
    assert_eq!((kept.again, kept.broken.len()), (0, 0), "it was given back");
}

#[test]
fn full_because_of_who_was_silent_for_longer_than_a_rebuild_lease_is_seen() {
    let after = |cold| {
        let mut seen = silent();
        seen.rebuilds.push(rebuild(4000, 4100, cold));
        seen
    };
    let kept = full(&after(true), 12_000);
    holds(&kept);
    assert_eq!((kept.l3.judged, kept.l3.worst), (1, ms(7900)));
    let kept = full(&after(true), 12_200);
    breaks(&kept, "L3: ");
    assert_eq!((kept.l3.judged, kept.l3.worst), (1, ms(8100)));
    assert_eq!(with(&after(true), &[acquires("b", 12_200, Told::Seat)]).l3.judged, 1);
    breaks(&full(&after(false), 10_100), "L1: ");
    let mut unseen = silent();
    unseen.rebuilds.push(Rebuild { at: ms(4000), seen: i64::MAX, cold: true });
    holds(&full(&unseen, 20_000));
    let mut left = after(true);
    left.changes.push(leaves("a", 5000));
    breaks(&full(&left, 6100), "L1: ");
}

#[test]
fn a_seat_that_is_held_back_is_free_a_rebuild_lease_after_redis_learnt_of_it() {
    let mut seen = given_back();
    seen.changes[1].by_staff = true;
    seen.held_back = vec![(ms(2000), 1, true)];
    holds(&full(&seen, 20_000));
    seen.rebuilds.push(rebuild(2100, 2150, false));
    seen.rebuilds.push(rebuild(5000, 5050, false));
    holds(&full(&seen, 10_100));
    breaks(&full(&seen, 11_200), "L1: ");
    // A copy that is made when it has waited: it waits again only if that copy could not know.
    let rebuilt = |cold| {
        let mut seen = seen.clone();
        seen.rebuilds.push(rebuild(10_500, 10_550, cold));
        seen
    };
    breaks(&full(&rebuilt(false), 11_600), "L1: ");
    holds(&full(&rebuilt(true), 18_500));
    breaks(&full(&rebuilt(true), 19_600), "L1: ");
    let reserved = |cold| {
        let mut seen = rebuilt(cold);
        seen.questions.push(acquires("c", 10_200, Told::Nothing));
        seen
    };
    holds(&full(&reserved(false), 11_500));
    breaks(&full(&reserved(false), 11_600), "L1: ");
    holds(&full(&reserved(true), 18_500));
    seen.held_back.push((ms(4000), 1, false));
    breaks(&full(&seen, 8200), "L1: ");
}

#[test]
fn seats_that_redis_was_not_told_of_and_answers_of_a_deposed_primary_are_not_held_against_it() {
    let mut more = silent();
    more.sizes.push((ms(4000), 2));
    holds(&full(&more, 8000));
    more.rebuilds.push(rebuild(5000, 5050, false));
    breaks(&full(&more, 8000), "L1: ");
    let deposed = Seen { deposed: vec![(ms(3000), ms(4000))], ..given_back() };
    holds(&full(&deposed, 3500));
    breaks(&full(&deposed, 4100), "L1: ");
}

#[test]
fn a_reservation_made_while_a_reaper_stood_still_is_not_taken_for_given_back() {
    let mut seen = given_back();
    seen.questions.push(acquires("a", 1500, Told::Nothing));
    holds(&full(&seen, 3100));
    seen.questions.push(acquires("a", 1600, Told::Seat));
    breaks(&full(&seen, 3100), "L1: ");
}

#[test]
fn a_reservation_is_over_with_a_copy_made_from_records_that_do_not_name_its_holder() {
    let mut seen = Seen { questions: vec![acquires("a", 1000, Told::Nothing)], ..pool(1) };
    seen.rebuilds.push(rebuild(1500, 1550, false));
    holds(&full(&seen, 2500));
    breaks(&full(&seen, 2600), "L1: ");
    holds(&full(&Seen { changes: vec![sits("a", 1400)], ..seen.clone() }, 2600));
    seen.rebuilds[1] = rebuild(1500, 2550, false);
    holds(&full(&seen, 2600));
}

#[test]
fn while_an_answer_is_overdue_the_clock_of_when_the_wait_began_counts() {
    let mut seen = silent();
    seen.questions.push(Question { answered: ms(10_300), acts: None, ..acquires("c", 8900, Told::Nothing) });
    holds(&full(&seen, 10_100));
    seen.questions.push(acquires("d", 10_050, Told::Full));
    breaks(&full(&seen, 10_100), "L1: ");
}

#[test]
fn time_that_redis_is_away_again_is_no_time_of_answers() {
    let again = |times: &[i64]| {
        let mut seen =
            Seen { questions: vec![acquires("a", 1000, Told::Seat)], changes: vec![sits("a", 1005)], ..pool(1) };
        seen.questions.push(acquires("c", 4990, Told::Full));
        seen.absences.push(Absence { instance: Some(0), from: ms(5000), until: ms(7500) });
        seen.questions.push(acquires("c", 7590, Told::Full));
        for at in times {
            seen.questions.push(acquires("c", *at - 15, Told::Full));
            seen.absences.push(Absence { instance: Some(0), from: ms(*at), until: ms(*at) });
            seen.questions.push(acquires("c", *at + 490, Told::Full));
        }
        seen
    };
    // It was over at 7600, and counts until 9520.
    holds(&full(&again(&[]), 10_400));
    breaks(&full(&again(&[]), 10_600), "L1: ");
    // Half a second more that it was away, and what ended meanwhile is judged by the second absence's own end.
    let kept = full(&again(&[8000]), 10_600);
    holds(&kept);
    assert_eq!(kept.l1.judged, 1, "{kept}");
    breaks(&full(&again(&[8000]), 11_200), "L1: ");
}

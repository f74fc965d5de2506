//! The clock as it is held, over absences of all kinds.

use super::*;

#[test]
fn the_clock_stands_still_from_an_absence_until_a_heartbeat_after_it() {
    let clock = Clock::fake();
    let timing = LeaseTiming::default();
    let contact = StoreContact::new(clock.clone(), &timing);
    contact.record_answer(true);
    let since = clock.now_ms();
    clock.advance_ms(1000);
    assert_eq!(contact.held_clock_ms(), clock.now_ms());
    contact.record_failure(false);
    clock.advance_ms(2 * timing.ttl_ms());
    assert_eq!(contact.held_clock_ms(), since);
    contact.record_answer(true);
    clock.advance_ms(115_000);
    assert_eq!(contact.held_clock_ms(), since);
    clock.advance_ms(1000);
    assert_eq!(contact.held_clock_ms(), clock.now_ms());
}

#[test]
fn what_is_asked_while_an_answer_is_overdue_carries_the_clock_of_when_the_wait_began() {
    let clock = Clock::fake();
    let contact = StoreContact::new(clock.clone(), &LeaseTiming::default());
    let began = clock.now_ms();
    let first = contact.begin_call();
    clock.advance_ms(100);
    assert_eq!(contact.held_clock_ms(), clock.now_ms(), "an answer may take a moment");
    clock.advance_ms(1900);
    let second = contact.begin_call();
    assert_eq!(contact.held_clock_ms(), began);
    contact.record_answer(true);
    drop(first);
    assert_eq!(contact.held_clock_ms(), clock.now_ms(), "it answers");
    drop(second);
    clock.advance_ms(10_000);
    assert_eq!(contact.held_clock_ms(), clock.now_ms(), "nobody waits");
}

#[test]
fn an_absence_seen_by_an_instance_that_just_started_may_be_a_lease_old() {
    let clock = Clock::fake();
    let timing = LeaseTiming::default();
    let contact = StoreContact::new(clock.clone(), &timing);
    contact.record_failure(false);
    assert_eq!(contact.held_clock_ms(), clock.now_ms() - timing.ttl_ms());
}

/// The longest the clock was behind while `step` was repeated for four hours.
fn behind(step: impl Fn(&Clock, &StoreContact)) -> i64 {
    let clock = Clock::fake();
    let contact = StoreContact::new(clock.clone(), &LeaseTiming::default());
    contact.record_answer(true);
    let (began, mut most) = (clock.now_ms(), 0);
    while clock.now_ms() < began + 4 * 3_600_000 {
        step(&clock, &contact);
        most = most.max(clock.now_ms() - contact.held_clock_ms());
    }
    assert!(contact.now().1.absences.len() <= 2 * LEASE_PARTS as usize, "they are bounded");
    most
}

#[test]
fn short_absences_do_not_add_up_however_many_there_are() {
    let ttl = LeaseTiming::default().ttl_ms();
    for (away, between) in [(0, 60_000), (2000, 58_000), (50, 150), (30_000, 30_000), (1000, 100_000)] {
        let most = behind(|clock, contact| {
            contact.record_failure(false);
            clock.advance_ms(away);
            contact.record_answer(true);
            clock.advance_ms(between);
        });
        assert!(most <= ttl, "away for {away} ms every {between} ms: {most} ms behind");
    }
    let most = behind(|clock, contact| {
        contact.record_answer(true);
        contact.record_failure(false);
        contact.record_answer(true);
        clock.advance_ms(60_000);
    });
    assert!(most <= ttl, "{most} ms behind");
}

#[test]
fn what_a_long_absence_spares_is_spared_until_a_heartbeats_time_of_answers_though_a_short_one_follows() {
    let clock = Clock::fake();
    let timing = LeaseTiming::default();
    for away in [2 * timing.ttl_ms(), 36_000_000, timing.ttl_ms() - 1000, 150_000] {
        let contact = StoreContact::new(clock.clone(), &timing);
        contact.record_answer(true);
        let since = clock.now_ms();
        contact.record_failure(false);
        clock.advance_ms(away);
        contact.record_answer(true);
        clock.advance_ms(100_000);
        contact.record_answer(true);
        contact.record_failure(false);
        clock.advance_ms(30_000);
        contact.record_answer(true);
        assert_eq!(contact.held_clock_ms(), since, "the store answered for 100 s only");
        clock.advance_ms(15_000);
        assert_eq!(contact.held_clock_ms(), since);
        clock.advance_ms(1000);
        let short = clock.now_ms() - 46_000;
        assert_eq!(contact.held_clock_ms(), short, "only the short one counts");
        clock.advance_ms(100_000);
        assert_eq!(contact.held_clock_ms(), clock.now_ms());
    }
}

#[test]
fn a_long_absence_counts_for_at_most_a_lease_after_it_however_often_the_store_is_away_then() {
    let clock = Clock::fake();
    let timing = LeaseTiming::default();
    let contact = StoreContact::new(clock.clone(), &timing);
    contact.record_answer(true);
    contact.record_failure(false);
    clock.advance_ms(36_000_000);
    contact.record_answer(true);
    for _ in 0..60 {
        contact.record_failure(false);
        clock.advance_ms(6000);
        contact.record_answer(true);
    }
    assert!(clock.now_ms() - contact.held_clock_ms() <= timing.ttl_ms());
}

#[test]
fn a_clock_put_ahead_is_an_absence_at_the_time_it_was_by_the_old_one() {
    let timing = LeaseTiming::default();
    let steps: [&[i64]; 6] =
        [&[600_000], &[3_600_000], &[700; 20], &[-600_000, 600_000], &[-900, 1800], &[5000, -5000, 5000, -5000, 9000]];
    for steps in steps {
        let clock = Clock::fake();
        let contact = StoreContact::new(clock.clone(), &timing);
        clock.advance_ms(3_000_000); // nobody asks for a while
        let mut earliest = clock.now_ms();
        for step in steps {
            clock.step_ms(*step);
            contact.held_clock_ms();
            earliest = earliest.min(clock.now_ms());
        }
        let apart = contact.held_clock_ms() - earliest;
        assert!((0..=CLOCK_STEP_MS).contains(&apart), "{steps:?}: {apart} ms");
        contact.record_answer(true);
        clock.advance_ms(115_000);
        assert!(contact.held_clock_ms() - earliest <= CLOCK_STEP_MS);
        clock.advance_ms(1000);
        assert_eq!(contact.held_clock_ms(), clock.now_ms(), "{steps:?}");
    }
}

#[test]
fn a_store_that_went_away_with_the_clock_put_ahead_meanwhile_is_away_since_it_was_last_heard() {
    let clock = Clock::fake();
    let contact = StoreContact::new(clock.clone(), &LeaseTiming::default());
    contact.record_answer(true);
    let since = clock.now_ms();
    clock.advance_ms(1000);
    clock.step_ms(600_000);
    contact.record_failure(false);
    clock.advance_ms(3_600_000);
    assert_eq!(contact.held_clock_ms(), since);
}

#[test]
fn a_store_that_can_only_be_read_is_away_for_who_would_have_written() {
    let clock = Clock::fake();
    let timing = LeaseTiming::default();
    let contact = StoreContact::new(clock.clone(), &timing);
    contact.record_answer(true);
    let since = clock.now_ms();
    for _ in 0..100 {
        clock.advance_ms(10_000);
        contact.record_answer(false); // refuses to write since the beginning, and nobody saw
    }
    contact.record_failure(true);
    assert_eq!(contact.held_clock_ms(), clock.now_ms() - timing.ttl_ms(), "a lease's time is all that matters");
    let first = contact.held_clock_ms();
    for _ in 0..100 {
        clock.advance_ms(10_000);
        contact.record_answer(false);
        contact.record_failure(false);
        assert_eq!(contact.held_clock_ms(), first);
    }
    contact.record_answer(true);
    clock.advance_ms(116_000);
    assert_eq!(contact.held_clock_ms(), clock.now_ms());
    assert!(since < first);
}

#[test]
fn who_was_cut_off_from_a_store_that_could_be_read_has_heard_of_it_until_then() {
    let clock = Clock::fake();
    let contact = StoreContact::new(clock.clone(), &LeaseTiming::default());
    clock.advance_ms(100_000);
    contact.record_answer(false);
    let heard = clock.now_ms();
    clock.advance_ms(1000);
    contact.record_failure(false);
    assert_eq!(contact.held_clock_ms(), heard);
    clock.advance_ms(1000);
    contact.record_failure(true);
    assert_eq!(contact.held_clock_ms(), clock.now_ms() - LeaseTiming::default().ttl_ms(), "nothing was ever written");
    contact.record_answer(false);
    assert_eq!(contact.held_clock_ms(), clock.now_ms() - LeaseTiming::default().ttl_ms());
}

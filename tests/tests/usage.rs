//! How pools were used: the series that is written down is what a count by brute force says, minute by minute.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    Error,
    protocol::{
        acquire::{AcquireOutcome, AcquireRefusal, LeasedSeat},
        steps::Step,
    },
    seat_store::{PoolRecords, PoolReply},
};
use license_tests::{
    World,
    client::{beat, release},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

/// What was counted by hand in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Minute {
    held: i64,
    peak: i64,
    total: i64,
    denied: i64,
}

/// Counts along: what the records hold after each step, and what clients were told.
struct BruteForce {
    minutes: BTreeMap<i64, Minute>,
    at: i64,
    now: Minute,
}

impl BruteForce {
    fn new(at: i64, total: i64) -> Self {
        Self { minutes: BTreeMap::new(), at, now: Minute { total, ..Minute::default() } }
    }

    /// The clock shows this minute now.
    fn pass_to(&mut self, minute: i64) {
        while self.at < minute {
            self.minutes.insert(self.at, self.now);
            self.now.peak = self.now.held;
            self.now.denied = 0;
            self.at += 1;
        }
    }

    fn hold(&mut self, held: i64) {
        self.now.held = held;
        self.now.peak = self.now.peak.max(held);
    }
}

/// Numbers that look drawn and are the same in each run (`SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (it ^ (it >> 31)) % bound
    }
}

type Row = (i64, i64, i64, i64, i64, bool);

async fn written(world: &World) -> BTreeMap<i64, (Minute, bool)> {
    let rows: Vec<Row> = sqlx::query_as(
        "select (extract(epoch from at) / 60)::bigint, used::bigint, peak::bigint, total::bigint, denied, seen
         from usage_minutes order by at",
    )
    .fetch_all(&mut world.truth().await)
    .await
    .unwrap();
    let of = |(minute, held, peak, total, denied, seen): Row| (minute, (Minute { held, peak, total, denied }, seen));
    rows.into_iter().map(of).collect()
}

fn minute_of(world: &World) -> i64 {
    world.clock.now_ms().div_euclid(60_000)
}

/// A world whose clock shows the beginning of a minute.
async fn world() -> World {
    let world = World::with_seats(5).await;
    world.pass(MINUTE - Duration::from_millis(world.clock.now_ms().rem_euclid(60_000) as u64));
    world
}

/// A sweep whose process may die.
async fn sweep(world: &World) {
    for share in world.reaper.shares().await.unwrap() {
        match world.reaper.sweep(&share).await {
            Ok(report) => assert_eq!(report.failed, 0),
            Err(Error::Cut(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A run of many steps, each of them one of what happens on ordinary days; every `loss` of them Redis loses its data.
async fn run(seed: u64, steps: u32, loss: Option<u32>) {
    let mut draw = Draw(seed);
    let world = world().await;
    let first = minute_of(&world);
    let mut count = BruteForce::new(first, 5);
    let (mut holders, nobody): (Vec<LeasedSeat>, _) = (Vec::new(), world.machine("nobody"));
    // The minutes of which something was lost, and whether Redis still has no copy.
    let (mut lost, mut empty) = (BTreeSet::new(), false);
    // Those in which nobody swept: what is counted is right, and when a silent holder left is not known.
    let mut unwatched = BTreeSet::new();
    let (mut told, mut swept, mut sweeps_from) = (first, first, first);
    world.machine("first").seated(&world.protocol).await;
    for step in 1..=steps {
        let mut asks = true;
        match draw.below(1000) {
            0..350 => match world.machine(&format!("m{}", draw.below(12))).restarted().acquire(&world.protocol).await {
                AcquireOutcome::Seat(seat) => holders.push(*seat),
                AcquireOutcome::Refused(AcquireRefusal::Full(_)) => count.now.denied += 1,
                other => panic!("a seat or none, not {other:?}"),
            },
            350..550 if !holders.is_empty() => {
                let seat = holders.swap_remove(draw.below(holders.len() as u64) as usize);
                release(&world.protocol, &seat).await;
            }
            550..700 if !holders.is_empty() => {
                drop(beat(&world.protocol, &holders[draw.below(holders.len() as u64) as usize]).await);
            }
            700..720 => {
                let total = draw.below(7) as u32 + 1;
                world.resize(total).await;
                // The copy hears of it with the next request.
                let (key, hardware, pool) = (&nobody.key, Some(&nobody.hardware), &nobody.pool);
                world.protocol.validate(key, hardware, nobody.instance.as_ref(), pool).await.unwrap();
                count.now.total = i64::from(total);
            }
            720..725 => {
                // Nobody sweeps for so long, and nobody asks in the meantime.
                let minutes = [1, 2, 59, 60, 61, 200][draw.below(6) as usize];
                sweeps_from = minute_of(&world) + minutes;
                world.pass(MINUTE * minutes as u32);
                asks = false;
            }
            725..740 => {
                // Nobody sweeps for so long, and everybody goes on.
                sweeps_from = minute_of(&world) + draw.below(90) as i64;
                asks = false;
            }
            740..750 => {
                world.reaper.steps().cut(Step::ReapUsage);
                asks = false;
            }
            _ => {
                world.pass(Duration::from_millis(draw.below(20_000)));
                asks = false;
            }
        }
        count.pass_to(minute_of(&world));
        unwatched.extend(swept..sweeps_from);
        empty &= !asks;
        if loss.is_some_and(|loss| step % loss == 0) {
            world.flush().await;
            lost.extend(told..=minute_of(&world));
            empty = true;
        }
        if empty {
            lost.insert(minute_of(&world));
        }
        if minute_of(&world) > swept && minute_of(&world) >= sweeps_from {
            if draw.below(4) == 0 {
                tokio::join!(sweep(&world), sweep(&world));
            } else {
                sweep(&world).await;
            }
            swept = minute_of(&world);
            told = world.count("select max(counted_minute) from pools").await.max(told);
        }
        count.hold(world.held().await.len() as i64);
    }
    // Somebody asks, so that minutes without anybody are told too.
    if matches!(world.machine("last").acquire(&world.protocol).await, AcquireOutcome::Refused(_)) {
        count.now.denied += 1;
    }
    count.hold(world.held().await.len() as i64);
    world.pass(MINUTE);
    count.pass_to(minute_of(&world));
    sweep(&world).await;
    sweep(&world).await; // the first may have been cut
    let written = written(&world).await;
    for (at, (minute, seen)) in &written {
        if *seen || !lost.contains(at) {
            assert_eq!(Some(minute), count.minutes.get(at), "seed {seed}, minute {}", at - first);
        }
        let excused = *at == first || lost.contains(at) || unwatched.contains(at);
        assert!(*seen || excused, "seed {seed}, minute {}: counted in part", at - first);
    }
    assert!(!written[&first].1, "the copy was made within the first minute");
    let missing: Vec<_> = count.minutes.keys().filter(|at| !written.contains_key(at) && !lost.contains(at)).collect();
    assert_eq!(missing, Vec::<&i64>::new(), "seed {seed}: minutes that are not there");
    assert!(count.minutes.len() > steps as usize / 20, "a run of {} minutes", count.minutes.len());
    println!("{} minutes, {} written, {} of them lost in part", count.minutes.len(), written.len(), lost.len());
    adds_up(&world).await;
}

/// Hours and days are the sums of their minutes.
async fn adds_up(world: &World) {
    for (table, step) in [("usage_hours", "hour"), ("usage_days", "day")] {
        let differing = format!(
            "select count(*) from (
               select date_trunc('{step}', at, 'UTC') as at, count(*), count(*) filter (where seen), sum(used), sum(total),
                 max(peak), max(total), sum(denied)
               from usage_minutes group by 1) m (at, minutes, seen, used_sum, total_sum, peak, total, denied)
             full join {table} t using (at)
             where (m.minutes, m.seen, m.used_sum, m.total_sum, m.peak, m.total, m.denied)
               is distinct from (t.minutes, t.seen, t.used_sum, t.total_sum, t.peak, t.total, t.denied)"
        );
        let different: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(differing)).fetch_one(&mut world.truth().await).await.unwrap();
        assert_eq!(different, 0, "{table}");
    }
}

#[tokio::test]
async fn every_minute_is_what_a_count_by_brute_force_says() {
    run(1, 4000, None).await;
}

#[tokio::test]
async fn what_a_loss_of_redis_takes_is_marked_as_not_seen() {
    run(2, 4000, Some(150)).await;
}

#[tokio::test]
async fn minutes_in_which_nobody_swept_are_not_seen_if_a_holder_fell_silent_and_seen_if_all_went_on() {
    let world = world().await;
    let first = minute_of(&world);
    let seat = world.machine("a").seated(&world.protocol).await;
    for _ in 0..10 {
        world.pass(MINUTE);
        drop(beat(&world.protocol, &seat).await);
    }
    sweep(&world).await;
    world.pass(MINUTE * 100);
    sweep(&world).await;
    let written = written(&world).await;
    let seen = |from: i64, to: i64| {
        (from..to).map(|at| written[&(first + at)]).map(|(minute, seen)| (minute.held, seen)).collect::<BTreeSet<_>>()
    };
    assert_eq!(seen(1, 10), BTreeSet::from([(1, true)]));
    assert_eq!(seen(11, 110), BTreeSet::from([(1, false)]), "when it left is not known");
}

#[tokio::test]
async fn a_quiet_time_that_a_clock_made_longer_is_told_up_to_the_present() {
    let world = world().await;
    let first = minute_of(&world);
    release(&world.protocol, &world.machine("a").seated(&world.protocol).await).await;
    world.pass(MINUTE * 100);
    world.clock.set_redis_ahead_ms(600_000);
    world.machine("b").seated(&world.protocol).await;
    world.clock.set_redis_ahead_ms(0);
    world.pass(MINUTE);
    sweep(&world).await;
    let written = written(&world).await;
    let minutes: Vec<_> = written.keys().map(|at| at - first).collect();
    assert_eq!(minutes, (0..100).collect::<Vec<_>>(), "the minute of the step is lost");
    assert!(written.values().skip(1).all(|(_, seen)| !seen), "some of it may have been counted as a later time");
}

#[tokio::test]
async fn what_was_told_is_not_answered_again_however_long_nobody_swept() {
    let world = world().await;
    let first = minute_of(&world);
    world.machine("a").seated(&world.protocol).await;
    world.pass(MINUTE * 3000);
    let epoch = world.epoch().await as u64;
    let told = async |told_minute| {
        let records = PoolRecords { epoch, told_minute, grace_before_ms: None };
        match world.seats().reap(&world.license.pool, records, 1000).await.unwrap() {
            PoolReply::Answer(reaped) => {
                reaped.minutes.iter().map(|it| (it.minute - first, it.count)).collect::<Vec<_>>()
            }
            other => panic!("an answer, not {other:?}"),
        }
    };
    assert_eq!(told(0).await, [(0, 1), (1, 2999)]);
    assert_eq!(told(first).await, [(1, 2999)]);
    assert_eq!(told(first + 2999).await, []);
    assert_eq!(told(0).await, [], "they are forgotten");
}

#[tokio::test]
async fn a_clock_of_redis_that_was_hours_ahead_invents_no_minutes_and_what_was_counted_by_it_is_not_seen() {
    let world = world().await;
    let first = minute_of(&world);
    world.machine("a").seated(&world.protocol).await;
    world.pass(MINUTE);
    world.clock.set_redis_ahead_ms(6 * 3_600_000);
    sweep(&world).await;
    world.machine("b").seated(&world.protocol).await;
    world.pass(MINUTE);
    sweep(&world).await;
    world.clock.set_redis_ahead_ms(0);
    for _ in 0..3 {
        beat(&world.protocol, &world.machine("b").seated(&world.protocol).await).await;
        world.pass(MINUTE);
        sweep(&world).await;
    }
    let written = written(&world).await;
    let minutes: Vec<_> = written.keys().map(|at| at - first).collect();
    assert_eq!(minutes, [0, 1, 2, 3, 4], "and none of a time that has not come");
    assert_eq!(written.values().map(|(_, seen)| *seen).collect::<Vec<_>>(), [false, false, false, true, true]);
}

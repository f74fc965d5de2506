//! Histories of many steps: what is written down is what a count by brute force says, to the minute and to the want.

use crate::{
    MINUTE, minute_of, sweep, world,
    written::{Fate, Minute, Want, adds_up, minutes, wants},
};
use license_core::protocol::{
    acquire::{AcquireOutcome, AcquireRefusal, LeasedSeat},
    heartbeat::HeartbeatOutcome,
    steps::Step,
};
use license_tests::{
    World,
    client::{beat, release},
};
use sqlx::PgConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Counts along: what the records hold after each step, and what clients were told.
struct BruteForce {
    minutes: BTreeMap<i64, Minute>,
    at: i64,
    now: Minute,
    /// By machine and first ask.
    wants: BTreeMap<(String, i64), Want>,
    /// The first ask of the want of each machine that goes on.
    open: BTreeMap<String, i64>,
    /// How long a machine may be silent and its want goes on, ms.
    lease: i64,
}

impl BruteForce {
    fn new(at: i64, total: i64, lease: i64) -> Self {
        let now = Minute { total, ..Minute::default() };
        Self { minutes: BTreeMap::new(), at, now, wants: BTreeMap::new(), open: BTreeMap::new(), lease }
    }

    /// The clock shows this minute now.
    fn pass_to(&mut self, minute: i64) {
        while self.at < minute {
            self.minutes.insert(self.at, self.now);
            self.now.peak = self.now.held;
            (self.now.denied, self.now.refused) = (0, 0);
            self.at += 1;
        }
    }

    fn hold(&mut self, held: i64) {
        self.now.held = held;
        self.now.peak = self.now.peak.max(held);
    }

    /// The want of this machine that goes on at this time, ms.
    fn open_want(&mut self, machine: &str, now: i64) -> Option<&mut Want> {
        let want = self.wants.get_mut(&(machine.to_owned(), *self.open.get(machine)?))?;
        if now - want.last < self.lease {
            return Some(want);
        }
        want.fate = Fate::GaveUp;
        self.open.remove(machine);
        None
    }

    fn refuse(&mut self, machine: &str, now: i64) {
        self.now.denied += 1;
        if let Some(want) = self.open_want(machine, now) {
            (want.last, want.tries) = (now, want.tries + 1);
            return;
        }
        self.now.refused += 1;
        self.open.insert(machine.to_owned(), now);
        self.wants.insert((machine.to_owned(), now), Want { last: now, tries: 1, fate: Fate::Waits });
    }

    fn seat(&mut self, machine: &str, now: i64) {
        if let Some(want) = self.open_want(machine, now) {
            want.fate = Fate::Granted(now);
            self.open.remove(machine);
        }
    }

    /// Redis has lost what it had: what was not told since `told` may be missing, and nobody hears how a want ended. To
    /// its end it is one that nobody asks for any more.
    fn lose(&mut self, told: i64, uncertain: &mut BTreeSet<(String, i64)>) {
        let is_late = |want: &Want| match want.fate {
            Fate::Granted(at) => at >= told,
            _ => want.last + self.lease >= told,
        };
        uncertain.extend(self.wants.iter().filter(|(_, want)| is_late(want)).map(|(key, _)| key.clone()));
        self.end();
    }

    /// Nobody asks any more.
    fn end(&mut self) {
        for want in std::mem::take(&mut self.open) {
            if let Some(want) = self.wants.get_mut(&want) {
                want.fate = Fate::GaveUp;
            }
        }
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

/// Somebody asks; a seat that it gets is answered.
async fn ask(world: &World, machine: &str, count: &mut BruteForce) -> Option<LeasedSeat> {
    // A want is known by its machine and the millisecond of its first ask.
    world.pass(Duration::from_millis(1));
    count.pass_to(minute_of(world));
    match world.machine(machine).restarted().acquire(&world.protocol).await {
        AcquireOutcome::Seat(seat) => {
            count.seat(machine, world.clock.now_ms());
            Some(*seat)
        }
        AcquireOutcome::Refused(AcquireRefusal::Full(_)) => {
            count.refuse(machine, world.clock.now_ms());
            None
        }
        other => panic!("a seat or none, not {other:?}"),
    }
}

async fn number(truth: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(truth).await.unwrap()
}

async fn held(truth: &mut PgConnection) -> i64 {
    number(truth, "select count(*) from seats where holder is not null").await
}

/// The most steps of one history …
const STEPS: u32 = 4000;
/// … and the minutes after which it ends sooner: the clock of Redis runs ahead of that of PostgreSQL, which writes down no
/// minute that is more than a day away. A step may take 200 minutes.
const LONGEST: i64 = 1200;
/// Of a history with losses, Redis loses its data every so many steps.
const LOSS: u32 = 150;

/// As many histories as take half of `USAGE_STEPS` together (`./dev usage check`); of 20,000 steps unless it is set.
#[expect(clippy::disallowed_methods, reason = "a setting of the test alone, which no service reads")]
async fn run_histories(first_seed: u64, loss: Option<u32>) {
    let steps: u32 = std::env::var("USAGE_STEPS").map_or(20_000, |steps| steps.parse().unwrap());
    let (mut seed, mut done, mut met) = (first_seed, 0, Met::default());
    while done < steps / 2 {
        done += run(seed, loss, &mut met).await;
        seed += 2;
    }
    // A short history may lack one of them: what counts is that none was always missing.
    let Met { granted, gave_up, lost, asked_again } = met;
    assert!(granted > 0 && gave_up > 0 && asked_again > 0 && (lost > 0) == loss.is_some(), "{met:?}");
    println!("{done} steps in the histories of the seeds from {first_seed} to {}", seed - 2);
}

/// What wants of all histories came to, and how many of them asked again.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    granted: usize,
    gave_up: usize,
    lost: usize,
    asked_again: usize,
}

/// A run of many steps, each of them one of what happens on ordinary days; every `loss` of them Redis loses its data.
/// Answers how many steps it had.
async fn run(seed: u64, loss: Option<u32>, met: &mut Met) -> u32 {
    let mut draw = Draw(seed);
    let world = world().await;
    let (first, mut truth) = (minute_of(&world), world.truth().await);
    let mut count = BruteForce::new(first, 5, world.timing.ttl.as_millis() as i64);
    let (mut holders, nobody): (Vec<LeasedSeat>, _) = (Vec::new(), world.machine("nobody"));
    // The minutes of which something was lost, and whether Redis still has no copy.
    let (mut lost, mut empty) = (BTreeSet::new(), false);
    // The wants of which something was lost, and when PostgreSQL was told last, ms.
    let (mut uncertain, mut wants_told) = (BTreeSet::new(), 0);
    // Those in which nobody swept: what is counted is right, and when a silent holder left is not known.
    let mut unwatched = BTreeSet::new();
    let (mut told, mut swept, mut sweeps_from) = (first, first, first);
    world.machine("first").seated(&world.protocol).await;
    // Before the clock goes on: the first step may be one in which minutes pass.
    count.hold(held(&mut truth).await);
    let mut step = 0;
    while step < STEPS && minute_of(&world) - first < LONGEST {
        step += 1;
        // Whether somebody was answered from the copy in Redis, which is made for it where there is none.
        let (mut copied, before) = (false, minute_of(&world));
        match draw.below(1000) {
            0..350 => {
                let machine = format!("m{}", draw.below(12));
                holders.extend(ask(&world, &machine, &mut count).await);
                copied = true;
            }
            350..550 if !holders.is_empty() => {
                let seat = holders.swap_remove(draw.below(holders.len() as u64) as usize);
                release(&world.protocol, &seat).await;
            }
            550..700 if !holders.is_empty() => {
                let holder = &holders[draw.below(holders.len() as u64) as usize];
                // That a session has ended is answered from the records, and makes no copy.
                copied = matches!(beat(&world.protocol, holder).await, HeartbeatOutcome::Alive(_));
            }
            700..720 => {
                let total = draw.below(7) as u32 + 1;
                world.resize(total).await;
                // The copy hears of it with the next request.
                let (key, hardware, pool) = (&nobody.key, Some(&nobody.hardware), &nobody.pool);
                world.protocol.validate(key, hardware, nobody.instance.as_ref(), pool).await.unwrap();
                count.now.total = i64::from(total);
                copied = true;
            }
            720..725 => {
                // Nobody sweeps for so long, and nobody asks in the meantime.
                let minutes = [1, 2, 59, 60, 61, 200][draw.below(6) as usize];
                sweeps_from = minute_of(&world) + minutes;
                world.pass(MINUTE * minutes as u32);
            }
            725..740 => {
                // Nobody sweeps for so long, and everybody goes on.
                sweeps_from = minute_of(&world) + draw.below(90) as i64;
            }
            740..750 => {
                world.reaper.steps().cut([Step::ReapUsage, Step::ReapWants, Step::RecordWants][draw.below(3) as usize]);
            }
            _ => world.pass(Duration::from_millis(draw.below(20_000))),
        }
        count.pass_to(minute_of(&world));
        unwatched.extend(swept..sweeps_from);
        empty &= !copied;
        if loss.is_some_and(|loss| step % loss == 0) {
            world.flush().await;
            lost.extend(told..=minute_of(&world));
            count.lose(wants_told, &mut uncertain);
            empty = true;
        }
        if empty {
            lost.extend(before..=minute_of(&world));
        }
        if minute_of(&world) > swept && minute_of(&world) >= sweeps_from {
            let done = if draw.below(4) == 0 {
                let both = tokio::join!(sweep(&world), sweep(&world));
                both.0 || both.1
            } else {
                sweep(&world).await
            };
            if done {
                wants_told = world.clock.now_ms();
            }
            swept = minute_of(&world);
            told = number(&mut truth, "select max(counted_minute) from pools").await.max(told);
        }
        count.hold(held(&mut truth).await);
    }
    // Somebody asks, so that minutes without anybody are told too.
    ask(&world, "last", &mut count).await;
    count.hold(held(&mut truth).await);
    world.pass(MINUTE);
    count.pass_to(minute_of(&world));
    while !sweep(&world).await {}
    let written = minutes(&world).await;
    for (at, (minute, seen)) in &written {
        if *seen || !lost.contains(at) {
            assert_eq!(Some(minute), count.minutes.get(at), "seed {seed}, minute {}", at - first);
        }
        let excused = *at == first || lost.contains(at) || unwatched.contains(at);
        assert!(*seen || excused, "seed {seed}, minute {}: counted in part", at - first);
    }
    let is_seen = written.get(&first).is_some_and(|(_, seen)| *seen);
    assert!(!is_seen, "the copy was made within the first minute");
    let missing: Vec<_> = count.minutes.keys().filter(|at| !written.contains_key(at) && !lost.contains(at)).collect();
    assert_eq!(missing, Vec::<&i64>::new(), "seed {seed}: minutes that are not there");
    assert!(count.minutes.len() > STEPS as usize / 20, "a run of {} minutes", count.minutes.len());
    adds_up(&world).await;

    world.pass(world.timing.ttl + MINUTE);
    while !sweep(&world).await {}
    count.end();
    let denials = wants(&world).await;
    for (want, denial) in &denials {
        let counted = count.wants.get(want).unwrap_or_else(|| panic!("seed {seed}: {want:?} is no want"));
        let is_lost = uncertain.contains(want) && denial.fate == Fate::Lost;
        assert!(is_lost || denial == counted, "seed {seed}, {want:?}: {denial:?}, and it was {counted:?}");
    }
    let missing: Vec<_> =
        count.wants.keys().filter(|want| !denials.contains_key(want) && !uncertain.contains(want)).collect();
    assert_eq!(missing, Vec::<&(String, i64)>::new(), "seed {seed}: wants that are not there");
    if loss.is_none() {
        let refused = number(&mut truth, "select sum(refused)::bigint from usage_minutes").await;
        assert_eq!(refused, denials.len() as i64, "seed {seed}: each refusal that is counted is in the list");
    }
    let with = |fate: fn(&Fate) -> bool| denials.values().filter(|denial| fate(&denial.fate)).count();
    let (granted, gave_up) = (with(|fate| matches!(fate, Fate::Granted(_))), with(|fate| *fate == Fate::GaveUp));
    let lost_wants = with(|fate| *fate == Fate::Lost);
    met.granted += granted;
    met.gave_up += gave_up;
    met.lost += lost_wants;
    met.asked_again += denials.values().filter(|denial| denial.tries > 1).count();
    println!(
        "seed {seed}: {} minutes, {} written, {} of them lost in part",
        count.minutes.len(),
        written.len(),
        lost.len()
    );
    println!("{} wants, {granted} granted, {gave_up} gave up, {lost_wants} lost", count.wants.len());
    step
}

#[tokio::test]
async fn every_minute_and_want_is_what_a_count_by_brute_force_says() {
    run_histories(1, None).await;
}

#[tokio::test]
async fn what_a_loss_of_redis_takes_is_marked() {
    run_histories(2, Some(LOSS)).await;
}

//! The checkers see what they are for: records that were tampered with, events that are missing, more believers than seats.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::{
    Clock,
    domain::id::{Attempt, SessionId},
    protocol::publish,
};
use license_simulation::{
    asked::{Asked, Told, Verb, slow_answers},
    client::{UNEXPLAINED, cause},
    history::{self, History},
    limits,
};
use license_tests::{
    World,
    client::release,
    load::{
        check,
        log::{Belief, BeliefLog},
    },
    world::Shape,
};
use sqlx::Executor;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Mutex,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Two holders came; one left, one is there.
async fn lived() -> (World, HashSet<Uuid>) {
    let world = World::shaped(Shape { clock: Clock::system(), ..Shape::default() }).await;
    history::install(&world).await;
    let first = world.machine("a").seated(&world.protocol).await;
    world.machine("b").seated(&world.protocol).await;
    release(&world.protocol, &first).await;
    let published = Mutex::new(HashSet::new());
    let publish = |events: &[license_core::domain::event::Event]| {
        published.lock().unwrap().extend(events.iter().map(|event| event.id));
        async { Ok(()) }
    };
    publish::drain(world.reaper.records(), world.reaper.steps(), publish).await.unwrap();
    (world, published.into_inner().unwrap())
}

/// What the history checker says of records in which this was done.
async fn after(tampering: &str) -> Vec<String> {
    let (world, published) = lived().await;
    let tampering = sqlx::AssertSqlSafe(tampering.to_owned());
    world.truth().await.execute(tampering).await.unwrap();
    History::read(&world).await.check(&world, &published).await.broken
}

#[tokio::test]
async fn a_life_of_records_that_nobody_touched_is_clean() {
    let (world, published) = lived().await;
    let told = History::read(&world).await.check(&world, &published).await;
    assert_eq!((told.broken, told.sessions, told.holder_changes), (Vec::new(), 2, 3));
}

#[tokio::test]
async fn sessions_that_end_twice_open_again_move_or_vanish_are_seen() {
    for tampering in [
        "update sessions set ended_at = null, end_reason = null where ended_at is not null",
        "update sessions set ended_at = now() + interval '1 s' where ended_at is not null",
        "update sessions set holder = 'another' where ended_at is null",
        "delete from sessions where ended_at is not null",
    ] {
        let broken = after(tampering).await;
        assert!(broken.iter().any(|broken| broken.starts_with("S10: ")), "{tampering}: {broken:?}");
    }
}

#[tokio::test]
async fn holders_without_events_and_events_without_holders_are_seen() {
    for tampering in [
        "update seats set holder = 'another' where holder is null and seat_no = 4",
        "delete from outbox where kind = 'seat.freed'",
        "insert into outbox (tenant_id, kind, payload, published_at)
            select tenant_id, kind, payload, now() from outbox where kind = 'seat.granted' limit 1",
    ] {
        let broken = after(tampering).await;
        assert!(broken.iter().any(|broken| broken.starts_with("S12: ")), "{tampering}: {broken:?}");
    }
}

#[tokio::test]
async fn holders_that_change_without_a_higher_ticket_of_the_pools_epoch_are_seen() {
    let told = "insert into outbox (tenant_id, kind, payload, published_at) select tenant_id, 'seat.freed',
        jsonb_build_object('seat', seat_no, 'from', holder), now() from seats where seat_no = 1; ";
    for (tampering, breaks) in [
        ("update seats set holder = null where seat_no = 1", true),
        ("update seats set holder = null, fence_seq = fence_seq - 1 where seat_no = 1", true),
        ("update seats set holder = null, fence_epoch = fence_epoch + 1 where seat_no = 1", true),
        ("update seats set holder = null, fence_seq = fence_seq + 10 where seat_no = 1", false),
        ("begin; update seats set holder = null where seat_no = 1; update pools set epoch = epoch + 1; commit", false),
        (
            "begin; update pools set epoch = epoch + 1; commit; update seats set holder = null, fence_seq = fence_seq + 10 where seat_no = 1",
            true,
        ),
    ] {
        let broken = after(&format!("{told}{tampering}")).await;
        let seen = broken.iter().filter(|broken| broken.starts_with("S5: ")).count();
        assert_eq!(seen, usize::from(breaks), "{tampering}: {broken:?}");
    }
}

#[tokio::test]
async fn a_seat_that_is_held_without_an_open_session_is_measured() {
    let (world, _) = lived().await;
    assert_eq!(History::read(&world).await.abandoned(), 0, "a release ends session and seat at once");
    let ends = "update sessions set ended_at = now(), end_reason = 'released' where ended_at is null";
    world.truth().await.execute(ends).await.unwrap();
    world.truth().await.execute("update pools set epoch = epoch + 1").await.unwrap();
    let longest = History::read(&world).await.abandoned();
    assert!(longest > 0, "from then to the last that is known");
}

#[tokio::test]
async fn events_that_were_not_published_are_seen() {
    let broken = after("update outbox set published_at = null where kind = 'seat.freed'").await;
    assert_eq!(broken.len(), 1, "{broken:?}");
}

#[tokio::test]
async fn a_holder_more_than_there_were_seats_at_the_time_is_seen() {
    let world = World::shaped(Shape { seats: 3, clock: Clock::system(), ..Shape::default() }).await;
    let log = BeliefLog::default();
    for (seat, name) in ["a", "b", "c"].into_iter().enumerate() {
        let belief = Belief {
            session: SessionId::draw(),
            holder: world.machine(name).holder(),
            seat: seat as u32,
            label: name.into(),
            spans: Vec::new(),
        };
        log.seated(&belief, Attempt(Uuid::new_v4()), Instant::now(), Duration::from_secs(10));
    }
    let oversold = async |resized: &[check::Resized]| {
        let found = check::look_settled(&world, &log, Some(resized)).await;
        found.broken.into_iter().filter(|broken| broken.starts_with("S2: ")).collect::<Vec<_>>()
    };
    let now = log.at(Instant::now());
    assert_eq!(oversold(&[]).await, Vec::<String>::new(), "three seats, three holders");
    assert_eq!(oversold(&[(now - 1_000_000, 1)]).await, Vec::<String>::new(), "the third seat came before");
    assert_eq!(oversold(&[(now + 1_000_000, 1)]).await.len(), 1, "the third seat came a second later");
    assert_eq!(oversold(&[(now + 1_000_000, -1), (now + 2_000_000, 1)]).await.len(), 1, "a seat was away for a second");
    assert_eq!(oversold(&[(now + 11_000_000, -1), (now + 12_000_000, 1)]).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_second_session_for_one_process_start_that_still_believed_in_its_first_is_seen() {
    let world = World::shaped(Shape { clock: Clock::system(), ..Shape::default() }).await;
    let log = BeliefLog::default();
    let (machine, attempt) = (world.machine("a"), Attempt(Uuid::new_v4()));
    for _ in 0..2 {
        let seat = machine.restarted().seated(&world.protocol).await;
        let belief = Belief {
            session: seat.granted.session,
            holder: machine.holder(),
            seat: seat.granted.seat,
            label: "a".into(),
            spans: Vec::new(),
        };
        log.seated(&belief, attempt, Instant::now(), Duration::from_secs(60));
    }
    let found = check::look_settled(&world, &log, None).await.broken;
    assert_eq!(found.iter().filter(|what| what.starts_with("S9: ")).count(), 1, "{found:?}");
}

#[test]
fn a_lease_given_later_than_a_heartbeat_after_a_suspension_is_seen() {
    let within = 1_900_000;
    let statuses = [(1_000_000, true), (3_000_000, true), (9_000_000, false)];
    let told = [1_100_000];
    let seen = |beats: &[limits::Beat]| limits::reached(&statuses, &told, beats, within, 0);
    let found = seen(&[(1_200_000, 1_210_000, true), (2_000_000, 2_010_000, false), (500_000, 1_150_000, true)]);
    assert_eq!((found.worst, found.refused, found.broken.len()), (100_000, 1, 0), "{found:?}");
    assert_eq!(seen(&[(4_000_000, 4_010_000, true)]).broken.len(), 1, "a lease while it was suspended");
    assert_eq!(seen(&[(8_900_000, 9_010_000, true)]).broken.len(), 0, "answered after it was resumed");
    assert_eq!(
        limits::reached(&[(1_000_000, false)], &told, &[(4_000_000, 4_010_000, true)], within, 0).suspensions,
        0
    );
}

#[test]
fn a_client_that_asked_and_was_told_expired_without_a_cause_is_seen() {
    let (lease, asked) =
        (Duration::from_secs(6), |words: &[&'static str]| words.iter().copied().collect::<BTreeSet<_>>());
    let cause = |sent, told, words: &[&'static str]| {
        cause(Duration::from_secs(sent), Duration::from_secs(told), lease, &asked(words))
    };
    assert_eq!(cause(7, 7, &["suspended", "503"]), "503 and suspended");
    assert_eq!(cause(7, 7, &[]), UNEXPLAINED, "nothing stood in its way");
    assert_eq!(cause(4, 5, &["503"]), UNEXPLAINED, "its lease was not over");
    assert_eq!(cause(4, 7, &[]), "under way until its lease was over");
    assert_eq!(cause(4, 5, &[]), UNEXPLAINED, "it was told so within its lease");
}

#[test]
fn time_of_slow_answers_is_counted_once_and_only_since_the_moment() {
    let began = Instant::now();
    let at = |ms: u64| began + Duration::from_millis(ms);
    let asked = |(sent, answered): (u64, u64)| Asked {
        number: 1,
        holder: "a".into(),
        instance: 0,
        verb: Verb::Acquire,
        sent: at(sent),
        answered: at(answered),
        told: Told::Full,
    };
    let all = |spans: &[(u64, u64)]| -> Vec<Asked> { spans.iter().copied().map(asked).collect() };
    let counted = |spans: &[(u64, u64)]| slow_answers(&all(spans), at(1000)).as_millis();
    assert_eq!(counted(&[(1000, 1250), (2000, 2100)]), 0, "they were in time");
    assert_eq!(counted(&[(0, 5000)]), 0, "it was sent before");
    assert_eq!(counted(&[(3000, 4000), (1000, 2000), (1500, 2500), (1600, 1900)]), 2500);
}

//! What holds after any sequence of operations: PROTOCOL, section 6, as far as PostgreSQL alone can show it.

use super::Book;
use license_core::{
    domain::{
        id::{Attempt, SessionId},
        lease::LeaseTiming,
        pool::{LeaseClaim, SeatClaim, SessionClaim},
    },
    records::SeatEnding,
};
use license_tests::grant::SeatGrant;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Splitmix64 (<https://prng.di.unimi.it/splitmix64.c>): a sequence that a seed repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[derive(Debug)]
struct SeatRow {
    holder: Option<String>,
    fence: (i64, i64),
    retired: bool,
}

/// What is written down at one moment.
struct Now {
    epoch: i64,
    rows: i64,
    seats: Vec<SeatRow>,
    open: Vec<(SessionId, i32)>,
    ended: BTreeSet<Uuid>,
    told: i64,
}

async fn look(truth: &mut PgConnection) -> Now {
    let (epoch, rows): (i64, i64) = sqlx::query_as("select epoch, (seats_total + surplus)::bigint from pools")
        .fetch_one(&mut *truth)
        .await
        .unwrap();
    let seats: Vec<(Option<String>, i64, i64, bool)> =
        sqlx::query_as("select holder, fence_epoch, fence_seq, retired from seats order by seat_no")
            .fetch_all(&mut *truth)
            .await
            .unwrap();
    let seat_row = |(holder, epoch, seq, retired)| SeatRow { holder, fence: (epoch, seq), retired };
    let open: Vec<(Uuid, i32)> = sqlx::query_as("select session_id, seat_no from sessions where ended_at is null")
        .fetch_all(&mut *truth)
        .await
        .unwrap();
    let ended: Vec<Uuid> = sqlx::query_scalar("select session_id from sessions where ended_at is not null")
        .fetch_all(&mut *truth)
        .await
        .unwrap();
    Now {
        epoch,
        rows,
        seats: seats.into_iter().map(seat_row).collect(),
        open: open.into_iter().map(|(id, seat)| (SessionId(id), seat)).collect(),
        ended: ended.into_iter().collect(),
        told: sqlx::query_scalar("select count(*) from outbox where kind like 'seat.%'")
            .fetch_one(&mut *truth)
            .await
            .unwrap(),
    }
}

/// One operation, good or late or foolish.
async fn operate(book: &Book, dice: &mut Dice, now: &Now, seq: &mut u64, past: &mut Vec<SeatGrant>) -> String {
    let seat = dice.below(now.seats.len() as u64 + 1) as u32;
    let (tenant, pool) = (book.license.tenant, book.license.pool_id);
    match dice.below(100) {
        0..45 => {
            let grant = ticket(book, dice, now, seq, past, seat).await;
            let outcome = book.write(&grant).await;
            past.push(grant.clone());
            format!("grant {} to {} ({}, {}): {outcome:?}", grant.seat, grant.holder, grant.epoch, grant.seq)
        }
        45..75 => {
            let ending = ending(dice, now, seq, seat);
            format!("{ending:?}: {:?}", book.end(&ending).await)
        }
        75..85 => {
            let size = dice.below(9) as u32;
            book.resize(size).await;
            format!("resize to {size}")
        }
        85..92 => {
            let force = dice.one_in(2);
            // Nobody's seat has no session to end: operators' SQL takes it all the same.
            match book.kick(seat, force).await {
                Some(epoch) => format!("end a session on {seat}: {epoch}"),
                None => format!("kick {seat}: {:?}", book.kick_seat(seat, force).await),
            }
        }
        92..96 => {
            let snapshot = book.service.rebuild_pool(tenant, pool, 0, &LeaseTiming::default()).await.unwrap().unwrap();
            let rows = now.seats.iter().filter(|s| !s.retired).count();
            assert_eq!(snapshot.seats.len(), rows, "a rebuild carries every seat not retired");
            format!("rebuild {}", snapshot.epoch)
        }
        _ => {
            let Some(&(session, seat)) = now.open.first() else { return "nothing".into() };
            let epoch = now.epoch as u64 - u64::from(now.epoch > 0 && dice.one_in(2));
            let outcome = book.service.resolve_session(tenant, pool, seat as u32, session, epoch).await.unwrap();
            format!("resolve {session}: {outcome:?}")
        }
    }
}

/// A fresh ticket, or one that was drawn before: repeated, late, of another epoch.
async fn ticket(book: &Book, dice: &mut Dice, now: &Now, seq: &mut u64, past: &[SeatGrant], seat: u32) -> SeatGrant {
    if !past.is_empty() && dice.one_in(5) {
        return past[dice.below(past.len() as u64) as usize].clone();
    }
    *seq += 1;
    let mut grant = book.decided(seat, dice.below(7) as u8, *seq).await;
    grant.epoch = now.epoch as u64;
    if dice.one_in(8) {
        grant.epoch = grant.epoch.saturating_sub(1);
    }
    if dice.one_in(8) {
        grant.seq = dice.below(*seq);
    }
    if let Some(old) = past.last().filter(|_| dice.one_in(6)) {
        grant.attempt = Attempt(old.attempt.0);
    }
    grant
        .live
        .extend(now.open.iter().filter(|(_, at)| *at == seat as i32 && !dice.one_in(4)).map(|(session, _)| *session));
    grant
}

fn ending(dice: &mut Dice, now: &Now, seq: &mut u64, seat: u32) -> SeatEnding {
    *seq += 2;
    let epoch = (now.epoch as u64).saturating_sub(u64::from(dice.one_in(8)));
    let mut claim =
        |back: u64| LeaseClaim { seq: if dice.one_in(6) { dice.below(*seq) } else { *seq - back }, lease_end_ms: 0 };
    let (first, second) = (claim(1), claim(0));
    let mut ending = SeatEnding { epoch, ..SeatEnding::default() };
    let session = now.open.get(dice.below(now.open.len() as u64 + 1) as usize);
    match (dice.below(3), session) {
        (0, Some((session, _))) => ending.released = vec![*session],
        (1, Some((session, at))) => {
            ending.sessions = vec![SessionClaim { seat: *at as u32, session: *session, claim: first }]
        }
        _ => ending.seats = vec![SeatClaim { seat, claim: first }, SeatClaim { seat: seat + 1, claim: second }],
    }
    ending
}

async fn check(truth: &mut PgConnection, before: &Now, after: &Now) {
    let kept: Vec<&SeatRow> = after.seats.iter().filter(|s| !s.retired).collect();
    assert_eq!(kept.len() as i64, after.rows, "S1: rows not retired = seats_total + surplus");
    assert!(after.seats.iter().all(|s| !s.retired || s.holder.is_none()), "S1: nobody holds a retired seat");
    let astray: i64 = sqlx::query_scalar(
        "select count(*) from sessions s join seats k using (tenant_id, pool_id, seat_no)
         where s.ended_at is null and k.holder is distinct from s.holder",
    )
    .fetch_one(truth)
    .await
    .unwrap();
    assert_eq!(astray, 0, "S3: an open session's holder is its seat's");
    let holder = |now: &Now, at: usize| now.seats.get(at).and_then(|s| s.holder.clone());
    let mut changed = 0;
    for (at, seat) in after.seats.iter().enumerate() {
        let was = holder(before, at);
        if was == seat.holder {
            continue;
        }
        changed += 1;
        let fenced = before.seats.get(at).map(|s| s.fence);
        let by_ticket = fenced < Some(seat.fence) && seat.fence.0 == after.epoch;
        let moved = seat.holder.is_none() && after.seats.iter().any(|other| other.holder == was);
        assert!(by_ticket || moved || after.epoch > before.epoch, "S5: a higher ticket or a new epoch: {seat:?}");
    }
    let mut holders: Vec<_> = after.seats.iter().filter_map(|s| s.holder.as_ref()).collect();
    let held = holders.len();
    holders.sort_unstable();
    holders.dedup();
    assert_eq!(holders.len(), held, "S9: one holder, one seat");
    assert!(after.ended.is_superset(&before.ended), "S10: an ended session stays ended");
    assert_eq!(after.told - before.told, changed, "S12: each change of a holder is told once");
    assert!(after.epoch >= before.epoch);
}

async fn walk(seed: u64, steps: usize) {
    println!("seed {seed}");
    let (book, mut dice) = (Book::open().await, Dice(seed));
    let (mut seq, mut past, mut granted) = (0, Vec::new(), 0);
    let mut truth = book.truth().await;
    let mut before = look(&mut truth).await;
    for step in 0..steps {
        let did = operate(&book, &mut dice, &before, &mut seq, &mut past).await;
        println!("{step}: {did}");
        granted += usize::from(did.ends_with("): Ok"));
        let after = look(&mut truth).await;
        check(&mut truth, &before, &after).await;
        before = after;
    }
    assert!(granted > steps / 10, "the walk gets somewhere: {granted} grants of {steps} steps");
}

#[tokio::test]
async fn seats_add_up_and_every_change_is_told_after_any_sequence_of_operations() {
    walk(1, 600).await;
}

#[tokio::test]
async fn and_after_a_sequence_that_nobody_saw_before() {
    walk(Uuid::new_v4().as_u64_pair().0, 600).await;
}

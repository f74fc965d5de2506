//! `grant_seat`, `end_seats`, `resolve_session`, `rebuild_pool`.

use super::Book;
use license_core::{
    domain::{
        id::{Attempt, Holder, PoolId, SessionId},
        lease::LeaseTiming,
        pool::{LeaseClaim, SessionClaim},
    },
    records::{GrantOutcome, ResolveOutcome, SeatEnding},
};
use license_tests::grant::SeatGrant;
use sqlx::{Connection, Executor};
use uuid::Uuid;

#[tokio::test]
async fn a_repeated_grant_answers_ok_and_writes_nothing_twice() {
    let book = Book::open().await;
    let grant = book.granted(0, 1, 1).await;
    for _ in 0..3 {
        assert_eq!(book.write(&grant).await, GrantOutcome::Ok);
    }
    assert_eq!(book.events().await, ["seat.granted"]);
    assert_eq!(book.number("select count(*) from sessions").await, 1);
}

#[tokio::test]
async fn an_ended_session_never_opens_again_whatever_its_ticket() {
    let book = Book::open().await;
    let grant = book.granted(0, 1, 1).await;
    book.vacate(&[(0, 2)]).await;
    assert_eq!(book.write(&grant).await, GrantOutcome::Ended);
    assert_eq!(book.write(&SeatGrant { seq: 99, ..grant.clone() }).await, GrantOutcome::Ended);
    assert_eq!(book.seats("holder is not null").await, [] as [i32; 0]);
    assert_eq!(book.end_of(grant.session).await.as_deref(), Some("expired"));
}

#[tokio::test]
async fn a_ticket_not_above_the_seats_last_one_is_fenced_and_one_of_another_epoch_is_stale() {
    let book = Book::open().await;
    book.granted(0, 1, 5).await;
    for seq in [4, 5] {
        assert_eq!(book.write(&book.decided(0, 2, seq).await).await, GrantOutcome::Fenced, "{seq}");
    }
    for epoch in [1, 7] {
        let grant = SeatGrant { epoch, ..book.decided(0, 2, 9).await };
        assert_eq!(book.write(&grant).await, GrantOutcome::EpochStale);
    }
    assert_eq!(book.write(&book.decided(99, 2, 9).await).await, GrantOutcome::EpochStale, "no such seat");
    assert_eq!(book.events().await, ["seat.granted"]);
}

#[tokio::test]
async fn a_seat_that_changes_hands_ends_the_old_holders_sessions_and_tells_it_once() {
    let book = Book::open().await;
    let old = book.granted(0, 1, 1).await;
    // By a clock that is ahead, as far as one may be.
    let seen = license_core::Clock::system().now() + time::Duration::hours(23);
    let new = SeatGrant { displaced_seen: Some(seen), ..book.decided(0, 2, 2).await };
    assert_eq!(book.write(&new).await, GrantOutcome::Ok);
    assert_eq!((book.end_of(old.session).await.as_deref(), book.end_of(new.session).await), (Some("expired"), None));
    assert_eq!(book.events().await, ["seat.granted", "seat.granted"]);
    let from_to = "select count(*) from outbox where payload->>'from' = '";
    let sql = format!("{from_to}{}' and payload->>'to' = '{}'", old.holder, new.holder);
    assert_eq!(book.number(&sql).await, 1);
    let last_seen = book
        .number(
            "select count(*) from sessions where last_seen_at > now() + interval '22 hours' and ended_at is not null",
        )
        .await;
    assert_eq!(last_seen, 1, "when it was last heard of is kept");
}

#[tokio::test]
async fn a_second_process_joins_without_an_event_and_sessions_that_redis_dropped_end() {
    let book = Book::open().await;
    let first = book.granted(0, 1, 1).await;
    let mut second = book.decided(0, 1, 2).await;
    second.live.push(first.session);
    assert_eq!(book.write(&second).await, GrantOutcome::Ok);
    assert_eq!((book.end_of(first.session).await, book.end_of(second.session).await), (None, None));

    let third = book.granted(0, 1, 3).await;
    assert_eq!(book.end_of(first.session).await.as_deref(), Some("expired"), "not among the live ones");
    assert_eq!(book.end_of(second.session).await.as_deref(), Some("expired"));

    let mut same_attempt = SeatGrant { attempt: third.attempt, ..book.decided(0, 1, 4).await };
    same_attempt.live.push(third.session);
    assert_eq!(book.write(&same_attempt).await, GrantOutcome::Ok);
    assert_eq!(book.end_of(third.session).await.as_deref(), Some("expired"), "one process start, one open session");
    assert_eq!(book.events().await, ["seat.granted"], "the seat never changed hands");
}

#[tokio::test]
async fn a_holder_that_gets_another_seat_leaves_the_first_unless_that_one_is_newer() {
    let book = Book::open().await;
    let first = book.granted(0, 1, 1).await;
    book.granted(1, 1, 2).await;
    assert_eq!(book.seats("holder is not null").await, [1]);
    assert_eq!(book.end_of(first.session).await.as_deref(), Some("expired"));
    assert_eq!(book.events().await, ["seat.granted", "seat.freed moved", "seat.granted"]);

    book.granted(2, 2, 9).await;
    assert_eq!(
        book.write(&book.decided(3, 2, 8).await).await,
        GrantOutcome::Fenced,
        "an older decision about another seat"
    );
    assert_eq!(book.seats("holder is not null").await, [1, 2]);
}

#[tokio::test]
async fn of_two_grants_of_one_holder_on_two_seats_at_once_one_is_written_and_one_fenced() {
    let book = Book::open().await;
    // Both are held just before they tell of it: each has looked, neither sees the other.
    let mut truth = book.truth().await;
    let mut gate = truth.begin().await.unwrap();
    gate.execute("lock table outbox in share mode").await.unwrap();
    let (one, two) = (book.decided(0, 1, 1).await, book.decided(1, 1, 2).await);
    let open = async {
        let waiting =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while book.number(waiting).await < 2 {}
        gate.rollback().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(book.write(&one), book.write(&two), open);
    let both = [first, second];
    assert!(both.contains(&GrantOutcome::Ok) && both.contains(&GrantOutcome::Fenced), "{both:?}");
    assert_eq!(book.seats("holder is not null").await.len(), 1);
    assert_eq!(book.events().await, ["seat.granted"]);
}

#[tokio::test]
async fn racing_grants_of_one_holder_leave_it_one_seat_each_time() {
    let book = Book::open().await;
    for round in 0..50 {
        let (one, two) = (book.decided(0, 1, 2 * round + 1).await, book.decided(1, 1, 2 * round + 2).await);
        let (first, second) = tokio::join!(book.write(&one), book.write(&two));
        assert!([first, second].contains(&GrantOutcome::Ok), "{first:?} {second:?}");
        assert_eq!(book.seats("holder is not null").await.len(), 1);
        assert_eq!(book.number("select count(*) from sessions where ended_at is null").await, 1);
    }
}

#[tokio::test]
async fn ending_raises_the_fence_even_of_an_empty_seat_so_that_a_paused_grant_comes_too_late() {
    let book = Book::open().await;
    let paused = book.decided(0, 1, 1).await;
    assert_eq!(book.vacate(&[(0, 2)]).await.done, Some(vec![(0, false)]));
    assert_eq!(book.write(&paused).await, GrantOutcome::Fenced);
    assert_eq!(book.events().await, [] as [&str; 0], "nobody lost it");
    book.granted(0, 1, 3).await;
}

#[tokio::test]
async fn an_ending_below_the_fence_does_nothing_and_a_repeated_one_answers_the_same_once_told() {
    let book = Book::open().await;
    let grant = book.granted(0, 1, 5).await;
    assert_eq!(book.vacate(&[(0, 4)]).await.done, Some(vec![]));
    assert_eq!(book.end_of(grant.session).await, None);
    for _ in 0..3 {
        assert_eq!(book.vacate(&[(0, 6)]).await.done, Some(vec![(0, false)]), "its FREE may run");
    }
    assert_eq!(book.events().await, ["seat.granted", "seat.freed released"]);
}

#[tokio::test]
async fn a_released_session_ends_whatever_the_epoch_says_and_nothing_else_does() {
    let book = Book::open().await;
    let (mine, other) = (book.granted(0, 1, 1).await, book.granted(1, 2, 2).await);
    let claim = LeaseClaim { seq: 9, lease_end_ms: 0 };
    let ending = SeatEnding {
        epoch: 77,
        seats: vec![license_core::domain::pool::SeatClaim { seat: 0, claim }],
        sessions: vec![SessionClaim { seat: 1, session: other.session, claim }],
        released: vec![mine.session],
    };
    let first = book.end(&ending).await;
    assert_eq!((first.done.clone(), first.released_at.is_some()), (None, true));
    assert_eq!(book.end_of(mine.session).await.as_deref(), Some("released"));
    assert_eq!((book.end_of(other.session).await, book.seats("holder is not null").await), (None, vec![0, 1]));
    assert_eq!(book.end(&ending).await, first, "releasing twice is one release");
}

#[tokio::test]
async fn a_lapsed_session_ends_by_id_raises_the_fence_and_leaves_its_sibling_the_seat() {
    let book = Book::open().await;
    let first = book.granted(0, 1, 1).await;
    let mut second = book.decided(0, 1, 2).await;
    second.live.push(first.session);
    book.write(&second).await;
    let paused = SeatGrant { live: vec![first.session], ..book.decided(0, 1, 3).await };
    let claim = LeaseClaim { seq: 4, lease_end_ms: 0 };
    let sessions = vec![SessionClaim { seat: 0, session: first.session, claim }];
    book.end(&SeatEnding { sessions, ..SeatEnding::default() }).await;
    assert_eq!(
        (book.end_of(first.session).await.as_deref(), book.end_of(second.session).await),
        (Some("expired"), None)
    );
    assert_eq!(book.seats("holder is not null").await, [0]);
    assert_eq!(book.write(&paused).await, GrantOutcome::Fenced);
}

#[tokio::test]
async fn resolving_says_how_a_session_ended_and_ends_one_that_is_open_only_under_the_present_epoch() {
    let book = Book::open().await;
    let (tenant, pool) = (book.license.tenant, book.license.pool_id);
    let resolve =
        async |seat, session, epoch| book.service.resolve_session(tenant, pool, seat, session, epoch).await.unwrap();
    let gone = |reason: &str| ResolveOutcome::Gone(reason.into());
    let grant = book.granted(0, 1, 1).await;
    assert_eq!(resolve(0, grant.session, 5).await, ResolveOutcome::EpochStale);
    assert_eq!(book.end_of(grant.session).await, None);
    assert_eq!(resolve(0, grant.session, 0).await, gone("expired"));
    assert_eq!(book.end_of(grant.session).await.as_deref(), Some("expired"));
    assert_eq!(resolve(0, grant.session, 5).await, gone("expired"), "over is over in every epoch");
    assert_eq!(resolve(0, SessionId::draw(), 0).await, gone("unknown"));
    let released = book.granted(1, 2, 2).await;
    book.end(&SeatEnding { released: vec![released.session], ..SeatEnding::default() }).await;
    assert_eq!(resolve(1, released.session, 0).await, gone("released"));
}

#[tokio::test]
async fn a_rebuild_begins_an_epoch_and_reads_every_seat_with_its_open_sessions() {
    let book = Book::open().await;
    let grant = book.granted(3, 1, 1).await;
    let late = book.decided(0, 2, 2).await;
    let (tenant, pool) = (book.license.tenant, book.license.pool_id);
    let snapshot = book.service.rebuild_pool(tenant, pool, 0, &LeaseTiming::default()).await.unwrap().unwrap();
    assert_eq!((snapshot.epoch, snapshot.seats_total, snapshot.status.as_str()), (1, 5, "active"));
    assert_eq!((snapshot.holder_by.as_str(), snapshot.processes), ("machine", 32));
    assert_eq!(snapshot.seats.iter().map(|s| s.seat).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let held = &snapshot.seats[3];
    assert_eq!((held.holder, held.label.as_str()), (Some(Holder([1; 16])), "machine 1"));
    assert_eq!(
        (held.sessions.len(), held.sessions[0].session, held.sessions[0].attempt),
        (1, grant.session, grant.attempt)
    );
    assert!(snapshot.seats.iter().filter(|s| s.seat != 3).all(|s| s.holder.is_none() && s.sessions.is_empty()));
    assert_eq!(book.write(&late).await, GrantOutcome::EpochStale, "decided from the copy before");
    assert_eq!(
        book.write(&SeatGrant { attempt: Attempt(Uuid::new_v4()), ..grant.clone() }).await,
        GrantOutcome::EpochStale
    );
    assert!(
        book.service.rebuild_pool(tenant, PoolId(Uuid::new_v4()), 0, &LeaseTiming::default()).await.unwrap().is_none()
    );
}

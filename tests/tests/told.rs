//! The answers to clients are true: each state of a license and of a pool, and each operation, with its code, sentence
//! and time; by the protocol, without HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::domain::{license::Status, terms::TermsEdit};
use license_tests::{
    World,
    front::{ACQUIRE, Answer, Front, HEARTBEAT, RELEASE, VALIDATE},
    world::Shape,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A way a license comes to give no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Suspended,
    Revoked,
    /// Its term ends by an edit.
    CutShort,
    /// Its term ends by itself.
    Over,
    NotStarted,
}

const STATES: [State; 5] = [State::Suspended, State::Revoked, State::CutShort, State::Over, State::NotStarted];

impl State {
    fn code(self) -> &'static str {
        match self {
            Self::Suspended => "license_suspended",
            Self::Revoked => "license_revoked",
            Self::CutShort | Self::Over => "license_expired",
            Self::NotStarted => "license_not_started",
        }
    }

    async fn begins(self, world: &World) {
        let soon = |seconds| Some(Some(world.clock.now() + Duration::from_secs(seconds)));
        let changed = match self {
            Self::Suspended => world.suspend().await,
            Self::Revoked => world.try_decide(Status::Revoked).await.unwrap(),
            Self::CutShort => world.edit(&TermsEdit { expires_at: soon(0), ..TermsEdit::default() }).await,
            Self::Over => world.edit(&TermsEdit { expires_at: soon(30), ..TermsEdit::default() }).await,
            Self::NotStarted => world.edit(&TermsEdit { not_before: soon(7200), ..TermsEdit::default() }).await,
        };
        assert!(changed, "{self:?}");
        if self == Self::Over {
            world.pass(Duration::from_secs(31));
        }
    }

    /// The license gives seats again; false where it never does.
    async fn ends(self, world: &World) -> bool {
        match self {
            Self::Suspended => world.resume().await,
            Self::Revoked => false,
            Self::CutShort | Self::Over => {
                world.edit(&TermsEdit { expires_at: Some(None), ..TermsEdit::default() }).await
            }
            Self::NotStarted => world.edit(&TermsEdit { not_before: Some(None), ..TermsEdit::default() }).await,
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A refusal for the license's state: its code, and a sentence that names nobody who could do nothing.
#[track_caller]
fn refuses(answer: Answer, state: State, front: &Front) {
    let answer = answer.is(403, state.code());
    let detail = text(&answer.body["detail"]).to_lowercase();
    assert!(
        !detail.contains("owner") && !detail.contains("admin") && !detail.contains("silent"),
        "{state:?}: {detail}"
    );
    assert!(state == State::NotStarted || detail.contains("vendor"), "{state:?}: {detail}");
    let since = text(&answer.body["since"]);
    assert!(since.ends_with('Z'), "{state:?}: {}", answer.body);
    let begins = time::OffsetDateTime::parse(since, &time::format_description::well_known::Rfc3339).unwrap();
    let wait = (begins - front.world.clock.now()).whole_milliseconds();
    match answer.headers.get("retry-after") {
        Some(told) => {
            let told: i128 = told.to_str().unwrap().parse().unwrap();
            assert_eq!((state, told), (State::NotStarted, (wait + 999) / 1000));
            assert!(detail.contains(&since.to_lowercase()), "{detail}");
        }
        None => assert_ne!(state, State::NotStarted),
    }
}

/// Every operation of a client while the license refuses.
async fn all_refuse(front: &Front, session: &Value, state: State) {
    refuses(front.post(ACQUIRE, &front.ask("new")).await, state, front);
    refuses(front.post(ACQUIRE, &front.ask("a")).await, state, front);
    refuses(front.post_as(HEARTBEAT, session, &json!({})).await, state, front);
    let ask = json!({ "license_key": front.world.license.key.reveal(), "hardware_id": "hardware-a" });
    let valid = front.post(VALIDATE, &ask).await.ok(200);
    assert_eq!(valid["code"], state.code(), "{valid}");
}

/// Somebody who beats on while the license refuses is told why, as long as it does: its lease may be over, swept, and forgotten by Redis.
#[tokio::test]
async fn whoever_beats_on_is_told_what_the_license_refuses_for_as_long_as_it_does() {
    for state in STATES {
        let front = Front::over(World::with_seats(2).await);
        let (a, b) = (front.seated("a").await, front.seated("b").await);
        state.begins(&front.world).await;
        all_refuse(&front, &a["session"], state).await;
        // Three leases, with a heartbeat and a sweep in each quarter.
        for quarter in 0..12 {
            front.world.pass(front.world.timing.ttl / 4);
            front.world.sweep().await;
            if quarter == 8 {
                front.world.flush().await;
            }
            all_refuse(&front, &a["session"], state).await;
        }
        front.post_as(RELEASE, &b["session"], &json!({})).await.ok(200);
        if state.ends(&front.world).await {
            let gone = front.post_as(HEARTBEAT, &a["session"], &json!({})).await.is(410, "session_gone");
            assert_eq!(gone.body["reason"], "expired");
            assert!(!text(&gone.body["detail"]).contains("silent"), "it was not: {}", gone.body);
            front.seated("a").await;
        }
    }
}

#[tokio::test]
async fn whoever_beats_on_goes_on_where_the_license_gives_seats_again_within_the_lease() {
    for state in STATES {
        let front = Front::over(World::with_seats(1).await);
        let a = front.seated("a").await;
        state.begins(&front.world).await;
        front.world.pass(Duration::from_secs(200));
        all_refuse(&front, &a["session"], state).await;
        if state.ends(&front.world).await {
            front.post_as(HEARTBEAT, &a["session"], &json!({})).await.ok(200);
        }
    }
}

#[tokio::test]
async fn whoever_was_kicked_or_left_is_told_that_whatever_the_license_refuses_since() {
    for state in STATES {
        for first in [true, false] {
            let front = Front::over(World::with_seats(2).await);
            let (a, b) = (front.seated("a").await, front.seated("b").await);
            if first {
                state.begins(&front.world).await;
            }
            assert!(front.world.kick(a["seat"].as_u64().unwrap() as u32, false).await);
            front.post_as(RELEASE, &b["session"], &json!({})).await.ok(200);
            if !first {
                state.begins(&front.world).await;
            }
            for (session, reason) in [(&a["session"], "kicked"), (&b["session"], "released")] {
                let gone = front.post_as(HEARTBEAT, session, &json!({})).await.is(410, "session_gone");
                assert_eq!(gone.body["reason"], reason, "{state:?}");
                front.post_as(RELEASE, session, &json!({})).await.ok(200);
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_was_replaced_and_another_product_are_told_as_what_they_are_and_sessions_go_on() {
    let front = Front::over(World::with_seats(2).await);
    let a = front.seated("a").await;
    let mut other = front.ask("b");
    other["client"]["product"] = "another".into();
    let wrong = front.post(ACQUIRE, &other).await.is(403, "product_not_allowed");
    assert_eq!(wrong.body["product"], "coditect");
    assert!(text(&wrong.body["detail"]).contains("coditect"), "{}", wrong.body);
    front.world.rotate_key(0).await;
    front.world.pass(Duration::from_secs(1));
    let old = front.post(ACQUIRE, &front.ask("b")).await.is(401, "license_key_invalid");
    assert!(text(&old.body["detail"]).contains("replaced"), "{}", old.body);
    front
        .post(VALIDATE, &json!({ "license_key": front.world.license.key.reveal() }))
        .await
        .is(401, "license_key_invalid");
    front.post_as(HEARTBEAT, &a["session"], &json!({})).await.ok(200);
    front.post_as(RELEASE, &a["session"], &json!({})).await.ok(200);
}

/// What a full pool tells somebody new.
struct Told {
    detail: String,
    used: u64,
    waiting: u64,
    next: Option<u64>,
}

async fn told(front: &Front, who: &str) -> Told {
    let full = front.post(ACQUIRE, &front.ask(who)).await.is(409, "no_seats_available");
    let next = full.body["next_seat_in"].as_u64();
    let header = full.headers.get("retry-after").map(|it| it.to_str().unwrap().parse().unwrap());
    assert_eq!(header, next, "{}", full.body);
    let ask = json!({ "license_key": front.world.license.key.reveal(), "hardware_id": format!("hardware-{who}") });
    let valid = front.post(VALIDATE, &ask).await.ok(200);
    assert_eq!((&valid["code"], valid["retry_in"].as_u64()), (&"no_seats_available".into(), next), "{}", full.body);
    Told {
        detail: text(&full.body["detail"]).to_owned(),
        used: full.body["seats_used"].as_u64().unwrap(),
        waiting: full.body["seats_waiting"].as_u64().unwrap(),
        next,
    }
}

/// The time that is told is true, where nobody gives a sign of life meanwhile: a second before it nothing is free, and then somebody is seated.
async fn comes_true(front: &Front, who: &str, state: &str) {
    let mut left = told(front, who).await.next.unwrap_or_else(|| panic!("{state}: it is known when"));
    // What is next may be told anew on the way, but never for later.
    while left > 1 {
        front.world.pass(Duration::from_secs(left - 1));
        left = told(front, who).await.next.unwrap();
        assert_eq!(left, 1, "{state}");
    }
    front.world.pass(Duration::from_secs(left));
    let seat = front.post(ACQUIRE, &front.ask(who)).await;
    assert_eq!(seat.status, 201, "{state}: {}", seat.body);
}

async fn full(seats: u32) -> (Front, Vec<Value>) {
    let front = Front::over(World::shaped(Shape { seats, ..Shape::default() }).await);
    let mut sessions = Vec::new();
    for n in 0..seats {
        sessions.push(front.seated(&format!("m{n}")).await);
        front.world.pass(Duration::from_millis(1700));
    }
    (front, sessions)
}

#[tokio::test]
async fn a_pool_in_use_says_so_and_when_the_first_lease_ends() {
    let (front, _) = full(3).await;
    let it = told(&front, "new").await;
    assert_eq!((it.used, it.waiting), (3, 0));
    assert!(it.detail.starts_with("All 3 seats are in use. Close"), "{}", it.detail);
    comes_true(&front, "new", "in use").await;
}

#[tokio::test]
async fn a_seat_that_waits_after_a_kick_is_in_nobodys_use_and_it_is_told_when_it_is_free() {
    let (front, _) = full(1).await;
    assert!(front.world.kick(0, false).await);
    let it = told(&front, "new").await;
    assert_eq!((it.used, it.waiting, it.next), (0, 1, Some(405)));
    assert!(it.detail.contains("nobody's use") && it.detail.contains("6 min 45 s"), "{}", it.detail);
    assert!(!it.detail.contains("Close"), "{}", it.detail);
    front.world.pass(Duration::from_secs(354));
    let it = told(&front, "new").await;
    assert!(it.detail.contains("in 51 s"), "{}", it.detail);
    comes_true(&front, "new", "kicked").await;
}

#[tokio::test]
async fn seats_that_wait_beside_seats_in_use_are_told_apart() {
    let (front, sessions) = full(3).await;
    for seat in [0, 1] {
        assert!(front.world.kick(seat, false).await);
        front.world.pass(Duration::from_secs(10));
    }
    let it = told(&front, "new").await;
    assert_eq!((it.used, it.waiting), (1, 2));
    assert!(it.detail.contains("1 of 3 in use, 2 waiting"), "{}", it.detail);
    // The one in use beats: the next to be free is one that waits.
    front.post_as(HEARTBEAT, &sessions[2]["session"], &json!({})).await.ok(200);
    front.world.pass(Duration::from_secs(200));
    front.post_as(HEARTBEAT, &sessions[2]["session"], &json!({})).await.ok(200);
    let it = told(&front, "new").await;
    assert!(it.detail.contains("The first of those is free in"), "{}", it.detail);
    comes_true(&front, "new", "one of each").await;
}

#[tokio::test]
async fn a_pool_that_was_shrunk_says_how_many_must_go_and_when_that_many_have() {
    let (front, sessions) = full(4).await;
    assert!(front.world.resize(2).await);
    let it = told(&front, "new").await;
    assert_eq!((it.used, it.waiting), (4, 0));
    assert!(it.detail.contains("has 2 seats now, and 4 are still in use"), "{}", it.detail);
    front.post_as(RELEASE, &sessions[1]["session"], &json!({})).await.ok(200);
    comes_true(&front, "new", "shrunk").await;
}

#[tokio::test]
async fn a_pool_shrunk_to_nothing_gives_nobody_a_time() {
    for held in [0, 1, 2] {
        let (front, _) = full(held.max(1)).await;
        if held == 0 {
            assert!(front.world.kick(0, true).await);
        }
        sqlx::query("select resize_pool(tenant_id, pool_id, 0) from pools")
            .execute(&mut front.world.truth().await)
            .await
            .unwrap();
        front.world.flush().await;
        let it = told(&front, "new").await;
        assert_eq!((it.used, it.next), (u64::from(held), None), "{}", it.detail);
        assert!(it.detail.contains("vendor") && !it.detail.contains("Close"), "{}", it.detail);
    }
}

#[tokio::test]
async fn a_restored_pool_says_that_it_waits_and_until_when_to_who_is_new_and_to_who_has_a_seat() {
    for (who, flushed) in [("new", false), ("m0", false), ("new", true), ("m0", true)] {
        let (front, sessions) = full(2).await;
        front.post_as(RELEASE, &sessions[1]["session"], &json!({})).await.ok(200);
        let lease = front.world.timing.rebuild_lease_ms() as f64 / 1000.0;
        let mut truth = front.world.truth().await;
        sqlx::query("set role owner").execute(&mut truth).await.unwrap();
        let restored = sqlx::query("select after_restore(make_interval(secs => $1))").bind(lease);
        restored.execute(&mut truth).await.unwrap();
        front.world.flush().await;
        if flushed {
            told(&front, who).await;
            front.world.pass(Duration::from_secs(100));
            front.world.flush().await;
        }
        front.post_as(HEARTBEAT, &sessions[0]["session"], &json!({})).await.ok(200);
        let it = told(&front, who).await;
        assert_eq!((it.used, it.waiting), (1, 1));
        assert!(!it.detail.contains("All 2"), "{}", it.detail);
        if who == "m0" {
            assert!(it.detail.contains("restored"), "{}", it.detail);
        }
        comes_true(&front, who, "restored").await;
    }
}

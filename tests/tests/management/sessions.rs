//! Live sessions: which seat each has, who may see it, and how one is ended.

use crate::{desk::Desk, seat::Seat};
use license_core::{
    domain::{
        access::{
            PersonRole::{Admin, Member, Viewer},
            Scope,
        },
        id::Hw,
    },
    protocol::steps::Step,
};
use license_tests::World;
use serde_json::{Value, json};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

fn at(text: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(text.as_str().unwrap(), &Rfc3339).unwrap()
}

async fn read(desk: &Desk, seat: &Seat) -> Value {
    desk.get(&desk.at(&format!("/sessions/{}", seat.id))).by(&desk.person("owner")).send().await.ok(200)
}

#[tokio::test]
async fn a_live_session_says_who_sits_where_on_what_and_when_it_was_last_heard_of() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let project = desk.post(&desk.at("/projects"), &json!({ "name": "Turbine" })).by(&owner).send().await.ok(201);
    let said = json!({ "user": "Bob@Example.com", "project": "TURBINE", "hostname": "host-1", "version": "1.2.3",
        "platform": "linux-x86_64", "deployment": "desktop", "more": "passed over" });
    let seat = desk.sit("a", said).await;
    let began = desk.world.clock.now();
    desk.world.pass(Duration::from_secs(100));
    desk.beat(&seat).await.ok(200);
    let heard = desk.world.clock.now();
    desk.world.pass(Duration::from_secs(10));

    let list = desk.get(&desk.at("/sessions")).by(&owner).send().await.ok(200);
    assert_eq!((list["items"].as_array().unwrap().len(), &list["next_cursor"]), (1, &Value::Null));
    let session = &list["items"][0];
    let license = &desk.world.license;
    assert_eq!(session["id"], seat.id);
    assert_eq!(session["state"], "live");
    assert_eq!(session["license"], json!({ "id": license.id, "number": license.pool.license, "product": "coditect" }));
    assert_eq!(
        (&session["pool"], &session["seat"], &session["label"]),
        (&json!("default"), &json!(0), &json!("host-1"))
    );
    let hw = Hw::of(license.pool.license, &"hardware-a".parse().unwrap());
    assert_eq!((&session["machine"], &session["user"]), (&json!(hw), &json!("bob@example.com")));
    assert_eq!(session["project"], json!({ "id": project["id"], "name": "Turbine" }));
    assert_eq!(
        session["client"],
        json!({ "version": "1.2.3", "platform": "linux-x86_64", "hostname": "host-1", "deployment": "desktop" })
    );
    assert!((at(&session["since"]) - began).abs() < time::Duration::seconds(60));
    assert_eq!(at(&session["last_seen_at"]), heard);
    assert_eq!(at(&session["lease_ends_at"]), heard + desk.world.timing.ttl);
    assert_eq!((&session["ended_at"], &session["reason"]), (&Value::Null, &Value::Null));
    assert_eq!(&read(&desk, &seat).await, session);
    let of_license = desk.at(&format!("/licenses/{}/sessions", license.id));
    assert_eq!(desk.get(&of_license).by(&owner).send().await.ok(200), list);
}

#[tokio::test]
async fn a_session_is_live_then_silent_then_ending_then_ended() {
    let desk = Desk::new().await;
    let seat = desk.sit("a", json!({})).await;
    desk.world.pass_ttl();
    let silent = read(&desk, &seat).await;
    assert_eq!(silent["state"], "silent");
    assert!(at(&silent["lease_ends_at"]) < desk.world.clock.now());
    desk.beat(&seat).await.ok(200);
    assert_eq!(read(&desk, &seat).await["state"], "live");
    desk.world.protocol.steps().cut(Step::Release);
    let cut = desk.post("/api/v1/licenses/release", &json!({})).by(&seat.handle).send().await;
    assert!(cut.status >= 500, "{cut:?}");
    let ending = read(&desk, &seat).await;
    assert_eq!((&ending["state"], &ending["lease_ends_at"]), (&json!("ending"), &Value::Null));
    desk.release(&seat).await;
    let ended = read(&desk, &seat).await;
    assert_eq!((&ended["state"], &ended["reason"]), (&json!("ended"), &json!("released")));
    assert!(ended["ended_at"].is_string() && ended["lease_ends_at"].is_null());
    assert_eq!(desk.ids(&desk.person("owner"), &desk.at("/sessions")).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_redis_has_forgotten_is_listed_as_unknown_and_looking_rebuilds_nothing() {
    let desk = Desk::new().await;
    let seat = desk.sit("a", json!({})).await;
    desk.world.flush().await;
    let epoch = desk.world.epoch().await;
    let list = desk.get(&desk.at("/sessions")).by(&desk.person("owner")).send().await.ok(200);
    let unknown = &list["items"][0];
    assert_eq!((&unknown["id"], &unknown["state"]), (&json!(seat.id), &json!("unknown")));
    assert_eq!((&unknown["lease_ends_at"], &unknown["last_seen_at"]), (&Value::Null, &unknown["since"]));
    assert_eq!(desk.world.epoch().await, epoch);
    desk.beat(&seat).await.ok(200);
    let live = read(&desk, &seat).await;
    assert_eq!(live["state"], "live");
    assert!(at(&live["last_seen_at"]) <= desk.world.clock.now().max(at(&live["since"])), "never later than now");
}

#[tokio::test]
async fn while_redis_is_away_sessions_are_listed_all_the_same() {
    let mut desk = Desk::new().await;
    let seat = desk.sit("a", json!({})).await;
    desk.world.redis.kill().await;
    let list = desk.get(&desk.at("/sessions")).by(&desk.person("owner")).send().await.ok(200);
    assert_eq!((&list["items"][0]["id"], &list["items"][0]["state"]), (&json!(seat.id), &json!("unknown")));
    desk.end(&desk.person("owner"), &seat.id, &json!({})).await.is(503, "seats_unavailable");
    desk.world.redis.restart().await.unwrap();
    // It was ended; asked again, the answer is whole. For a moment a failed connect is not tried anew.
    let mut told = desk.end(&desk.person("owner"), &seat.id, &json!({})).await;
    while told.status == 503 {
        told = desk.end(&desk.person("owner"), &seat.id, &json!({})).await;
    }
    let ended = told.ok(200);
    assert_eq!((&ended["reason"], &ended["seat_free_in"]), (&json!("kicked"), &json!(405)));
}

#[tokio::test]
async fn a_kicked_client_is_told_and_its_seat_is_others_from_the_time_the_answer_says() {
    let desk = Desk::over(World::with_seats(1).await).await;
    let owner = desk.person("owner");
    let seat = desk.sit("a", json!({ "hostname": "host-1" })).await;
    let sibling = desk.sit("a", json!({})).await;
    let ended = desk.end(&owner, &seat.id, &json!({})).await.ok(200);
    assert_eq!((&ended["id"], &ended["seat"], &ended["reason"]), (&json!(seat.id), &json!(0), &json!("kicked")));
    let wait = desk.world.timing.ttl + desk.world.timing.drain;
    assert_eq!(at(&ended["seat_free_at"]), desk.world.clock.now() + wait);
    assert_eq!(ended["seat_free_in"], wait.as_secs());
    for told in [&seat, &sibling] {
        assert_eq!(desk.beat(told).await.is(410, "session_gone")["reason"], "kicked");
        assert_eq!(read(&desk, told).await["reason"], "kicked");
    }
    desk.world.pass(wait - Duration::from_millis(1));
    desk.acquire(&desk.world.license, "b", json!({})).await.is(409, "no_seats_available");
    let again = desk.end(&owner, &seat.id, &json!({})).await.ok(200);
    assert_eq!((&again["ended_at"], &again["seat_free_at"]), (&ended["ended_at"], &ended["seat_free_at"]));
    assert_eq!(again["seat_free_in"], 1);
    desk.world.pass(Duration::from_millis(1));
    let b = desk.sit("b", json!({})).await;
    let over = desk.end(&owner, &seat.id, &json!({})).await.ok(200);
    assert_eq!((&over["reason"], &over["seat_free_at"]), (&json!("kicked"), &Value::Null), "somebody holds it again");
    desk.beat(&b).await.ok(200);
    let audited = ("session.ended".to_owned(), "person owner@example.com".to_owned(), seat.id.clone());
    assert_eq!(desk.audited().await, [audited], "once, since the others changed nothing");
    let sql = "select (before->>'label') || ' ' || (after->>'force') from audit_log where action = 'session.ended'";
    let line: String = sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(line, "host-1 false");
}

#[tokio::test]
async fn an_admin_who_vouches_that_the_machine_is_off_frees_its_seat_at_once_also_after_a_kick() {
    let desk = Desk::over(World::with_seats(1).await).await;
    desk.join(desk.tenant(), "ada", Admin).await;
    let ada = desk.person("ada");
    let a = desk.sit("a", json!({})).await;
    let forced = desk.end(&ada, &a.id, &json!({ "force": true })).await.ok(200);
    assert_eq!(at(&forced["seat_free_at"]), desk.world.clock.now());
    assert_eq!(forced["seat_free_in"], 0);
    let b = desk.sit("b", json!({})).await;
    assert_eq!(desk.beat(&a).await.is(410, "session_gone")["reason"], "kicked");
    desk.end(&ada, &b.id, &json!({})).await.ok(200);
    desk.acquire(&desk.world.license, "c", json!({})).await.is(409, "no_seats_available");
    // The quarantine is b's: who vouches for a's machine says nothing about it.
    desk.end(&ada, &a.id, &json!({ "force": true })).await.ok(200);
    desk.acquire(&desk.world.license, "c", json!({})).await.is(409, "no_seats_available");
    let lifted = desk.end(&ada, &b.id, &json!({ "force": true })).await.ok(200);
    assert_eq!(lifted["seat_free_in"], 0);
    let c = desk.sit("c", json!({})).await;
    let sql = "select (target || ' ' || (after->>'force')) from audit_log where action = 'session.ended' order by id";
    let log: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(log, [format!("{} true", a.id), format!("{} false", b.id), format!("{} true", b.id)]);
    let script = desk.api_token(desk.tenant(), &[Scope::SessionsWrite]).await;
    assert_eq!(desk.end(&script, &c.id, &json!({ "force": true })).await.ok(200)["seat_free_in"], 0);
}

#[tokio::test]
async fn a_kick_whose_session_ends_meanwhile_leaves_whoever_got_the_seat_alone() {
    let desk = Desk::over(World::with_seats(1).await).await;
    let a = desk.sit("a", json!({})).await;
    desk.release(&a).await;
    let b = desk.sit("b", json!({})).await;
    let late = desk.end(&desk.person("owner"), &a.id, &json!({})).await.ok(200);
    assert_eq!((&late["reason"], &late["seat_free_at"]), (&json!("released"), &Value::Null));
    desk.beat(&b).await.ok(200);

    // The same where it happens between the look and the lock: the pool is held while the kick has seen b's session open.
    use sqlx::{Connection, Executor};
    let mut truth = desk.world.truth().await;
    let mut change = truth.begin().await.unwrap();
    change.execute("select pg_advisory_xact_lock(pool_lock(pool_id)) from pools").await.unwrap();
    let owner = desk.person("owner");
    let (none, waiting) = (json!({}), async {
        let sql =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while desk.world.count(sql).await == 0 {}
        let id: Uuid = b.id.parse().unwrap();
        for sql in [
            "update sessions set ended_at = now(), end_reason = 'expired' where session_id = $1",
            "insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw)
             select tenant_id, uuid_v7(), license_id, pool_id, seat_no, 'c', uuid_v7(), 'c' from sessions where session_id = $1",
            "update seats s set holder = 'c' from sessions e where e.session_id = $1 and s.seat_no = e.seat_no",
        ] {
            sqlx::query(sql).bind(id).execute(&mut *change).await.unwrap();
        }
        change.commit().await.unwrap();
    });
    let (told, ()) = tokio::join!(desk.end(&owner, &b.id, &none), waiting);
    assert_eq!(told.ok(200)["reason"], "expired");
    assert_eq!(desk.world.count("select count(*) from sessions where holder = 'c' and ended_at is null").await, 1);
    assert_eq!(desk.world.count("select count(*) from seats where holder = 'c' and hold_until is null").await, 1);
    assert_eq!(desk.audited().await, []);
}

#[tokio::test]
async fn members_and_viewers_see_their_own_sessions_and_members_end_them_and_nobody_elses() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Member).await;
    desk.join(desk.tenant(), "eve", Viewer).await;
    let bobs = desk.sit("a", json!({ "user": "BOB@example.com" })).await;
    let eves = desk.sit("b", json!({ "user": "eve@example.com" })).await;
    let nobodys = desk.sit("c", json!({})).await;
    let all = [&nobodys, &eves, &bobs].map(|seat| seat.id.clone());
    let script = desk.api_token(desk.tenant(), &[Scope::SessionsRead]).await;
    for path in [desk.at("/sessions"), desk.at(&format!("/licenses/{}/sessions", desk.world.license.id))] {
        for who in [&desk.person("owner"), &script, &desk.staff("vendor")] {
            assert_eq!(desk.ids(who, &path).await, all);
        }
        assert_eq!(desk.ids(&desk.person("bob"), &path).await, [bobs.id.as_str()]);
        assert_eq!(desk.ids(&desk.person("eve"), &path).await, [eves.id.as_str()]);
        let other = format!("{path}?user=eve@example.com");
        assert_eq!(desk.ids(&desk.person("bob"), &other).await, Vec::<String>::new());
    }
    let (bob, eve) = (desk.person("bob"), desk.person("eve"));
    let look =
        async |who: &str, seat: &Seat| desk.get(&desk.at(&format!("/sessions/{}", seat.id))).by(who).send().await;
    look(&bob, &bobs).await.ok(200);
    look(&bob, &eves).await.is(404, "not_found");
    look(&bob, &nobodys).await.is(404, "not_found");
    look(&eve, &eves).await.ok(200);
    desk.end(&bob, &eves.id, &json!({})).await.is(404, "not_found");
    desk.end(&bob, &nobodys.id, &json!({ "force": true })).await.is(404, "not_found");
    assert_eq!(desk.end(&eve, &eves.id, &json!({})).await.is(403, "insufficient_role")["required"], "member");
    assert_eq!(
        desk.end(&bob, &bobs.id, &json!({ "force": true })).await.is(403, "insufficient_role")["required"],
        "admin"
    );
    assert_eq!(
        desk.end(&script, &bobs.id, &json!({})).await.is(403, "insufficient_scope")["required"],
        "sessions:write"
    );
    // Another person's process on the same machine would end with it.
    let guest = desk.sit("a", json!({ "user": "guest@example.com" })).await;
    desk.end(&bob, &bobs.id, &json!({})).await.is(409, "conflict");
    desk.release(&guest).await;
    assert_eq!(desk.audited().await, []);
    for seat in [&bobs, &eves, &nobodys] {
        desk.beat(seat).await.ok(200);
    }
    assert_eq!(desk.end(&bob, &bobs.id, &json!({})).await.ok(200)["reason"], "kicked");
    assert_eq!(desk.ids(&bob, &desk.at("/sessions")).await, Vec::<String>::new());
    assert_eq!(desk.ids(&bob, &desk.at("/sessions?state=ended")).await, [bobs.id.as_str()]);
}

#[tokio::test]
async fn no_session_of_another_organization_is_seen_or_ended_by_id_filter_or_cursor() {
    let desk = Desk::new().await;
    let other = desk.other("grace").await;
    let (mine, theirs) = (desk.sit("a", json!({ "user": "x@example.com" })).await, {
        desk.sit_on(&other, "a", json!({ "user": "x@example.com" })).await;
        desk.sit_on(&other, "b", json!({ "user": "x@example.com" })).await
    });
    let newest = desk.sit("z", json!({})).await;
    let (owner, grace) = (desk.person("owner"), desk.person("grace"));
    desk.get(&desk.at(&format!("/sessions/{}", theirs.id))).by(&owner).send().await.is(404, "not_found");
    desk.end(&owner, &theirs.id, &json!({})).await.is(404, "not_found");
    desk.get(&desk.at(&format!("/licenses/{}/sessions", other.id))).by(&owner).send().await.is(404, "not_found");
    assert_eq!(desk.ids(&owner, &desk.at(&format!("/sessions?license={}", other.id))).await, Vec::<String>::new());
    assert_eq!(desk.ids(&owner, &desk.at("/sessions?user=x@example.com")).await, [mine.id.as_str()]);
    let hw = Hw::of(other.pool.license, &"hardware-a".parse().unwrap());
    assert_eq!(desk.ids(&owner, &desk.at(&format!("/sessions?machine={hw}"))).await, Vec::<String>::new());
    let list = format!("/api/v1/organizations/{}/sessions?limit=1", other.tenant);
    let cursor = desk.get(&list).by(&grace).send().await.ok(200)["next_cursor"].as_str().unwrap().to_owned();
    // A cursor is a place in time: what comes after it is one's own.
    assert_eq!(desk.ids(&owner, &desk.at("/sessions")).await, [newest.id.clone(), mine.id.clone()]);
    let page = desk.get(&desk.at(&format!("/sessions?cursor={cursor}"))).by(&owner).send().await.ok(200);
    assert_eq!(page["items"].as_array().unwrap().iter().map(|it| &it["id"]).collect::<Vec<_>>(), [&json!(mine.id)]);
    desk.beat(&theirs).await.ok(200);
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_ends() {
    let desk = Desk::new().await;
    let seat = desk.sit("a", json!({})).await;
    let owner = desk.person("owner");
    let long = "x".repeat(256);
    for (query, field) in [
        ("state=gone", "state"),
        ("license=x", "license"),
        ("project=x", "project"),
        ("machine=x", "machine"),
        (&*format!("user={long}"), "user"),
        ("user=a%07", "user"),
        ("state=ended&reason=bored", "reason"),
        ("reason=kicked", "reason"),
        ("started_after=yesterday", "started_after"),
        ("started_before=2026-13-01T00:00:00Z", "started_before"),
        ("started_after=2026-01-02T00:00:00Z&started_before=2026-01-01T00:00:00Z", "started_before"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=x", "cursor"),
        ("colour=red", "colour"),
        ("state=live&state=live", "state"),
    ] {
        let path = desk.at(&format!("/sessions?{query}"));
        assert_eq!(desk.get(&path).by(&owner).send().await.wrong(), [field], "{query}");
        let path = desk.at(&format!("/licenses/{}/sessions?{query}", desk.world.license.id));
        assert_eq!(desk.get(&path).by(&owner).send().await.wrong(), [field], "{query}");
    }
    let many = desk.get(&desk.at("/sessions?state=x&license=x&limit=x")).by(&owner).send().await;
    assert_eq!(many.wrong(), ["state", "license", "limit"]);
    for (body, field) in
        [(json!({ "force": "yes" }), "force"), (json!({ "force": 1 }), "force"), (json!({ "why": "" }), "why")]
    {
        assert_eq!(desk.end(&owner, &seat.id, &body).await.wrong(), [field], "{body}");
    }
    for id in ["x", &Uuid::new_v4().to_string()] {
        desk.get(&desk.at(&format!("/sessions/{id}"))).by(&owner).send().await.is(404, "not_found");
        desk.end(&owner, id, &json!({})).await.is(404, "not_found");
        desk.get(&desk.at(&format!("/licenses/{id}/sessions"))).by(&owner).send().await.is(404, "not_found");
    }
    desk.beat(&seat).await.ok(200);
    assert_eq!(desk.audited().await, []);
}

#[tokio::test]
async fn a_kick_sent_twice_with_one_idempotency_key_is_one() {
    let desk = Desk::new().await;
    let seat = desk.sit("a", json!({})).await;
    let owner = desk.person("owner");
    let path = desk.at(&format!("/sessions/{}/end", seat.id));
    let kick = async |body: Value| desk.post(&path, &body).by(&owner).header("idempotency-key", "k").send().await;
    let first = kick(json!({})).await.ok(200);
    assert_eq!(kick(json!({})).await.ok(200), first);
    kick(json!({ "force": true })).await.is(422, "idempotency_key_reused");
    assert_eq!(desk.audited().await.len(), 1);
}

//! A store or the signing key cannot be reached: what each service answers over HTTP, that nothing is half done, and
//! that the services recover by themselves. Also what is refused without asking any store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

#[path = "../keys/mod.rs"]
mod keys;
mod network;
mod refused;
mod signer;
mod site;

use site::{CLIENT_SERVICES, REGISTER, Site, VALIDATE, known_after, until_known};
use tokio::join;

const SEATS: &str = "seats_unavailable";
const RECORDS: &str = "records_unavailable";

#[tokio::test]
async fn with_redis_away_every_call_about_a_seat_is_503_and_nothing_is_written() {
    let mut site = Site::new(2).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    let (ask, before) = (site.ask("b"), site.written().await);
    site.redis.kill().await;
    services.acquire(&ask).await.away(SEATS);
    services.post(VALIDATE, None, &site.look()).await.away(SEATS);
    services.beat(&seat).await.away(SEATS);
    services.release(&seat).await.away(SEATS);
    assert_eq!(site.written().await, before);
    // No other service hears of it.
    services.register(&site.person("ada")).await.ok(201);

    // Redis comes back knowing nothing.
    site.redis.restart().await.unwrap();
    until_known(async || services.beat(&seat).await).await.ok(200);
    let other = services.acquire(&ask).await.ok(201);
    assert_ne!(other["seat"], seat["seat"]);
    services.acquire(&site.ask("c")).await.is(409, "no_seats_available");
    services.release(&seat).await.ok(200);
    assert_eq!(site.held().await, (1, 1));
}

#[tokio::test]
async fn with_a_redis_that_is_silent_every_call_about_a_seat_is_503_in_time() {
    let mut site = Site::new(3).await;
    let services = site.services().await;
    let kept = services.acquire(&site.ask("a")).await.ok(201);
    let released = services.acquire(&site.ask("b")).await.ok(201);
    let (ask, before) = (site.ask("c"), site.written().await);
    site.redis.pause();
    let (look, silent) = (site.look(), async || services.get("acquire", "/health/ready").await.status == 503);
    // The pause takes effect when Redis' keeper has read it.
    while !silent().await {}
    let (a, v, h, r) = join!(
        services.acquire(&ask),
        services.post(VALIDATE, None, &look),
        services.beat(&kept),
        services.release(&released)
    );
    for answer in [a, v, h, r] {
        answer.away(SEATS);
    }
    assert_eq!(site.written().await, before);

    site.redis.resume();
    until_known(async || services.beat(&kept).await).await.ok(200);
    // The client of the first try repeats its attempt.
    let answer = services.acquire(&ask).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
    services.release(&released).await.ok(200);
    assert_eq!(site.held().await.1, 2, "the one that was released is over, whatever Redis heard of it");
}

#[tokio::test]
async fn with_the_records_away_who_has_a_seat_keeps_it_and_nobody_gets_one() {
    let mut site = Site::new(2).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    let (ask, before) = (site.ask("b"), site.written().await);
    site.postgres.kill().await;
    services.acquire(&ask).await.away(RECORDS);
    services.register(&site.person("ada")).await.away(RECORDS);
    services.beat(&seat).await.ok(200);
    services.post(VALIDATE, None, &site.look()).await.ok(200);

    site.postgres.restart().await.unwrap();
    assert_eq!(site.written().await, before, "nothing is half done");
    let first = until_known(async || services.acquire(&ask).await).await;
    assert!(matches!(first.status, 200 | 201), "{}", first.body);
    services.acquire(&site.ask("c")).await.is(409, "no_seats_available");
    services.beat(&seat).await.ok(200);
    services.register(&site.person("ada")).await.ok(201);
    assert_eq!(site.held().await, (2, 2), "one seat for the machine that asked twice");
}

#[tokio::test]
async fn a_release_that_the_records_did_not_hear_is_503_and_done_when_it_is_repeated() {
    let mut site = Site::new(1).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    let before = site.written().await;
    site.postgres.kill().await;
    services.release(&seat).await.away(RECORDS);
    services.release(&seat).await.away(RECORDS);

    site.postgres.restart().await.unwrap();
    assert_eq!(site.written().await, before);
    let first = until_known(async || services.release(&seat).await).await.ok(200);
    assert_eq!(services.release(&seat).await.ok(200), first);
    services.beat(&seat).await.is(410, "session_gone");
    services.acquire(&site.ask("b")).await.ok(201);
    assert_eq!(site.held().await, (1, 1));
}

#[tokio::test]
async fn a_machine_that_went_away_after_a_503_keeps_its_reservation_no_longer_than_a_lease() {
    let mut site = Site::new(1).await;
    let services = site.services().await;
    services.release(&services.acquire(&site.ask("a")).await.ok(201)).await.ok(200);
    site.postgres.kill().await;
    services.acquire(&site.ask("b")).await.away(RECORDS);
    site.postgres.restart().await.unwrap();
    assert_eq!(site.held().await, (0, 0), "the records never heard of it");
    site.pass_ttl();
    until_known(async || services.acquire(&site.ask("c")).await).await.ok(201);
}

#[tokio::test]
async fn with_the_records_away_a_cold_pool_stays_cold_and_strangers_leave_no_trace_in_redis() {
    let mut site = Site::new(1).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    let before = site.written().await;
    site.postgres.kill().await;
    site.redis.restart().await.unwrap();
    let (ask, look) = (site.ask("b"), site.look());
    let (a, v) = join!(services.acquire(&ask), services.post(VALIDATE, None, &look));
    a.away(RECORDS);
    v.away(RECORDS);
    assert!(site.kept().await.is_empty(), "only who shows a key that the records know may open a pool");
    services.beat(&seat).await.away(RECORDS);
    site.pass(2);
    services.release(&seat).await.away(RECORDS);
    let kept: Vec<String> = site.kept().await.into_keys().collect();
    assert!(kept.iter().all(|key| key.ends_with(":c")), "a rebuild is asked for and none is made: {kept:?}");

    site.postgres.restart().await.unwrap();
    assert_eq!(site.written().await, before);
    site.pass(2);
    until_known(async || services.beat(&seat).await).await.ok(200);
    services.acquire(&ask).await.is(409, "no_seats_available");
}

#[tokio::test]
async fn a_storm_on_a_cold_pool_names_the_store_that_is_away_to_everybody() {
    let mut site = Site::new(1).await;
    let services = site.services().await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    site.postgres.kill().await;
    site.redis.restart().await.unwrap();
    let beat = || services.beat(&seat);
    let (a, b, c, d, e, f) = join!(beat(), beat(), beat(), beat(), beat(), beat());
    for answer in [a, b, c, d, e, f] {
        answer.away(RECORDS);
    }
}

#[tokio::test]
async fn live_stays_200_and_ready_names_the_store_that_is_away() {
    let mut site = Site::new(1).await;
    let services = site.services().await;
    // (service, what it says with Redis away, with both away)
    let said = async |all: [(&str, &str, &str); 4]| {
        for (service, seats, records) in all {
            services.get(service, "/health/live").await.ok(200);
            let answer = services.get(service, "/health/ready").await;
            let stores = answer.body["stores"].clone();
            let state = |store: &str| stores[store].as_str().unwrap_or("none").to_owned();
            assert_eq!((state("seats"), state("records")), (seats.into(), records.into()), "{service}");
            match [seats, records].contains(&"unavailable") {
                true => answer.away(if seats == "unavailable" { SEATS } else { RECORDS }),
                false => assert_eq!((answer.status, &answer.body["ready"]), (200, &true.into())),
            }
        }
    };
    let operations = |seats, records| ["acquire", "heartbeat", "release"].map(|service| (service, seats, records));
    let all = |seats, records| {
        let [a, h, r] = operations(seats, records);
        [a, h, r, ("register", "none", records)]
    };
    said(all("ok", "ok")).await;
    site.redis.kill().await;
    said(all("unavailable", "ok")).await;
    site.postgres.kill().await;
    said(all("unavailable", "unavailable")).await;
    site.redis.restart().await.unwrap();
    site.postgres.restart().await.unwrap();
    for service in CLIENT_SERVICES {
        until_known(async || services.get(service, "/health/ready").await).await.ok(200);
    }
    said(all("ok", "ok")).await;
}

#[tokio::test]
async fn services_that_start_before_their_stores_are_live_and_serve_once_those_come() {
    let mut site = Site::new(1).await;
    join!(site.redis.stop(), site.postgres.stop());
    let services = site.services().await;
    for service in CLIENT_SERVICES {
        services.get(service, "/health/live").await.ok(200);
        assert_eq!(services.get(service, "/health/ready").await.status, 503);
    }
    let (ask, ada) = (site.ask("a"), site.person("ada"));
    services.acquire(&ask).await.away(SEATS);
    services.post(REGISTER, Some(&ada), &serde_json::json!({})).await.away(RECORDS);

    site.postgres.restart().await.unwrap();
    site.redis.restart().await.unwrap();
    let (seat, for_a_seat) = known_after(async || services.acquire(&ask).await).await;
    let seat = seat.ok(201);
    let (registered, to_register) = known_after(async || services.register(&ada).await).await;
    registered.ok(201);
    services.beat(&seat).await.ok(200);
    services.release(&seat).await.ok(200);
    println!("back after {for_a_seat} and {to_register} questions");
    assert!(for_a_seat + to_register <= 30, "asked {for_a_seat} and {to_register} times, ten times a second at most");
}

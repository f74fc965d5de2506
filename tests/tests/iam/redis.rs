//! Redis with `REDIS_AUTH=iam`, restricted like a managed server: it knows the commands that Memorystore for Valkey
//! documents as far as scripts of ours use them, and refuses every other one.

use super::instance;
use license_core::{
    Clock,
    access_token::AccessTokens,
    domain::{lease::LeaseTiming, rate::RateLimit},
    error::chain,
    protocol::{SeatProtocol, reap::SeatReaper},
    records::{DatabaseRole, Records},
    seat_store::{RedisAddress, SeatStore},
};
use license_tests::{
    World, client,
    managed::{self, ManagedRedis},
    tls::{Authority, free_port},
    tokens::TokenServer,
    world::Shape,
};
use std::{collections::BTreeSet, fs, path::Path, time::Duration};

/// A world whose Redis, once it is closed, lets `default` in by a token and over TLS alone.
struct Cloud {
    authority: Authority,
    port: u16,
    metadata: TokenServer,
    world: World,
    managed: ManagedRedis,
}

impl Cloud {
    async fn new(timing: LeaseTiming) -> Self {
        license_tests::process::http(); // has the TLS provider installed
        let (authority, port) = (Authority::new(), free_port());
        let world = World::shaped(Shape { seats: 2, redis: authority.redis(port), timing, ..Shape::default() }).await;
        let managed = ManagedRedis::of(&world, "ya29.first").await;
        Self { authority, port, metadata: TokenServer::giving("ya29.first").await, world, managed }
    }

    /// How many connections there ever were.
    async fn connections_ever(&mut self) -> u64 {
        let info = self.managed.ask("INFO stats").await;
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().trim().parse().unwrap()
    }

    fn tokens(&self) -> AccessTokens {
        AccessTokens::new(&self.metadata.url(), self.world.clock.clone())
    }

    fn seats(&self, ca: &str, tokens: AccessTokens) -> SeatStore {
        let url = format!("rediss://127.0.0.1:{}", self.port);
        let address = RedisAddress::new(&url, Some(ca), Some(tokens)).unwrap();
        SeatStore::at(address, self.world.replication_id, self.world.timing, self.world.clock.clone())
    }

    fn own_seats(&self) -> SeatStore {
        self.seats(&self.authority.pem(), self.tokens())
    }

    async fn protocol(&self) -> SeatProtocol {
        let world = &self.world;
        instance(self.own_seats(), world.service(), world.timing, world.clock.clone()).await
    }
}

#[test]
fn scripts_call_no_command_that_a_managed_server_might_not_know() {
    let called = regex::Regex::new(r"redis\.p?call\(\s*'([A-Z]+)'").unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/seat_store");
    let scripts = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = BTreeSet::new();
    for script in scripts.filter(|path| path.extension().is_some_and(|kind| kind == "lua")) {
        let text = fs::read_to_string(&script).unwrap();
        found.extend(called.captures_iter(&text).map(|call| call[1].to_owned()));
        let calls = text.matches("redis.call(").count() + text.matches("redis.pcall(").count();
        assert_eq!(calls, called.captures_iter(&text).count(), "{}: each names its command", script.display());
    }
    let known: BTreeSet<String> = managed::commands().into_iter().map(str::to_owned).collect();
    assert!(found.len() > 20, "{found:?}");
    assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn every_operation_passes_on_a_server_that_knows_the_documented_commands_alone() {
    let mut cloud = Cloud::new(LeaseTiming::default()).await;
    let world = &cloud.world;
    let (protocol, seats) = (cloud.protocol().await, cloud.own_seats());
    seats.ready().await.unwrap();
    let a = world.machine("a").seated(&protocol).await;
    let b = world.machine("b").seated(&protocol).await;
    world.machine("c").turned_away(&protocol).await;
    client::alive(&protocol, &a).await;
    client::release(&protocol, &b).await;
    let c = world.machine("c").seated(&protocol).await;
    // Redis lost everything: what holds a seat keeps it.
    cloud.managed.exec("FLUSHALL").await;
    client::alive(&protocol, &a).await;
    client::alive(&protocol, &c).await;
    // A silent holder loses its seat to the reaper.
    world.pass_ttl();
    world.pass_ttl();
    let reaper =
        SeatReaper::new(seats.clone(), Records::with(world.database.clone(), DatabaseRole::Reaper, 2), world.timing);
    let mut ended = 0;
    for share in reaper.shares().await.unwrap() {
        ended += reaper.sweep(&share).await.unwrap().seats;
    }
    assert!(ended > 0, "the reaper ends seats");
    world.machine("d").seated(&protocol).await;
    // Limits beside the pools.
    let limit = RateLimit::per_minute(1);
    for _ in 0..2 {
        seats.take_token("limit", "subject", limit).await.expect("it is answered");
    }
    seats.take_guess_token("limit", "subject", "tried", limit).await.expect("it is answered");
    seats.refund_guess_token("limit", "subject", "tried", limit).await.expect("it is answered");
    assert_eq!(cloud.managed.refused().await, BTreeSet::new(), "nothing was sent that the server does not know");
}

#[tokio::test]
async fn connections_log_in_with_the_token_of_the_day_and_a_refused_one_is_fetched_anew_once() {
    let young = LeaseTiming { max_connection_age: Duration::from_millis(20), ..LeaseTiming::default() };
    let mut cloud = Cloud::new(young).await;
    let tokens = cloud.tokens();
    let seats = cloud.seats(&cloud.authority.pem(), tokens);
    seats.ready().await.unwrap();
    cloud.managed.accept("ya29.second").await; // and the first is refused from now on
    cloud.metadata.give("ya29.second", 3600);
    // A connection that is open lives on, for as long as connections live.
    let so_far = cloud.connections_ever().await;
    while cloud.connections_ever().await < so_far + 5 {
        seats.ready().await.unwrap();
    }
    assert_eq!(cloud.metadata.asked().await, 2, "anew once, then kept");
    assert_eq!(cloud.managed.refused().await, ["auth AUTH".to_owned()].into());
    cloud.managed.accept("ya29.third").await; // and the metadata server still gives the second
    let error = loop {
        if let Err(error) = seats.ready().await {
            break error;
        }
    };
    let error = format!("{} {error:?}", chain(&error));
    assert!(error.contains("authentication failed") && !error.contains("ya29"), "{error}");
    assert_eq!(cloud.metadata.asked().await, 3, "once");
}

#[tokio::test]
async fn a_redis_with_a_certificate_of_another_authority_is_shown_no_token() {
    let mut cloud = Cloud::new(LeaseTiming::default()).await;
    let other = Authority::new().pem();
    let error = cloud.seats(&other, cloud.tokens()).ready().await.unwrap_err();
    assert!(chain(&error).to_string().contains("invalid peer certificate"), "{}", chain(&error));
    // Who connects is called `default` from the start; who logged in has sent a command.
    let clients = cloud.managed.ask("CLIENT LIST").await;
    let named = clients.lines().filter(|client| client.contains("user=default"));
    assert!(named.clone().all(|client| client.contains(" cmd=NULL ")), "{clients}");
    let both = format!("{other}{}", cloud.authority.pem());
    cloud.seats(&both, cloud.tokens()).ready().await.unwrap();
}

#[tokio::test]
async fn without_tokens_tls_alone_is_spoken_to_a_server_with_a_password() {
    let cloud = Cloud::new(LeaseTiming::default()).await;
    let url = format!("rediss://default:ya29.first@127.0.0.1:{}", cloud.port);
    let address = RedisAddress::new(&url, Some(&cloud.authority.pem()), None).unwrap();
    let seats = SeatStore::at(address, cloud.world.replication_id, LeaseTiming::default(), Clock::system());
    seats.ready().await.unwrap();
    assert_eq!(cloud.metadata.asked().await, 0);
}

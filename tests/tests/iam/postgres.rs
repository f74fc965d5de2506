//! PostgreSQL, with `DATABASE_AUTH=iam`.

use super::{ACCOUNT, instance};
use license_core::{
    access_token::AccessTokens,
    error::chain,
    records::{DatabaseRole, Records, RecordsAddress},
};
use license_local::stores::PostgresServer;
use license_tests::{
    World, client,
    tls::{Authority, superuser},
    tokens::TokenServer,
    world::Shape,
};
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

/// A world whose database is entered as an account that may act as `service`, by a token.
struct Cloud {
    authority: Authority,
    server: PostgresServer,
    metadata: TokenServer,
    world: World,
}

impl Cloud {
    async fn new() -> Self {
        license_tests::process::http(); // has the TLS provider installed
        let authority = Authority::new();
        let server = authority.postgres().await;
        let world = World::shaped(Shape { seats: 50, database: Some(server.superuser()), ..Shape::default() }).await;
        superuser(&server, format!("create role \"{ACCOUNT}\" login password 'ya29.first'")).await;
        superuser(&server, format!("grant service to \"{ACCOUNT}\"")).await;
        Self { authority, server, metadata: TokenServer::giving("ya29.first").await, world }
    }

    /// The server takes this token from now on, and the metadata server gives it.
    async fn rotate(&self, token: &str) {
        self.accept(token).await;
        self.metadata.give(token, 3600);
    }

    async fn accept(&self, token: &str) {
        superuser(&self.server, format!("alter role \"{ACCOUNT}\" password '{token}'")).await;
    }

    fn tokens(&self) -> AccessTokens {
        AccessTokens::new(&self.metadata.url(), self.world.clock.clone())
    }

    fn url(&self) -> String {
        let user = ACCOUNT.replace('@', "%40");
        format!("postgres://{user}@127.0.0.1:{}/license", self.server.superuser().get_port())
    }

    fn records(&self, ca: &str, tokens: AccessTokens) -> Records {
        let address = RecordsAddress::new(&self.url(), Some(ca), Some(tokens)).unwrap();
        Records::new(address, DatabaseRole::Service, 4)
    }

    fn own_records(&self) -> Records {
        self.records(&self.authority.pem(), self.tokens())
    }

    /// The connections of the account, by the process that serves each.
    async fn connections(&self) -> BTreeSet<i32> {
        let sql = "select pid from pg_stat_activity join pg_stat_ssl using (pid) where usename = $1 and ssl";
        let mut truth = PgConnection::connect_with(&self.server.superuser()).await.unwrap();
        sqlx::query_scalar(sql).bind(ACCOUNT).fetch_all(&mut truth).await.unwrap().into_iter().collect()
    }
}

#[tokio::test]
async fn the_operations_run_as_the_role_of_the_service_over_an_account_and_a_token() {
    let cloud = Cloud::new().await;
    let records = cloud.own_records();
    let (world, timing) = (&cloud.world, cloud.world.timing);
    let protocol = instance(world.seats(), records, timing, world.clock.clone()).await;
    let seat = world.machine("a").seated(&protocol).await;
    client::alive(&protocol, &seat).await;
    client::release(&protocol, &seat).await;
    assert!(!cloud.connections().await.is_empty(), "over TLS, as the account");
    assert_eq!(cloud.metadata.asked().await, 1, "one token for all of it");
    // The account itself may do nothing but be the service: it is no owner, and what it may not read it does not read.
    let address = RecordsAddress::new(&cloud.url(), Some(&cloud.authority.pem()), Some(cloud.tokens())).unwrap();
    let admin = Records::new(address, DatabaseRole::Admin, 1).ready().await.unwrap_err();
    assert!(chain(&admin).to_string().contains("permission denied to set role"), "{}", chain(&admin));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_tokens_change_under_load_open_connections_live_on_and_new_ones_use_the_new_token() {
    let cloud = Cloud::new().await;
    let world = &cloud.world;
    let protocol = instance(world.seats(), cloud.own_records(), world.timing, world.clock.clone()).await;
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|n| {
            let (protocol, machine, stop) = (protocol.clone(), world.machine(&format!("m{n}")), stop.clone());
            let rounds = rounds.clone();
            tokio::spawn(async move {
                while !stop.load(SeqCst) {
                    let seat = machine.restarted().seated(&protocol).await;
                    client::alive(&protocol, &seat).await;
                    client::release(&protocol, &seat).await;
                    rounds.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let more = async |n: usize| {
        let until = rounds.load(SeqCst) + n;
        while rounds.load(SeqCst) < until && clients.iter().all(|client| !client.is_finished()) {
            tokio::task::yield_now().await;
        }
    };
    more(20).await;
    for token in ["ya29.second", "ya29.third"] {
        let before = cloud.connections().await;
        cloud.rotate(token).await;
        world.clock.advance_ms(3_590_000); // the token before has ten seconds left: it is replaced
        more(20).await;
        let after = cloud.connections().await;
        assert!(before.is_subset(&after), "{before:?} live on: {after:?}");
        // Now they go, and the next ones must log in: only the new token lets them.
        superuser(
            &cloud.server,
            format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ACCOUNT}'"),
        )
        .await;
        more(20).await;
        let new = cloud.connections().await;
        assert!(!new.is_empty() && new.is_disjoint(&before), "{new:?} are new");
    }
    stop.store(true, SeqCst);
    for client in clients {
        client.await.expect("no client was ever refused");
    }
    assert_eq!(cloud.metadata.asked().await, 3);
    world.assert_no_drift().await;
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once_and_never_printed() {
    let cloud = Cloud::new().await;
    let tokens = cloud.tokens();
    tokens.token().await.unwrap();
    cloud.rotate("ya29.second").await; // before the first was old
    cloud.records(&cloud.authority.pem(), tokens.clone()).ready().await.unwrap();
    assert_eq!(cloud.metadata.asked().await, 2);
    cloud.accept("ya29.third").await; // and the metadata server still gives the second
    let error = cloud.records(&cloud.authority.pem(), tokens).ready().await.unwrap_err();
    let error = format!("{} {error:?}", chain(&error));
    assert!(error.contains("password authentication failed") && !error.contains("ya29"), "{error}");
    assert_eq!(cloud.metadata.asked().await, 3, "once");
}

#[tokio::test]
async fn a_login_that_stays_refused_has_a_token_fetched_twice_a_second_at_most() {
    let cloud = Cloud::new().await;
    let records = cloud.own_records();
    cloud.accept("ya29.second").await; // and the metadata server gives the first, whoever asks
    let started = Instant::now();
    for _ in 0..20 {
        records.ready().await.unwrap_err();
    }
    let (asked, most) = (cloud.metadata.asked().await, 2 + started.elapsed().as_millis() / 500);
    assert!(asked as u128 <= most, "asked {asked} times, and {most} are enough");
    cloud.accept("ya29.first").await;
    records.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_are_refused_at_the_same_time_share_one_new_token() {
    let cloud = Cloud::new().await;
    let tokens = cloud.tokens();
    tokens.token().await.unwrap();
    cloud.rotate("ya29.second").await;
    let address = RecordsAddress::new(&cloud.url(), Some(&cloud.authority.pem()), Some(tokens)).unwrap();
    let records = Records::new(address, DatabaseRole::Service, 16);
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let records = records.clone();
            tokio::spawn(async move { records.ready().await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(cloud.metadata.asked().await, 2);
}

#[tokio::test]
async fn while_no_token_is_to_be_had_open_connections_serve_and_a_new_login_says_why() {
    let cloud = Cloud::new().await;
    let records = cloud.own_records();
    records.ready().await.unwrap();
    cloud.metadata.give_none();
    cloud.world.clock.advance_ms(3_700_000); // the token is over
    records.ready().await.unwrap();
    let error = cloud.own_records().ready().await.unwrap_err();
    assert!(chain(&error).to_string().contains("no access token from the metadata server"), "{}", chain(&error));
    cloud.accept("ya29.second").await;
    superuser(
        &cloud.server,
        format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ACCOUNT}'"),
    )
    .await;
    let error = records.ready().await.unwrap_err();
    assert!(chain(&error).to_string().contains("no access token from the metadata server"), "{}", chain(&error));
    cloud.metadata.give("ya29.second", 3600);
    // A failed request rests for half a second before the next one.
    while records.ready().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_with_a_certificate_of_another_authority_is_shown_no_token() {
    let cloud = Cloud::new().await;
    let other = Authority::new().pem();
    let error = cloud.records(&other, cloud.tokens()).ready().await.unwrap_err();
    assert!(chain(&error).to_string().contains("invalid peer certificate"), "{}", chain(&error));
    assert_eq!(cloud.connections().await, BTreeSet::new());
    // Several certificates are as good as each: a CA that is replaced is trusted beside its successor.
    let both = format!("{other}{}", cloud.authority.pem());
    cloud.records(&both, cloud.tokens()).ready().await.unwrap();
    // And one that has no TLS at all.
    superuser(&cloud.server, "alter system set ssl = off").await;
    superuser(&cloud.server, "select pg_reload_conf()").await;
    let error = loop {
        match cloud.own_records().ready().await {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(chain(&error).to_string().contains("does not support TLS"), "{}", chain(&error));
}

#[test]
fn no_public_authority_is_trusted_for_a_store() {
    // What is linked under this name, into sqlx and redis alike, is the crate of ours: there is one, of no registry.
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap();
    let packages: Vec<_> = lock.split("\n\n").filter(|text| text.contains("name = \"webpki-roots\"\n")).collect();
    assert_eq!(packages.len(), 1, "{packages:?}");
    assert!(!packages[0].contains("source = "), "{}", packages[0]);
    let code = include_str!("../../../core/webpki-roots/src/lib.rs");
    assert!(code.contains("TLS_SERVER_ROOTS: &[TrustAnchor<'static>] = &[];"));
}

//! The shipped binaries, told to use access tokens for both stores.

use super::ACCOUNT;
use license_local::stores::PostgresServer;
use license_tests::{
    World,
    managed::ManagedRedis,
    process::{self, Function},
    tls::{Authority, free_port, superuser},
    tokens::TokenServer,
    world::Shape,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Instant,
};
use tempfile::TempDir;

/// Stores that are entered by a token, and what a service is told of them.
struct Cloud {
    server: PostgresServer,
    metadata: TokenServer,
    world: World,
    dir: TempDir,
    variables: BTreeMap<String, String>,
    managed: ManagedRedis,
}

impl Cloud {
    async fn new() -> Self {
        process::http(); // has the TLS provider installed
        let (authority, port) = (Authority::new(), free_port());
        let server = authority.postgres().await;
        let (redis, clock) = (authority.redis(port), license_core::Clock::system());
        let shape = Shape { redis, clock, database: Some(server.superuser()), ..Shape::default() };
        let world = World::shaped(shape).await;
        superuser(&server, format!("create role \"{ACCOUNT}\" login password 'ya29.first'")).await;
        superuser(&server, format!("grant service to \"{ACCOUNT}\"")).await;
        let metadata = TokenServer::giving("ya29.first").await;
        let dir = tempfile::tempdir().unwrap();
        let mut variables = process::variables(&world, dir.path()).await;
        let user = ACCOUNT.replace('@', "%40");
        let database = format!("postgres://{user}@127.0.0.1:{}/license", server.superuser().get_port());
        variables.extend(
            [
                ("DATABASE_URL", database),
                ("DATABASE_AUTH", "iam".into()),
                ("DATABASE_CA", authority.pem()),
                ("REDIS_URL", format!("rediss://127.0.0.1:{port}")),
                ("REDIS_AUTH", "iam".into()),
                ("REDIS_CA", authority.pem()),
                ("GCE_METADATA_HOST", metadata.host()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let managed = ManagedRedis::of(&world, "ya29.first").await;
        Self { server, metadata, world, dir, variables, managed }
    }

    async fn rotate(&mut self, token: &str) {
        superuser(&self.server, format!("alter role \"{ACCOUNT}\" password '{token}'")).await;
        self.managed.accept(token).await;
        self.metadata.give(token, 3600);
    }

    /// Ends every connection to both stores.
    async fn cut(&mut self) {
        let sql = format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ACCOUNT}'");
        superuser(&self.server, sql).await;
        self.managed.exec("CLIENT KILL TYPE normal SKIPME yes").await;
    }

    async fn acquire(&self, service: &Function, machine: &str) -> u16 {
        acquire(&self.world, service, machine).await
    }
}

/// How the service answers a machine that asks for a seat of the world's license.
async fn acquire(world: &World, service: &Function, machine: &str) -> u16 {
    let key = world.license.key.reveal();
    let wish = json!({"license_key": key, "hardware_id": machine, "attempt": uuid::Uuid::new_v4()});
    let url = format!("{}/api/v1/licenses/acquire", service.url);
    process::http().post(url).json(&wish).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_service_gives_seats_by_tokens_that_change_and_writes_none_of_them_to_its_log() {
    let mut cloud = Cloud::new().await;
    cloud.variables.insert("RUST_LOG".into(), "trace".into());
    let service = Function::start("acquire", &cloud.variables, cloud.dir.path()).await;
    assert_eq!(cloud.acquire(&service, "machine-a").await, 201);
    for (token, machine) in [("ya29.second", "machine-b"), ("ya29.third", "machine-c")] {
        cloud.rotate(token).await;
        assert_eq!(cloud.acquire(&service, machine).await, 201, "open connections live on");
        cloud.cut().await;
        assert_eq!(cloud.acquire(&service, machine).await, 201, "new ones use the new token");
    }
    let refused = cloud.managed.refused().await;
    assert_eq!(refused, BTreeSet::from(["auth AUTH".to_owned()]), "old tokens, and no command that is not documented");
    // And what is refused for good is said without it.
    cloud.rotate("ya29.fourth").await;
    cloud.metadata.give("ya29.wrong", 3600);
    cloud.cut().await;
    assert_eq!(cloud.acquire(&service, "machine-d").await, 503);
    let log = service.log();
    assert!(log.contains("authentication failed"), "the log says why:\n{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("ya29")).collect();
    assert_eq!(lines, Vec::<&str>::new());
    assert!(service.stop().await);
}

#[tokio::test]
async fn a_variable_that_the_driver_would_read_by_itself_stops_a_service_and_is_named() {
    let cloud = Cloud::new().await;
    for (name, value) in [
        // The name in the server's certificate is no address, so the connection would fail.
        ("PGSSLMODE", "verify-full"),
        ("PGSSLCERT", "/nowhere/client.pem"),
        ("PGOPTIONS", "-c default_transaction_deferrable=on"),
        ("PGPASSWORD", "of somebody else"),
        ("PGHOSTADDR", "203.0.113.1"),
    ] {
        let mut command = tokio::process::Command::new(process::binary("acquire"));
        command.env_clear().envs(&cloud.variables).env("PORT", "0").env(name, value).kill_on_drop(true);
        let output = tokio::time::timeout(std::time::Duration::from_secs(20), command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("acquire serves with {name}={value}")).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(&format!("{name} is set")), "{said}");
    }
}

/// How long from the start of a process to its first seat; printed for docs/decisions.
async fn cold_start(world: &World, variables: &BTreeMap<String, String>, dir: &Path, machine: &str) -> u128 {
    let began = Instant::now();
    let service = Function::launch("acquire", variables, dir);
    loop {
        let there = std::net::TcpStream::connect(service.url.trim_start_matches("http://"));
        if there.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(acquire(world, &service, machine).await, 201);
    began.elapsed().as_millis()
}

#[tokio::test]
async fn a_cold_start_with_tls_and_tokens_gives_a_seat_well_before_a_client_gives_up() {
    let cloud = Cloud::new().await;
    let world = World::shaped(Shape { clock: license_core::Clock::system(), ..Shape::default() }).await;
    let plain = process::variables(&world, cloud.dir.path()).await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for n in 0..10 {
        let machine = format!("machine-{}", n % 5);
        with.push(cold_start(&cloud.world, &cloud.variables, cloud.dir.path(), &machine).await);
        without.push(cold_start(&world, &plain, cloud.dir.path(), &machine).await);
    }
    with.sort_unstable();
    without.sort_unstable();
    println!("start to first seat, TLS and tokens: {with:?} ms; Unix sockets: {without:?} ms");
    assert!(with[5] < 5000, "{with:?}");
}

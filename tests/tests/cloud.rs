//! Each program with exactly the environment that `opentofu/functions.json` gives it in a cloud.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

use license_functions::{
    SERVICES,
    edge::config::{DefaultValue, MIGRATE_VARIABLES, VARIABLES},
};
use license_tests::{
    World,
    managed::ManagedRedis,
    process::{self, Function, binary},
    tls::{Authority, free_port, superuser},
    tokens::TokenServer,
    world::Shape,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

const KEY: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const VERSION: &str = "kms:projects/one/locations/us/keyRings/r/cryptoKeys/root/cryptoKeyVersions";

/// What a cloud's values look like. Nobody answers at the addresses.
fn values(ca: &str) -> BTreeMap<&'static str, String> {
    let key = |version| format!("{VERSION}/{version}");
    let values = [
        ("GOOGLE_CLOUD_PROJECT", "one"),
        ("DOCS_URL", "https://docs.example.com/license-server"),
        ("PUBLIC_URL", "https://licenses.example.com"),
        ("SECURITY_CONTACT", "mailto:security@example.com"),
        ("SECURITY_POLICY", "https://example.com/security"),
        ("LOG_LEVEL", "info"),
        ("TRUSTED_PROXIES", "2"),
        ("START_PATIENCE_SECONDS", "0"),
        ("DATABASE_URL", "postgres://someone%40one.iam@127.0.0.1:1/license"),
        ("DATABASE_AUTH", "iam"),
        ("DATABASE_CA", ca),
        ("DATABASE_POOL_SIZE", "4"),
        ("DATABASE_GRANTS", "license-acquire@one.iam=service,license-admin@one.iam=admin"),
        ("REDIS_URL", "rediss://127.0.0.1:1"),
        ("REDIS_AUTH", "iam"),
        ("REDIS_CA", ca),
        ("REDIS_REPLID_SOURCE", "script"),
        ("SEAT_TTL_SECONDS", "360"),
        ("SEAT_DRAIN_SECONDS", "45"),
        ("HEARTBEAT_SECONDS", "108"),
        ("HANDLE_KEY", KEY),
        ("LICENSE_PEPPER", KEY),
        ("HANDLE_KEY_PREVIOUS", "2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ("LICENSE_PEPPER_PREVIOUS", "2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ("WEBHOOK_KEY", KEY),
        ("WEBHOOK_KEY_PREVIOUS", "2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
        ("WEBHOOK_PROXY", "http://proxy.example.com:3128"),
        ("MAIL_URL", "smtps://someone:word@mail.example.com"),
        ("MAIL_FROM", "Licenses <license@example.com>"),
        ("MAIL_CA", ca),
        ("CONSOLE_URL", "https://licenses.example.com/console"),
        ("TOKEN_ISSUER", "https://licenses.example.com"),
        ("ROOT_KEY", &key(1)),
        ("ROOT_KEY_NEXT", &key(2)),
        ("RATE_ACQUIRE", "120/40"),
        ("RATE_LICENSE", "120/40"),
        ("RATE_UNKNOWN_KEYS", "10"),
        ("RATE_HEARTBEAT", "30"),
        ("RATE_REGISTER", "5"),
        ("RATE_CREDENTIALS", "10"),
        ("RATE_ADMIN", "60"),
        ("RATE_VENDOR", "600/240"),
        ("RATE_PEOPLE", "300/120"),
        ("IDENTITY_ISSUER", "https://securetoken.google.com/one"),
        ("IDENTITY_AUDIENCE", "one"),
        ("IDENTITY_JWKS_URL", "https://id.example.com/keys"),
        ("IDENTITY_TOKEN_SECONDS", "43200"),
        ("STAFF_IDENTITY_ISSUER", "https://accounts.google.com"),
        ("STAFF_IDENTITY_AUDIENCE", "staff"),
        ("STAFF_IDENTITY_JWKS_URL", "https://www.googleapis.com/oauth2/v3/certs"),
        ("STAFF_IDENTITY_TOKEN_SECONDS", "43200"),
        ("STAFF_ALLOWED_NETWORKS", "192.0.2.0/24"),
        ("STAFF_STEP_UP_MAX_AGE_SECONDS", "3600"),
        ("STAFF_STEP_UP_ACR_VALUES", "phr"),
        ("API_TOKEN_DAYS", "30"),
        ("PUSH_AUDIENCE", "https://reaper.example.com"),
        ("PUSH_EMAIL", "license-push@one.iam.gserviceaccount.com"),
        ("PUBSUB_PROJECT", "one"),
    ];
    values.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

/// A certificate of nobody.
async fn ca() -> String {
    let dir = tempfile::tempdir().unwrap();
    let (key, out) = (dir.path().join("key.pem"), dir.path().join("ca.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    openssl.args(["-subj", "/CN=a CA", "-keyout"]).arg(&key).arg("-out").arg(&out).stderr(Stdio::null());
    assert!(openssl.status().await.unwrap().success(), "openssl makes a certificate");
    std::fs::read_to_string(out).unwrap()
}

fn functions() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../opentofu/functions.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// The names in some lists of an entry.
fn names(entry: &Value, lists: &[&str]) -> BTreeSet<String> {
    let listed = lists.iter().filter_map(|list| entry[list].as_array()).flatten();
    listed.map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// What a service is given.
fn given(functions: &Value, service: &str) -> BTreeSet<String> {
    let row = &functions["functions"][service];
    let mut given = names(row, &["variables", "secrets", "optional_secrets"]);
    given.extend(names(&functions["every"], &["variables"]));
    for store in names(row, &["stores"]) {
        given.extend(names(&functions["stores"][store], &["variables"]));
    }
    given
}

/// What is wrong with the names that each program is given.
fn wrong_names(functions: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let named: BTreeSet<&str> = functions["functions"].as_object().unwrap().keys().map(String::as_str).collect();
    let services: BTreeSet<&str> = SERVICES.iter().map(|service| service.name).collect();
    wrong.extend(named.symmetric_difference(&services).map(|name| format!("{name} is in one list of services alone")));
    for service in named.intersection(&services) {
        let given = given(functions, service);
        let read = |name: &str| VARIABLES.iter().any(|it| it.name == name && it.is_read_by(service));
        wrong.extend(given.iter().filter(|name| !read(name)).map(|name| format!("{service} does not read {name}")));
        let required = VARIABLES.iter().filter(|it| it.default == DefaultValue::Required && it.is_read_by(service));
        let absent = required.filter(|variable| !given.contains(variable.name));
        wrong.extend(absent.map(|variable| format!("{service} is not given {}", variable.name)));
        let role = SERVICES.iter().find(|it| it.name == *service).unwrap().role.name();
        if functions["functions"][service]["database_role"] != role {
            wrong.push(format!("{service} connects as {role}"));
        }
        let stores = SERVICES.iter().find(|it| it.name == *service).unwrap().stores;
        let told = names(&functions["functions"][service], &["stores"]);
        if (told.contains("records"), told.contains("seats")) != (stores.has_records(), stores.has_seats()) {
            wrong.push(format!("{service} connects to {stores:?}"));
        }
    }
    for name in names(&functions["jobs"]["migrate"], &["variables"]) {
        if !MIGRATE_VARIABLES.contains(&name.as_str()) {
            wrong.push(format!("migrate does not read {name}"));
        }
    }
    wrong
}

#[test]
fn every_program_is_given_what_it_reads_and_nothing_else() {
    assert_eq!(wrong_names(&functions()), Vec::<String>::new(), "opentofu/functions.json");
}

#[test]
fn a_name_too_many_or_too_few_is_found() {
    let mut lie = functions();
    lie["functions"]["release"]["variables"] = serde_json::json!(["ROOT_KEY"]);
    lie["functions"]["heartbeat"]["secrets"] = serde_json::json!([]);
    lie["functions"]["notify"]["stores"] = serde_json::json!(["records", "seats"]);
    lie["jobs"]["migrate"]["variables"] = serde_json::json!(["PORT"]);
    let found = [
        "heartbeat is not given HANDLE_KEY",
        "release does not read ROOT_KEY",
        "migrate does not read PORT",
        "notify does not read REDIS_URL",
        "notify connects to Records",
    ];
    let wrong = wrong_names(&lie);
    assert!(found.iter().all(|it| wrong.contains(&(*it).to_owned())), "{wrong:?}");
}

/// The command with these variables, as Cloud Run starts it. Its metadata server is this machine, where nobody answers.
fn command(name: &str, variables: &BTreeMap<String, String>, platform: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_clear().envs(variables).env(platform, name).env("PORT", "0").env("GCE_METADATA_HOST", "127.0.0.1:1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn ended(mut command: Command) -> Output {
    let output = tokio::time::timeout(Duration::from_secs(30), command.output()).await;
    output.expect("it ends by itself").unwrap()
}

#[tokio::test]
async fn every_service_listens_with_what_it_is_given_and_names_what_is_taken_away() {
    let (functions, values) = (functions(), values(&ca().await));
    for service in SERVICES.iter().map(|service| service.name) {
        let value = |name: &String| {
            let value = values.get(name.as_str());
            (name.clone(), value.unwrap_or_else(|| panic!("the test has no value for {name}")).clone())
        };
        let variables: BTreeMap<String, String> = given(&functions, service).iter().map(value).collect();
        let mut child = command(service, &variables, "K_SERVICE").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("\"message\":\"listening\"") {
                    return true;
                }
            }
            false
        };
        let listens = tokio::time::timeout(Duration::from_secs(30), listens).await;
        child.start_kill().unwrap();
        let said = child.wait_with_output().await.unwrap().stderr;
        let said = String::from_utf8_lossy(&said);
        // The reaper of an image is built with the client for Cloud Pub/Sub. A build for tests may lack it, and says so
        // when it has read its own configuration.
        let lacks_client = service == "reaper" && said.contains("was built without the client for Cloud Pub/Sub");
        assert!(listens == Ok(true) || lacks_client, "{service}: {said}");

        let required = VARIABLES.iter().filter(|it| it.default == DefaultValue::Required && it.is_read_by(service));
        // Both CAs because of the logins by access token; the others have no default on Cloud Run.
        let besides = ["DATABASE_CA", "REDIS_CA", "DATABASE_AUTH", "REDIS_AUTH", "TRUSTED_PROXIES"];
        let besides = besides.into_iter().filter(|name| variables.contains_key(*name));
        for name in required.map(|variable| variable.name).chain(besides) {
            let mut less = variables.clone();
            less.remove(name);
            if name == "TOKEN_ISSUER" {
                less.remove("PUBLIC_URL"); // which takes its place
            }
            let output = ended(command(service, &less, "K_SERVICE")).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(name), "{service} without {name}: {said}");
        }
    }
}

#[tokio::test]
async fn the_job_of_the_schema_reads_what_it_is_given_and_names_what_is_taken_away() {
    let (functions, values) = (functions(), values(&ca().await));
    let given = names(&functions["jobs"]["migrate"], &["variables"]);
    let variables: BTreeMap<String, String> =
        given.iter().map(|name| (name.clone(), values[name.as_str()].clone())).collect();
    let said = |output: &Output| -> Value {
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(text.lines().last().expect("it says something")).unwrap()
    };
    for verb in ["up", "status", "grants", "after-restore"] {
        let mut run = command("migrate", &variables, "CLOUD_RUN_JOB");
        run.arg(verb);
        let output = ended(run).await;
        assert_eq!(output.status.code(), Some(3), "{verb}: nobody answers, and all else is right: {}", said(&output));
    }
    // Which verb names what is missing, or which default is as good as what a cloud says.
    let named = [
        ("after-restore", &["DATABASE_URL", "DATABASE_CA", "DATABASE_AUTH", "REDIS_URL", "REDIS_CA", "REDIS_AUTH"][..]),
        ("up", &["DATABASE_GRANTS"]),
        ("grants", &["DATABASE_GRANTS"]),
    ];
    let defaults = ["GOOGLE_CLOUD_PROJECT", "START_PATIENCE_SECONDS", "SEAT_TTL_SECONDS", "SEAT_DRAIN_SECONDS"];
    let mut tried: BTreeSet<String> = defaults.map(str::to_owned).into();
    for (verb, name) in named.iter().flat_map(|(verb, names)| names.iter().map(move |name| (verb, *name))) {
        let mut less = variables.clone();
        less.remove(name);
        tried.insert(name.to_owned());
        let mut run = command("migrate", &less, "CLOUD_RUN_JOB");
        run.arg(verb);
        let output = ended(run).await;
        let line = said(&output);
        assert!(output.status.code() == Some(2) && line["message"].as_str().unwrap().contains(name), "{name}: {line}");
    }
    for name in defaults {
        let mut less = variables.clone();
        less.remove(name);
        let mut run = command("migrate", &less, "CLOUD_RUN_JOB");
        run.arg("after-restore");
        let output = ended(run).await;
        assert_eq!(output.status.code(), Some(3), "without {name} nobody answers either: {}", said(&output));
    }
    assert_eq!(tried, given, "what opentofu/functions.json gives the job is tried");
}

/// The job and the services with exactly what they are given, on stores that are entered as the cloud's are: the
/// services over TLS, by a token, each as its own user with one low role; in Redis with documented commands alone.
#[tokio::test]
async fn every_program_serves_on_stores_with_the_manners_of_the_clouds() {
    process::http(); // has the TLS provider installed
    let (functions, authority, port) = (functions(), Authority::new(), free_port());
    let server = authority.postgres().await;
    let shape = Shape { redis: authority.redis(port), database: Some(server.superuser()), ..Shape::default() };
    let world = World::shaped(shape).await;
    let mut managed = ManagedRedis::of(&world, "ya29.first").await;
    let metadata = TokenServer::giving("ya29.first").await;
    let user = |entry: &Value| format!("{}@one.iam", entry["account"].as_str().unwrap());
    let rows = functions["functions"].as_object().unwrap().values().chain([&functions["jobs"]["migrate"]]);
    for entry in rows {
        superuser(&server, format!("create role \"{}\" login password 'ya29.first'", user(entry))).await;
    }
    // What Cloud SQL gives its administrators; who migrated first is the owner of what is there.
    let migrate = user(&functions["jobs"]["migrate"]);
    for sql in [
        "create role cloudsqlsuperuser nologin createrole createdb".to_owned(),
        "grant owner to cloudsqlsuperuser; grant service, reaper, notify, admin to cloudsqlsuperuser with admin option"
            .into(),
        format!("grant cloudsqlsuperuser to \"{migrate}\""),
    ] {
        superuser(&server, sql).await;
    }
    let grant = |entry: &Value| format!("{}={}", user(entry), entry["database_role"].as_str().unwrap());
    let grants: Vec<String> = functions["functions"].as_object().unwrap().values().map(grant).collect();
    let told = |names: BTreeSet<String>, entry: &Value| -> BTreeMap<String, String> {
        let mut values = values(&authority.pem());
        let at = server.superuser().get_port();
        values.insert("DATABASE_URL", format!("postgres://{}@127.0.0.1:{at}/license", user(entry).replace('@', "%40")));
        values.insert("DATABASE_GRANTS", grants.join(","));
        values.insert("REDIS_URL", format!("rediss://127.0.0.1:{port}"));
        let named = names.into_iter().map(|name| (name.clone(), values[name.as_str()].clone()));
        named.chain([("GCE_METADATA_HOST".to_owned(), metadata.host())]).collect()
    };
    let job = async |words: &[&str]| {
        let entry = &functions["jobs"]["migrate"];
        let mut run = command("migrate", &told(names(entry, &["variables"]), entry), "CLOUD_RUN_JOB");
        run.env("GCE_METADATA_HOST", metadata.host()).args(words);
        let output = ended(run).await;
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    };
    job(&["up"]).await;
    let dir = tempfile::tempdir().unwrap();
    let mut serving = Vec::new();
    for service in SERVICES.iter().map(|service| service.name) {
        let mut variables = told(given(&functions, service), &functions["functions"][service]);
        let more = if service == "reaper" {
            // A build for tests may lack the client for Cloud Pub/Sub, and Cloud Run is no place for another one.
            [("PUBSUB_BUS_URL", "http://127.0.0.1:1"), ("PUBSUB_BUS_TOKEN", "token")]
        } else {
            [("K_SERVICE", service), ("BIND_ADDRESS", "127.0.0.1")]
        };
        variables.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        serving.push(Function::start(service, &variables, dir.path()).await);
    }
    for service in serving {
        assert!(service.stop().await);
    }
    // The connection that is still there is the world's own, by which the test made its license.
    job(&["after-restore", "--force"]).await;
    assert_eq!(managed.refused().await, BTreeSet::new(), "nothing was sent that the server does not know");
}

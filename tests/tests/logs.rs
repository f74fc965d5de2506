//! What the services print: one Cloud Logging line for each request, and never a key, a handle or a token.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_tests::{
    World,
    process::{self, Function},
    world::Shape,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_whole_runs_output_names_every_request_and_shows_no_key_handle_or_token() {
    let world = World::shaped(Shape { seats: 1, clock: license_core::Clock::system(), ..Shape::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let mut variables = process::variables(&world, dir.path()).await;
    variables.insert("RUST_LOG".into(), "debug".into());
    variables.insert("GOOGLE_CLOUD_PROJECT".into(), "a-project".into());
    let acquire = Function::start("acquire", &variables, dir.path()).await;
    let heartbeat = Function::start("heartbeat", &variables, dir.path()).await;
    let release = Function::start("release", &variables, dir.path()).await;
    let client = process::http();
    let key = world.license.key.reveal();
    let hardware = "the-hardware-id-of-a-machine";
    let ask = |body: Value| client.post(format!("{}/api/v1/licenses/acquire", acquire.url)).json(&body).send();
    let with = |function: &Function, what: &str, handle: &str| {
        let url = format!("{}/api/v1/licenses/{what}", function.url);
        client
            .post(url)
            .bearer_auth(handle)
            .header("X-Cloud-Trace-Context", "105445aa7843bc8bf206b12000100000/1;o=1")
            .json(&json!({}))
            .send()
    };

    let body = json!({ "license_key": key, "hardware_id": hardware, "attempt": uuid::Uuid::new_v4(), "nonce": "a-nonce-of-16-or-more" });
    let seat: Value = ask(body.clone()).await.unwrap().json().await.unwrap();
    let handle = seat["session"].as_str().unwrap().to_owned();
    let mut secrets = vec![key.clone(), hardware.to_owned(), handle.clone()];
    secrets.extend(["token", "certificate"].map(|field| seat[field].as_str().unwrap().to_owned()));
    let mut other = body.clone();
    other["hardware_id"] = json!("another-machine");
    other["attempt"] = json!(uuid::Uuid::new_v4());
    assert_eq!(ask(other).await.unwrap().status(), 409);
    let wrong = license_core::domain::key::LicenseKey::draw(world.license.pool.license).reveal();
    let mut stranger = body.clone();
    stranger["license_key"] = json!(wrong);
    assert_eq!(ask(stranger).await.unwrap().status(), 401);
    secrets.push(wrong);
    let mut mistyped = body.clone();
    mistyped["license_key"] = json!(format!("{}A", &key[..39]));
    let mistyped_status = ask(mistyped).await.unwrap().status();
    assert!(mistyped_status == 422 || key.ends_with('A'), "{mistyped_status}");
    secrets.push(key[..39].to_owned());

    let beat: Value = with(&heartbeat, "heartbeat", &handle).await.unwrap().json().await.unwrap();
    secrets.push(beat["token"].as_str().unwrap().to_owned());
    let forged = format!("{}{}", &handle[..handle.len() - 2], if handle.ends_with("AA") { "BB" } else { "AA" });
    assert_eq!(with(&heartbeat, "heartbeat", &forged).await.unwrap().status(), 401);
    secrets.push(forged);
    assert_eq!(with(&release, "release", &handle).await.unwrap().status(), 200);
    assert_eq!(with(&heartbeat, "heartbeat", &handle).await.unwrap().status(), 410);

    let output = [acquire.log(), heartbeat.log(), release.log()].concat();
    for secret in &secrets {
        assert!(!output.contains(secret.as_str()), "the output shows {}…", &secret[..8]);
        // A part that is as good as the whole: the secret half of a key, the signature of a token.
        assert!(!output.contains(&secret[secret.len() / 2..]), "the output shows half of {}…", &secret[..8]);
    }
    let lines: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
    let requests: Vec<&Value> = lines.iter().filter(|line| line.get("httpRequest").is_some()).collect();
    let api = |line: &&&Value| line["httpRequest"]["requestUrl"].as_str().is_some_and(|url| url.contains("/api/v1/"));
    let named: Vec<&&Value> = requests.iter().filter(api).collect();
    assert_eq!(named.len(), 8, "one line a request: {output}");
    for line in &named {
        assert!(line["severity"].is_string() && line["time"].is_string() && line["request_id"].is_string(), "{line}");
    }
    let granted = named.iter().find(|line| line["httpRequest"]["status"] == 201).expect("the acquire");
    assert_eq!(granted["license"], world.license.pool.license.to_string());
    assert_eq!(granted["tenant"], world.license.tenant.to_string());
    let traced =
        named.iter().find(|line| line["httpRequest"]["requestUrl"].as_str().unwrap().ends_with("release")).unwrap();
    assert_eq!(traced["logging.googleapis.com/trace"], "projects/a-project/traces/105445aa7843bc8bf206b12000100000");
}

#[tokio::test]
async fn an_instance_says_once_a_minute_how_many_connections_it_has() {
    let world = World::shaped(Shape { clock: license_core::Clock::system(), ..Shape::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let variables = process::variables(&world, dir.path()).await;
    let acquire = Function::start("acquire", &variables, dir.path()).await;
    let lines = || -> Vec<Value> {
        let log = acquire.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["message"] == "connections of this instance").collect()
    };
    assert!(lines().is_empty(), "looks at its health are no requests");
    for _ in 0..3 {
        let body = json!({ "license_key": world.license.key.reveal() });
        let asked = process::http().post(format!("{}/api/v1/licenses/validate", acquire.url)).json(&body);
        assert_eq!(asked.send().await.unwrap().status(), 200);
    }
    let lines = lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0]["connections"].as_u64() >= Some(1) && lines[0]["idle"].is_u64(), "{lines:?}");
    assert!(lines[0]["redis_connects"].as_u64() >= Some(1), "{lines:?}");
    assert!(lines[0]["request_id"].is_string());
}

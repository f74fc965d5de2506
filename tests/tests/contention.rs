//! Many machines at once over TCP, on started binaries.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_tests::{
    World,
    process::{self, Function},
    world::Shape,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The answer to a machine. 503 is none: on a busy machine a thousand unoptimised requests may take longer than one may, and its client asks
/// again with the same attempt. Where the request before had been given a seat, it is told of that one with 200, which is the 201 that it
/// did not hear.
async fn answered(client: &reqwest::Client, url: &str, body: &Value) -> (u16, Value) {
    for tries in 1..=100 {
        let answer = client.post(url).json(body).send().await.unwrap();
        match answer.status().as_u16() {
            503 => {
                println!("503, and asked again");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            200 if tries > 1 => return (201, answer.json().await.unwrap()),
            status => return (status, answer.json().await.unwrap()),
        }
    }
    (503, Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_machines_at_once_on_three_instances_exactly_a_hundred_get_a_seat_ten_times_in_a_row() {
    let world = World::shaped(Shape { seats: 100, clock: license_core::Clock::system(), ..Shape::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let variables = process::variables(&world, dir.path()).await;
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(Function::start("acquire", &variables, dir.path()).await);
    }
    let client = process::http();
    let key = world.license.key.reveal();
    for round in 0..10 {
        let asks: Vec<_> = (0..1000)
            .map(|n| {
                let url = format!("{}/api/v1/licenses/acquire", instances[n % 3].url);
                let body = json!({
                    "license_key": key,
                    "hardware_id": format!("round-{round}-machine-{n}"),
                    "attempt": uuid::Uuid::new_v4(),
                });
                let client = client.clone();
                tokio::spawn(async move { answered(&client, &url, &body).await })
            })
            .collect();
        let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
        for ask in asks {
            *answers.entry(ask.await.unwrap().0).or_default() += 1;
        }
        println!("round {round}: {answers:?}");
        assert_eq!(answers, BTreeMap::from([(201, 100), (409, 900)]), "round {round}");
        assert_eq!(world.held().await.len(), 100);
        for seat in 0..100 {
            assert!(world.kick(seat, true).await);
        }
    }
    for instance in instances {
        assert!(instance.stop().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_starts_of_one_machine_at_once_are_thirty_times_201_and_one_seat() {
    let world = World::shaped(Shape { seats: 5, clock: license_core::Clock::system(), ..Shape::default() }).await;
    let dir = tempfile::tempdir().unwrap();
    let variables = process::variables(&world, dir.path()).await;
    let one = Function::start("acquire", &variables, dir.path()).await;
    let two = Function::start("acquire", &variables, dir.path()).await;
    let client = process::http();
    let key = world.license.key.reveal();
    let starts: Vec<_> = (0..30)
        .map(|n| {
            let url = format!("{}/api/v1/licenses/acquire", if n % 2 == 0 { &one.url } else { &two.url });
            let body = json!({ "license_key": key, "hardware_id": "the-one-machine", "attempt": uuid::Uuid::new_v4() });
            let client = client.clone();
            tokio::spawn(async move {
                let (status, answer) = answered(&client, &url, &body).await;
                (status, answer["seat"].clone())
            })
        })
        .collect();
    for start in starts {
        assert_eq!(start.await.unwrap(), (201, json!(0)));
    }
    assert_eq!(world.held().await.len(), 1);
    assert_eq!(world.count("select count(*) from sessions where ended_at is null").await, 30);
}

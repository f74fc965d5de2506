//! Mail on one machine: without a mail server it is kept in the data directory and read at an address that is printed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_tests::{
    local::{Local, directory},
    process::{binary, http},
};
use serde_json::json;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_mail_is_read_at_the_address_that_is_printed_and_its_link_works() {
    let dir = directory();
    let local = Local::start_in(&binary("license-local"), dir.path(), &[("REAPER_PERIOD_SECONDS", "1")]);
    let client = http();
    let page = format!("{}/mail", local.endpoint("issuer"));
    let get = async |url: &str| client.get(url).send().await.unwrap().text().await.unwrap();
    assert!(get(&page).await.contains("Nothing was sent yet"));
    // It serves a moment before it says so.
    let began = Instant::now();
    while !local.said().contains(&format!("  mail           {page}")) {
        assert!(began.elapsed() < PATIENCE, "{}", local.said());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let options: PgConnectOptions = local.variables()["DATABASE_URL"].parse().unwrap();
    let mut truth = PgConnection::connect_with(&options.username("postgres")).await.unwrap();
    let data = json!({ "title": "Pool \"default\" is <full>", "lines": ["5 of 5 seats are taken."], "ended": false });
    let written: bool = sqlx::query_scalar("select write_mail(tenant_id, 'alert', user_id, 'alert/1', $1) from users")
        .bind(data)
        .fetch_one(&mut truth)
        .await
        .unwrap();
    assert!(written);
    let began = Instant::now();
    let list = loop {
        let list = get(&page).await;
        if list.contains("is &lt;full&gt;") {
            break list;
        }
        assert!(began.elapsed() < PATIENCE, "{list}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let link = list.split("<a href=\"").nth(1).unwrap().split('"').next().unwrap();
    let mail = get(&format!("{}{link}", local.endpoint("issuer"))).await;
    assert!(mail.contains("5 of 5 seats are taken."), "{mail}");
    let unsubscribe = mail.split("no more mail of this kind: ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(unsubscribe.starts_with(&local.endpoint("front")), "{unsubscribe}");
    assert!(client.post(unsubscribe).send().await.unwrap().text().await.unwrap().contains("Done"));
    let refused: i64 =
        sqlx::query_scalar("select count(*) from mail_refusals where refused").fetch_one(&mut truth).await.unwrap();
    assert_eq!(refused, 1);
    // Nobody but this machine reads them.
    let elsewhere = client.get(&page).header("host", "mail.example.com").send().await.unwrap();
    assert_eq!(elsewhere.status(), 421);
}

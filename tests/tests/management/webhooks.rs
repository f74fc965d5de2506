//! Webhooks: made, changed, tested, deleted; and what became of the events sent to them.

use crate::desk::{Answer, Desk};
use license_core::domain::access::{
    PersonRole::Member,
    Scope::{WebhooksRead, WebhooksWrite},
};
use serde_json::{Value, json};
use uuid::Uuid;

async fn run(desk: &Desk, sql: &'static str) {
    sqlx::query(sql).execute(&mut desk.world.truth().await).await.unwrap();
}

async fn text(desk: &Desk, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap()
}

const URL: &str = "https://hooks.example.com/license";

async fn ask_for(desk: &Desk, body: &Value) -> Answer {
    desk.post(&desk.at("/webhooks"), body).by(&desk.person("owner")).send().await
}

async fn make(desk: &Desk) -> String {
    let made = ask_for(desk, &json!({ "url": URL })).await.ok(201);
    desk.at(&format!("/webhooks/{}", made["id"].as_str().unwrap()))
}

async fn owner_does(desk: &Desk, path: &str, body: Value) -> Answer {
    desk.post(path, &body).by(&desk.person("owner")).send().await
}

#[tokio::test]
async fn a_webhook_shows_its_secret_once_and_is_an_admins() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Member).await;
    let made = ask_for(&desk, &json!({ "url": URL, "description": " chat ", "events": ["seat.denied"] })).await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let path = desk.at(&format!("/webhooks/{}", made["id"].as_str().unwrap()));
    let read = desk.get(&path).by(&desk.person("owner")).send().await.ok(200);
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("secret");
    assert_eq!(read, shown);
    assert_eq!(
        (&read["description"], &read["events"], &read["status"]),
        (&json!("chat"), &json!(["seat.denied"]), &json!("enabled"))
    );
    desk.get(&path).by(&desk.person("bob")).send().await.is(403, "insufficient_role");

    // Neither the row nor the audit log has it, and the row opens with the server's key alone.
    let kept = text(&desk, "select secret from webhooks").await;
    assert!(!kept.contains(&secret[6..]));
    let log = desk.audited().await;
    assert!(log.iter().all(|(_, _, entry)| !entry.to_string().contains(&secret[6..])), "{log:?}");
    assert_eq!(log.iter().filter(|(action, ..)| action == "webhook.created").count(), 1);
}

#[tokio::test]
async fn an_address_that_is_not_public_or_not_https_is_refused_and_named() {
    let desk = Desk::new().await;
    for url in [
        "http://hooks.example.com/",
        "https://hooks.example.com:8443/",
        "https://me:secret@hooks.example.com/",
        "https://169.254.169.254/computeMetadata/v1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://hooks.example.com/#part",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "",
    ] {
        assert_eq!(ask_for(&desk, &json!({ "url": url })).await.wrong(), ["url"], "{url}");
    }
    let both = ask_for(&desk, &json!({ "events": ["seat.taken"], "description": "x".repeat(201) })).await;
    assert_eq!(both.wrong(), ["url", "description", "events"]);
    assert_eq!(ask_for(&desk, &json!({ "url": URL, "events": ["usage", "usage"] })).await.wrong(), ["events"]);
    assert_eq!(desk.world.count("select count(*) from webhooks").await, 0);
    let path = make(&desk).await;
    let edit = desk.patch(&path, &json!({ "url": "https://10.0.0.1/" })).by(&desk.person("owner")).send().await;
    assert_eq!(edit.wrong(), ["url"]);
}

#[tokio::test]
async fn a_webhook_is_edited_stopped_and_deleted_and_the_log_says_so() {
    let desk = Desk::new().await;
    let (path, owner) = (make(&desk).await, desk.person("owner"));
    let edit = async |body: Value, tag: &str| desk.patch(&path, &body).by(&owner).header("if-match", tag).send().await;
    let first = desk.get(&path).by(&owner).send().await.etag();
    let edited = edit(json!({ "events": ["license.changed"], "enabled": false }), &first).await;
    let second = edited.etag();
    let edited = edited.ok(200);
    assert_eq!((&edited["status"], &edited["events"]), (&json!("disabled"), &json!(["license.changed"])));
    assert!(edited["stopped_at"].is_string());
    edit(json!({ "enabled": true }), &first).await.is(412, "precondition_failed");
    assert_eq!(edit(json!({ "enabled": false }), &second).await.etag(), second, "what changes nothing is no edit");

    // Paused by the server, for having failed for days: enabling it begins anew.
    run(&desk, "update webhooks set disabled_at = null, paused_at = now(), failing_since = now() - interval '5 days'")
        .await;
    assert_eq!(desk.get(&path).by(&owner).send().await.ok(200)["status"], "paused");
    let enabled = edit(json!({ "enabled": true }), "*").await.ok(200);
    assert_eq!(
        (&enabled["status"], &enabled["stopped_at"], &enabled["failing_since"]),
        (&json!("enabled"), &Value::Null, &Value::Null)
    );

    desk.delete(&path).by(&owner).send().await.ok(204);
    desk.delete(&path).by(&owner).send().await.is(404, "not_found");
    desk.get(&path).by(&owner).send().await.is(404, "not_found");
    assert_eq!(desk.get(&desk.at("/webhooks")).by(&owner).send().await.ok(200)["items"], json!([]));
    let log: Vec<_> = desk.audited().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(log, ["webhook.created", "webhook.edited", "webhook.edited", "webhook.deleted"]);
}

#[tokio::test]
async fn an_organization_has_twenty_webhooks_however_fast_they_are_made() {
    let desk = Desk::new().await;
    for _ in 0..19 {
        make(&desk).await;
    }
    let body = json!({ "url": URL });
    let (one, other) = tokio::join!(ask_for(&desk, &body), ask_for(&desk, &body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422], "{} {}", one.body, other.body);
    let first = desk.get(&desk.at("/webhooks")).by(&desk.person("owner")).send().await.ok(200);
    let path = desk.at(&format!("/webhooks/{}", first["items"][0]["id"].as_str().unwrap()));
    desk.delete(&path).by(&desk.person("owner")).send().await.ok(204);
    ask_for(&desk, &body).await.ok(201);
}

#[tokio::test]
async fn a_new_secret_leaves_the_old_one_for_a_day_or_as_long_as_said() {
    let desk = Desk::new().await;
    let path = make(&desk).await;
    let rotate = async |body: Value| owner_does(&desk, &format!("{path}/rotate-secret"), body).await;
    let columns = "select concat_ws(' ', secret, previous_secret, previous_until > now() + interval '23 hours')
        from webhooks";
    let before = text(&desk, "select secret from webhooks").await;
    let rotated = rotate(json!({})).await.ok(200);
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_"));
    assert!(rotated["old_secret_until"].is_string());
    let now = text(&desk, columns).await;
    assert!(now.ends_with(&format!("{before} t")) && !now.starts_with(&before), "{now}");
    let leaked = rotate(json!({ "old_valid_for_in": 0 })).await.ok(200);
    assert_eq!(leaked["old_secret_until"], Value::Null);
    assert_eq!(desk.world.count("select count(*) from webhooks where previous_secret is null").await, 1);
    assert_eq!(rotate(json!({ "old_valid_for_in": 604_801 })).await.wrong(), ["old_valid_for_in"]);
}

#[tokio::test]
async fn a_test_event_is_for_the_tested_webhook_and_a_stopped_one_has_none() {
    let desk = Desk::new().await;
    let (path, owner) = (make(&desk).await, desk.person("owner"));
    make(&desk).await;
    let tested = owner_does(&desk, &format!("{path}/test"), json!({})).await.ok(202);
    let event: Uuid = tested["event"].as_str().unwrap().parse().unwrap();
    desk.publish().await;
    let deliveries = desk.get(&format!("{path}/deliveries")).by(&owner).send().await.ok(200);
    let items = deliveries["items"].as_array().unwrap();
    let found = items.iter().find(|it| it["event"] == json!(event)).unwrap_or_else(|| panic!("{deliveries}"));
    assert_eq!(
        (&found["type"], &found["state"], &found["tries"]),
        (&json!("webhook.test"), &json!("waiting"), &json!(0))
    );
    let tests = "select count(*) from webhook_deliveries where kind = 'webhook.test'";
    assert_eq!(desk.world.count(tests).await, 1, "no other webhook gets it");

    desk.patch(&path, &json!({ "enabled": false })).by(&owner).send().await.ok(200);
    for call in ["test", &format!("deliveries/{event}/replay")] {
        owner_does(&desk, &format!("{path}/{call}"), json!({})).await.is(409, "conflict");
    }
    let span = json!({ "from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z" });
    owner_does(&desk, &format!("{path}/replay"), span).await.is(409, "conflict");
}

#[tokio::test]
async fn what_was_sent_and_answered_is_read_and_sent_again() {
    let desk = Desk::new().await;
    let (path, owner) = (make(&desk).await, desk.person("owner"));
    let event =
        owner_does(&desk, &format!("{path}/test"), json!({})).await.ok(202)["event"].as_str().unwrap().to_owned();
    desk.publish().await;
    run(
        &desk,
        "update webhook_deliveries set state = 'failed', tries = 10, next_at = null, finished_at = now(),
             attempts = '[{\"at\": \"2026-11-30T10:00:00Z\", \"outcome\": \"refused\", \"status\": 500, \"ms\": 31,
               \"answer\": \"out of order\"}]' where kind = 'webhook.test'",
    )
    .await;
    let at = format!("{path}/deliveries/{event}");
    let read = desk.get(&at).by(&owner).send().await.ok(200);
    assert_eq!((&read["state"], &read["tries"], &read["next_at"]), (&json!("failed"), &json!(10), &Value::Null));
    assert_eq!(read["attempts"][0]["answer"], "out of order");
    let sent: Value = serde_json::from_str(read["request"].as_str().unwrap()).unwrap();
    assert_eq!((&sent["type"], &sent["id"]), (&json!("webhook.test"), &json!(event)));
    assert_eq!(sent["organization_id"], json!(desk.tenant()));

    let failed = desk.get(&format!("{path}/deliveries?state=failed")).by(&owner).send().await.ok(200);
    assert_eq!(failed["items"].as_array().unwrap().len(), 1);
    owner_does(&desk, &format!("{at}/replay"), json!({})).await.ok(202);
    let again = desk.get(&at).by(&owner).send().await.ok(200);
    assert_eq!((&again["state"], &again["tries"]), (&json!("waiting"), &json!(0)));
    assert_eq!(again["attempts"].as_array().unwrap().len(), 1, "what was answered before is still there");

    // What waits for a later try is tried now, as soon as nobody is trying it.
    run(&desk, "update webhook_deliveries set tries = 4, next_at = now() + interval '5 hours'").await;
    owner_does(&desk, &format!("{at}/replay"), json!({})).await.ok(202);
    assert_eq!(desk.get(&at).by(&owner).send().await.ok(200)["tries"], 0);
    run(&desk, "update webhook_deliveries set tries = 1, next_at = now() + interval '50 seconds'").await;
    owner_does(&desk, &format!("{at}/replay"), json!({})).await.is(409, "conflict");
    assert_eq!(desk.get(&at).by(&owner).send().await.ok(200)["tries"], 1, "somebody is trying it");
    let unknown = format!("{path}/deliveries/{}", Uuid::nil());
    desk.get(&unknown).by(&owner).send().await.is(404, "not_found");
    owner_does(&desk, &format!("{unknown}/replay"), json!({})).await.is(404, "not_found");
}

#[tokio::test]
async fn the_events_of_a_span_that_were_missed_are_sent_again() {
    let desk = Desk::new().await;
    desk.publish().await;
    let (path, owner) = (make(&desk).await, desk.person("owner"));
    let replay = async |body: Value| owner_does(&desk, &format!("{path}/replay"), body).await;
    let all = json!({ "from": "2020-01-01T00:00:00Z", "to": "2040-01-01T00:00:00Z" });
    let events = desk.world.count("select count(*) from outbox where kind <> 'usage'").await;
    assert!(events > 0);
    let replayed = replay(all.clone()).await.ok(202);
    assert_eq!(replayed, json!({ "events": events, "next_cursor": null }), "events from before there was a webhook");
    assert_eq!(replay(all.clone()).await.ok(202)["events"], 0, "what waits is not sent twice");
    run(&desk, "update webhook_deliveries set state = 'delivered', next_at = null, finished_at = now()").await;
    assert_eq!(replay(all.clone()).await.ok(202)["events"], 0);
    let mut with_delivered = all;
    with_delivered["include_delivered"] = json!(true);
    assert_eq!(replay(with_delivered).await.ok(202)["events"], events);
    let backwards = json!({ "from": "2040-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z" });
    assert_eq!(replay(backwards).await.wrong(), ["to"]);
    assert_eq!(replay(json!({})).await.wrong(), ["from", "to"]);
    let csv = desk.get(&format!("{path}/deliveries")).by(&owner).header("accept", "text/csv").text().await;
    assert!(csv.body.as_str().unwrap().starts_with("at,event,finished_at,next_at,state,tries,type\r\n"), "{csv:?}");
}

#[tokio::test]
async fn a_script_has_a_scope_for_reading_webhooks_and_one_for_changing_them() {
    let desk = Desk::new().await;
    let path = make(&desk).await;
    let (reads, writes) =
        (desk.api_token(desk.tenant(), &[WebhooksRead]).await, desk.api_token(desk.tenant(), &[WebhooksWrite]).await);
    desk.get(&path).by(&reads).send().await.ok(200);
    desk.get(&path).by(&writes).send().await.is(403, "insufficient_scope");
    desk.patch(&path, &json!({ "enabled": false })).by(&reads).send().await.is(403, "insufficient_scope");
    desk.patch(&path, &json!({ "enabled": false })).by(&writes).send().await.ok(200);
}

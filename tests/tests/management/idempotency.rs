//! `Idempotency-Key`: the same request is done once and answered the same, and what it shows once is shown to nobody else.

use crate::desk::{Answer, Desk};
use license_core::domain::access::PersonRole::Admin;
use serde_json::{Value, json};

impl Desk {
    /// Asks for an API token with an idempotency key.
    async fn ask(&self, who: &str, key: &str, name: &str) -> Answer {
        let body = json!({ "name": name, "scopes": ["people:read"] });
        self.post(&self.at("/api-tokens"), &body).by(&self.person(who)).header("idempotency-key", key).send().await
    }

    /// How many tokens, audit rows about them, and kept keys there are.
    async fn done(&self) -> [i64; 3] {
        [
            self.world.count("select count(*) from api_tokens").await,
            self.world.count("select count(*) from audit_log where action = 'api_token.created'").await,
            self.world.count("select count(*) from idempotency_keys").await,
        ]
    }
}

#[tokio::test]
async fn the_same_request_is_done_once_and_answered_the_same_with_its_secret() {
    let desk = Desk::new().await;
    let first = desk.ask("owner", "k1", "a").await.ok(201);
    let again = desk.ask("owner", "k1", "a").await.ok(201);
    assert_eq!(first, again);
    assert!(first["secret"].as_str().unwrap().starts_with("cdt_live_"));
    assert_eq!(desk.done().await, [1, 1, 1]);
    let other = desk.ask("owner", "k2", "a").await.ok(201);
    assert_ne!(other["id"], first["id"], "another key is another wish");
    assert_eq!(desk.done().await, [2, 2, 2]);
    let invite = || {
        let body = json!({ "email": "grace@example.com", "role": "member" });
        desk.post(&desk.at("/invitations"), &body).by(&desk.person("owner")).header("idempotency-key", "k3").send()
    };
    let (first, again) = (invite().await.ok(201), invite().await.ok(201));
    assert_eq!(first, again);
    assert_eq!(first["state"], "open");
    assert_eq!(desk.world.count("select count(*) from invitations").await, 1);
    assert_eq!(desk.world.count("select count(*) from outbox where kind = 'invitation.created'").await, 1);
}

#[tokio::test]
async fn the_same_request_twice_at_once_is_done_once_and_the_second_waits_for_the_first() {
    let desk = Desk::new().await;
    // Both are under way before either can end: the first has the key and waits for the organization, the second waits for the first.
    let mut holding = desk.world.truth().await;
    let hold = "begin; select from organizations for update";
    sqlx::raw_sql(hold).execute(&mut holding).await.unwrap();
    let invite = || {
        let body = json!({ "email": "grace@example.com", "role": "member" });
        desk.post(&desk.at("/invitations"), &body).by(&desk.person("owner")).header("idempotency-key", "k").send()
    };
    let release = async {
        let waiting = "select count(*) from pg_stat_activity where usename = 'admin' and wait_event_type = 'Lock'
                       and datname = current_database()";
        while desk.world.count(waiting).await < 2 {
            tokio::task::yield_now().await;
        }
        sqlx::raw_sql("rollback").execute(&mut holding).await.unwrap();
    };
    let (a, b, ()) = tokio::join!(invite(), invite(), release);
    assert_eq!(a.ok(201), b.ok(201));
    assert_eq!(desk.world.count("select count(*) from invitations").await, 1);
    assert_eq!(desk.world.count("select count(*) from audit_log where action = 'person.invited'").await, 1);
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused_and_nothing_is_done() {
    let desk = Desk::new().await;
    desk.ask("owner", "k", "a").await.ok(201);
    desk.ask("owner", "k", "b").await.is(422, "idempotency_key_reused");
    let body = json!({ "name": "a", "scopes": ["people:read"] });
    let with = |path: &str| desk.post(&desk.at(path), &body).by(&desk.person("owner")).header("idempotency-key", "k");
    with("/api-tokens?x=1").send().await.is(422, "idempotency_key_reused");
    with("/api-tokens").header("if-match", "\"7\"").send().await.is(422, "idempotency_key_reused");
    let elsewhere = json!({ "email": "grace@example.com", "role": "member" });
    let elsewhere = desk.post(&desk.at("/invitations"), &elsewhere).by(&desk.person("owner"));
    elsewhere.header("idempotency-key", "k").send().await.is(422, "idempotency_key_reused");
    assert_eq!(desk.done().await, [1, 1, 1]);
    for wrong in ["", &"k".repeat(256)] {
        assert_eq!(desk.ask("owner", wrong, "a").await.wrong(), ["Idempotency-Key"]);
    }
    assert_eq!(desk.done().await, [1, 1, 1]);
    desk.ask("owner", &"k".repeat(255), "a").await.ok(201);
}

#[tokio::test]
async fn the_same_key_of_somebody_else_is_another_key() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    let ada = desk.ask("owner", "k", "a").await.ok(201);
    let bob = desk.ask("bob", "k", "a").await.ok(201);
    assert_ne!(ada["secret"], bob["secret"]);
    let body = json!({ "name": "a", "scopes": ["people:read"] });
    let staff = desk.post(&desk.at("/api-tokens"), &body).by(&desk.staff("vendor")).header("idempotency-key", "k");
    assert_ne!(staff.send().await.ok(201)["id"], bob["id"]);
    let other = desk.other("owner2").await;
    let theirs = desk.post(&format!("/api/v1/organizations/{}/api-tokens", other.tenant), &body);
    theirs.by(&desk.staff("vendor")).header("idempotency-key", "k").send().await.ok(201);
    assert_eq!(desk.done().await, [4, 4, 4]);
}

#[tokio::test]
async fn a_refused_request_does_not_take_the_key() {
    let desk = Desk::new().await;
    let ask = async |expires_at: &str| {
        let body = json!({ "name": "a", "scopes": ["people:read"], "expires_at": expires_at });
        desk.post(&desk.at("/api-tokens"), &body).by(&desk.person("owner")).header("idempotency-key", "k").send().await
    };
    assert_eq!(ask("2020-01-01T00:00:00Z").await.wrong(), ["expires_at"]);
    assert_eq!(ask("soon").await.wrong(), ["expires_at"]);
    assert_eq!(desk.done().await, [0, 0, 0]);
    ask("2999-01-01T00:00:00Z").await.ok(201);
    assert_eq!(desk.done().await, [1, 1, 1]);
}

#[tokio::test]
async fn what_was_shown_once_cannot_be_read_in_the_database() {
    let desk = Desk::new().await;
    let made = desk.ask("owner", "a-key-nobody-else-knows", "a").await.ok(201);
    let secret = made["secret"].as_str().unwrap();
    let outcome: String = sqlx::query_scalar("select outcome from idempotency_keys")
        .fetch_one(&mut desk.world.truth().await)
        .await
        .unwrap();
    assert!(!outcome.is_empty());
    for text in [secret, &secret[9 + 52..], "a-key-nobody-else-knows"] {
        assert_eq!(desk.found_in_the_records(text).await, Vec::<String>::new());
        let bytes = keys_decoded(&outcome);
        assert!(!bytes.windows(text.len()).any(|part| part == text.as_bytes()), "not behind its encoding either");
    }
}

fn keys_decoded(text: &str) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let desk = Desk::new().await;
    let age = async |hours: i32| {
        let sql = "update idempotency_keys set created_at = created_at - make_interval(hours => $1)";
        sqlx::query(sql).bind(hours).execute(&mut desk.world.truth().await).await.unwrap();
    };
    let first: Value = desk.ask("owner", "k", "a").await.ok(201);
    age(23).await;
    assert_eq!(desk.ask("owner", "k", "a").await.ok(201), first);
    age(1).await;
    let second = desk.ask("owner", "k", "b").await.ok(201);
    assert_ne!(second["id"], first["id"], "a new wish, and another one than before");
    assert_eq!(desk.done().await, [2, 2, 1], "in the place of the old one");
    assert_eq!(desk.ask("owner", "k", "b").await.ok(201), second);
}

#[tokio::test]
async fn what_nobody_can_ask_for_any_more_is_not_kept() {
    let desk = Desk::new().await;
    for key in ["k1", "k2", "k3"] {
        desk.ask("owner", key, key).await.ok(201);
    }
    let sql = "update idempotency_keys set created_at = created_at - interval '1 day'";
    sqlx::query(sql).execute(&mut desk.world.truth().await).await.unwrap();
    desk.ask("owner", "k4", "a").await.ok(201);
    assert_eq!(desk.done().await, [4, 4, 1], "of the keys only the last");
    desk.join(desk.tenant(), "bob", Admin).await;
    desk.ask("bob", "k5", "b").await.ok(201);
    assert_eq!(desk.done().await, [5, 5, 2], "what is not over stays, whoever asks");
}

#[tokio::test]
async fn a_key_and_a_token_are_the_same_with_the_quotes_and_blanks_they_were_pasted_with() {
    let desk = Desk::new().await;
    let first = desk.ask("owner", "0197-k", "a").await.ok(201);
    for key in ["\"0197-k\"", " 0197-k ", "'0197-k'", "`0197-k`\t"] {
        assert_eq!(desk.ask("owner", key, "a").await.ok(201), first, "{key}");
    }
    assert_eq!(desk.done().await, [1, 1, 1]);
    for key in ["", " ", "\"\""] {
        assert_eq!(desk.ask("owner", key, "a").await.wrong(), ["Idempotency-Key"], "{key:?}");
    }
    desk.ask("owner", "a b", "b").await.ok(201);
    let secret = first["secret"].as_str().unwrap();
    for bearer in [format!("\"{secret}\""), format!("{secret} "), secret.to_uppercase()] {
        desk.get(&desk.at("/people")).by(&bearer).send().await.ok(200);
    }
}

//! What an attacker who took the role of the sender over sees of webhooks, and what it can tell of deliveries; and the
//! functions about deliveries, called with the name of one tenant and the ids of another.

use super::{
    Two,
    statements::{DENIED, REFUSED, done, refused, told},
    takeover::taken_over,
    tenant_tables,
};
use license_core::records::DatabaseRole;
use license_tests::world::License;
use sqlx::PgConnection;

/// A webhook, an event of its organization, and the event's time as PostgreSQL writes it.
struct Sent {
    webhook: String,
    event: String,
    at: String,
}

impl Sent {
    /// A statement about this delivery.
    fn filled(&self, sql: &str) -> String {
        sql.replace("{webhook}", &self.webhook).replace("{event}", &self.event).replace("{at}", &self.at)
    }
}

const TAKE: &str = "select count(*) from take_deliveries('{tenant}', '{webhook}', null, 50, 60)";
const TAKE_OF_EVENT: &str = "select count(*) from take_deliveries('{tenant}', null, '{event}', 50, 60)";
const FINISH: &str = "select finish_delivery('{tenant}', '{webhook}', '{event}', '{at}', 1, 'https://example.com/', 'delivered', 200, 'ok', 12, null)";
const ENQUEUE: &str = "select enqueue_deliveries('{tenant}', '{event}', '{at}', 'seat.granted')";
const REPLAY: &str =
    "select replayed from replay_deliveries('{tenant}', '{webhook}', null, null, '{event}', false, null)";
const READ: &str = "select count(*) from read_event_of_delivery('{tenant}', '{webhook}', '{event}')";

/// A webhook of this organization, and the event of its seat.
async fn webhook(truth: &mut PgConnection, license: &License) -> Sent {
    let made = "insert into webhooks (tenant_id, webhook_id, url, secret, created_by)
        values ('{tenant}', gen_random_uuid(), 'https://a.example/', 'sealed', 'x') returning webhook_id::text";
    let event = "select id::text from outbox where tenant_id = '{tenant}' and kind = 'seat.granted'";
    let at = "select created_at::text from outbox where tenant_id = '{tenant}' and kind = 'seat.granted'";
    Sent {
        webhook: told(truth, made, license).await,
        event: told(truth, event, license).await,
        at: told(truth, at, license).await,
    }
}

async fn sent() -> (Two, PgConnection, [Sent; 2]) {
    let (two, notify) = taken_over(DatabaseRole::Notify).await;
    let mut truth = two.truth().await;
    let both = [webhook(&mut truth, &two.a).await, webhook(&mut truth, &two.b).await];
    (two, notify, both)
}

#[tokio::test]
async fn a_sender_that_was_taken_over_sees_which_webhooks_wait_and_no_other_table_or_column() {
    let (two, mut notify, [of_a, of_b]) = sent().await;
    for (license, sent) in [(&two.a, &of_a), (&two.b, &of_b)] {
        assert_eq!(told::<i32>(&mut notify, &sent.filled(ENQUEUE), license).await, 1);
    }
    done(&mut notify, "select set_config('app.tenant_id', '', false)", &two.a).await.unwrap();
    let waiting = "select count(*) from (select tenant_id, webhook_id, at, state, next_at from webhook_deliveries) w";
    assert_eq!(told::<i64>(&mut notify, waiting, &two.a).await, 2, "of every tenant");
    assert_eq!(told::<i64>(&mut notify, &of_a.filled(TAKE), &two.a).await, 1);
    assert_eq!(told::<String>(&mut notify, &of_a.filled(FINISH), &two.a).await, "delivered");
    done(&mut notify, "select set_config('app.tenant_id', '', false)", &two.a).await.unwrap();
    assert_eq!(told::<i64>(&mut notify, waiting, &two.a).await, 1, "and what waits alone");
    for table in tenant_tables(&mut two.truth().await).await {
        refused(&mut notify, &two.a, DENIED, &[&format!("select * from {table}")]).await;
    }
    let denied = [
        "select event_id from webhook_deliveries",
        "select kind from webhook_deliveries",
        "select attempts from webhook_deliveries",
        "select url, secret from webhooks",
        "select payload from outbox",
        "update webhook_deliveries set state = 'delivered', next_at = null, finished_at = now()",
        "update webhook_deliveries set next_at = now()",
        "delete from webhook_deliveries",
        "update webhooks set url = 'https://mine.example/'",
        "select * from find_license('{number}', '{}', 'default')",
        "select write_event('{tenant}', 'webhook.test', '{}')",
        "select write_deliveries('{tenant}', '{license}', now(), 'usage', null)",
        "select * from replay_deliveries('{tenant}', '{license}', null, null, '{license}', false, null)",
        "select mark_published('{}', '{}')",
        "select * from directory.locate_license('{number}')",
        "select history.step()",
    ];
    refused(&mut notify, &two.a, DENIED, &denied).await;
}

#[tokio::test]
async fn a_sender_that_was_taken_over_tells_of_deliveries_what_can_be_and_invents_none() {
    let (two, mut notify, [of_a, _]) = sent().await;
    let instead = |sql: &str, was: &str, is: &str| {
        assert!(sql.contains(was), "{was}");
        of_a.filled(&sql.replacen(was, is, 1))
    };
    // An event that is none, or that was another one.
    for (was, is) in [("'{event}'", "gen_random_uuid()"), ("'{at}'", "now()"), ("seat.granted", "seat.freed")] {
        assert_eq!(told::<i32>(&mut notify, &instead(ENQUEUE, was, is), &two.a).await, 0, "{is}");
    }
    assert_eq!(told::<i32>(&mut notify, &of_a.filled(ENQUEUE), &two.a).await, 1);
    assert_eq!(told::<i32>(&mut notify, &of_a.filled(ENQUEUE), &two.a).await, 0, "once");
    let nonsense = [
        instead(ENQUEUE, "'{at}'", "null"),
        instead(TAKE, "'{webhook}'", "null"),
        instead(TAKE, "null", "'{event}'"),
        instead(TAKE, "50", "51"),
        instead(TAKE, "50", "0"),
        instead(TAKE, "50", "null"),
        instead(TAKE, "60)", "9)"),
        instead(TAKE, "60)", "601)"),
        instead(FINISH, " 1,", " 0,"),
        instead(FINISH, "'delivered'", "null"),
        instead(FINISH, "'delivered'", "'Delivered!'"),
        instead(FINISH, "200", "99"),
        instead(FINISH, "200", "1000"),
        instead(FINISH, "12", "-1"),
        instead(FINISH, "12, null", "12, 0"),
        instead(FINISH, "12, null", "12, 259201"),
    ];
    let nonsense: Vec<&str> = nonsense.iter().map(String::as_str).collect();
    refused(&mut notify, &two.a, REFUSED, &nonsense).await;
    // A try that nobody made is no try.
    let finish = of_a.filled(FINISH);
    assert_eq!(told::<Option<String>>(&mut notify, &finish, &two.a).await, None, "nobody took it");
    assert_eq!(told::<i64>(&mut notify, &of_a.filled(TAKE), &two.a).await, 1);
    assert_eq!(told::<i64>(&mut notify, &of_a.filled(TAKE), &two.a).await, 0, "held");
    let second = instead(FINISH, " 1,", " 2,");
    assert_eq!(told::<Option<String>>(&mut notify, &second, &two.a).await, None, "another try");
    assert_eq!(told::<String>(&mut notify, &finish, &two.a).await, "delivered");
    assert_eq!(told::<Option<String>>(&mut notify, &finish, &two.a).await, None, "once");
    let kept = "select count(*) from webhook_deliveries where tenant_id = '{tenant}' and state = 'delivered'
        and jsonb_array_length(attempts) = 1";
    assert_eq!(told::<i64>(&mut two.truth().await, kept, &two.a).await, 1);
}

#[tokio::test]
async fn deliveries_with_one_tenant_and_anothers_webhook_or_event_are_none_and_change_nothing() {
    let (two, mut notify, [of_a, of_b]) = sent().await;
    assert_eq!(told::<i32>(&mut notify, &of_b.filled(ENQUEUE), &two.b).await, 1);
    let (mut admin, before) = (two.as_role(DatabaseRole::Admin).await, two.rows_of(&two.b).await);
    let crossed = [
        Sent { webhook: of_b.webhook.clone(), event: of_b.event.clone(), at: of_b.at.clone() },
        Sent { webhook: of_b.webhook.clone(), event: of_a.event.clone(), at: of_a.at.clone() },
        Sent { webhook: of_a.webhook.clone(), event: of_b.event.clone(), at: of_b.at.clone() },
    ];
    for sent in &crossed {
        if sent.event == of_b.event {
            assert_eq!(told::<i32>(&mut notify, &sent.filled(ENQUEUE), &two.a).await, 0);
            assert_eq!(told::<i64>(&mut notify, &sent.filled(TAKE_OF_EVENT), &two.a).await, 0);
        }
        assert_eq!(told::<i64>(&mut notify, &sent.filled(TAKE), &two.a).await, 0);
        assert_eq!(told::<Option<String>>(&mut notify, &sent.filled(FINISH), &two.a).await, None);
        assert_eq!(told::<i32>(&mut admin, &sent.filled(REPLAY), &two.a).await, 0);
        assert_eq!(told::<i64>(&mut admin, &sent.filled(READ), &two.a).await, 0);
    }
    assert_eq!(two.rows_of(&two.b).await, before);
    assert_eq!(told::<i64>(&mut admin, &of_b.filled(READ), &two.b).await, 1);
    assert_eq!(told::<i64>(&mut notify, &of_b.filled(TAKE_OF_EVENT), &two.b).await, 1, "as it was");
}

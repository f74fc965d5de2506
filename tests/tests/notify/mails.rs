//! What a mail server gets, what is written of its answers, and that nothing is sent twice.

use crate::{
    endpoint::{Endpoint, webhook_keys},
    smtp::{MailHost, Tls},
};
use license_core::{
    Clock,
    domain::{
        id::{TenantId, UserId, draw_uuid},
        mail::{MailKind, Unsubscription, seal_invitation},
    },
    mail::{MailSender, MailServer},
    records::{BegunMail, DatabaseRole, MailFate, Records},
};
use license_functions::notify::{MailLinks, MailTally, Mailer};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

const SUBJECT: &str = "Pool is full";

struct Post {
    endpoint: Endpoint,
    host: MailHost,
}

impl Post {
    async fn new(tls: Tls) -> Self {
        Self { endpoint: Endpoint::new().await, host: MailHost::start(tls) }
    }

    fn tenant(&self) -> TenantId {
        self.endpoint.tenant()
    }

    fn mailer_to(&self, url: &str, ca: Option<&str>) -> Mailer {
        let from = "Licenses <license@example.com>".parse().unwrap();
        let sender = MailSender::new(MailServer::parse(url).unwrap(), from, ca).unwrap();
        self.mailer_with(Some(sender))
    }

    fn mailer_with(&self, sender: Option<MailSender>) -> Mailer {
        let links = MailLinks { public_url: Some("https://licenses.example.com".into()), console_url: None };
        Mailer::new(self.endpoint.records.clone(), sender, webhook_keys(), links, Clock::system())
    }

    fn mailer(&self) -> Mailer {
        self.mailer_to(&self.host.url(), self.host.ca().as_deref())
    }

    /// A person with this address.
    async fn person(&self, email: &str) -> UserId {
        let user = UserId(draw_uuid());
        let sql = "insert into users (tenant_id, user_id, email, address, role) values ($1, $2, $3, $3, 'admin')";
        sqlx::query(sql)
            .bind(self.tenant().0)
            .bind(user.0)
            .bind(email)
            .execute(&mut self.endpoint.truth().await)
            .await
            .unwrap();
        user
    }

    async fn write(&self, user: UserId, key: &str) -> bool {
        let data = json!({ "title": SUBJECT, "lines": ["5 of 5 seats are taken."], "ended": false });
        let sql = "select write_mail($1, 'alert', $2, $3, $4)";
        let written = sqlx::query_scalar(sql).bind(self.tenant().0).bind(user.0).bind(key).bind(data);
        written.fetch_one(&mut self.endpoint.truth().await).await.unwrap()
    }

    /// State, outcome, tries, whether something is left of what it says.
    async fn row(&self, user: UserId) -> (String, Option<String>, i32, bool) {
        let sql = "select state, outcome, tries, data <> '{}' from mails where user_id = $1";
        sqlx::query_as(sql).bind(user.0).fetch_one(&mut self.endpoint.truth().await).await.unwrap()
    }

    async fn run(&self, sql: &str) {
        sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut self.endpoint.truth().await).await.unwrap();
    }

    /// As if the time of whatever waits had come.
    async fn make_due(&self) {
        self.run("update mails set next_at = now() where next_at is not null").await;
    }
}

fn tally(sent: usize, skipped: usize, unsent: usize) -> MailTally {
    MailTally { sent, skipped, unsent }
}

#[tokio::test]
async fn a_mail_is_written_once_sent_once_and_says_what_its_template_says() {
    let post = Post::new(Tls::None).await;
    let user = post.person("ada@example.com").await;
    assert!(post.write(user, "alert/1").await);
    assert!(!post.write(user, "alert/1").await, "it was written before");
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(1, 0, 0));
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(0, 0, 0));
    assert!(!post.write(user, "alert/1").await, "also when it was sent");

    let [mail] = &post.host.mails()[..] else { panic!("one mail") };
    assert_eq!((&mail["from"], &mail["to"]), (&json!("license@example.com"), &json!(["ada@example.com"])));
    let message = mail["message"].as_str().unwrap();
    let token = Unsubscription { tenant: post.tenant(), user, kind: MailKind::Alert }.token(&webhook_keys());
    for part in [
        SUBJECT,
        "Auto-Submitted: auto-generated",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Message-ID: <",
        "@example.com>",
        "multipart/alternative",
        token.as_str(),
    ] {
        assert!(message.contains(part), "{part} of {message}");
    }
    assert_eq!(post.row(user).await, ("sent".into(), Some("sent".into()), 1, false));
}

#[tokio::test]
async fn each_answer_of_a_server_has_its_outcome_and_none_brings_a_mail_twice() {
    let post = Post::new(Tls::None).await;
    let expected = [
        ("deferred@example.com", "waiting", "deferred", 0),
        ("deferred-data@example.com", "waiting", "deferred", 1),
        ("breaks@example.com", "waiting", "disconnected", 0),
        ("refused@example.com", "failed", "refused", 0),
        ("refused-data@example.com", "failed", "refused", 1),
        ("closes@example.com", "unknown", "no_answer", 1),
        ("no address", "failed", "address_invalid", 0),
        ("fine@example.com", "sent", "sent", 1),
    ];
    let mut users = Vec::new();
    for (email, ..) in expected {
        let user = post.person(email).await;
        assert!(post.write(user, "alert/1").await);
        users.push(user);
    }
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(1, 0, 7));
    for ((email, state, outcome, count), user) in expected.into_iter().zip(&users) {
        let waits = state == "waiting";
        assert_eq!(post.row(*user).await, (state.into(), Some(outcome.into()), 1, waits), "{email}");
        assert_eq!(post.host.count(email), count, "{email}");
    }
    // Before its time nothing is tried again, and after it what surely was not taken.
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(0, 0, 0));
    post.make_due().await;
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(0, 0, 3));
    for (email, times) in [("closes@example.com", 1), ("fine@example.com", 1), ("deferred-data@example.com", 2)] {
        assert_eq!(post.host.count(email), times, "{email}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_ten_seconds_and_only_what_it_was_handed_is_unknown() {
    let post = Post::new(Tls::None).await;
    let (hangs, silent) = (post.person("hangs@example.com").await, post.person("silent@example.com").await);
    for user in [hangs, silent] {
        post.write(user, "alert/1").await;
    }
    let began = Instant::now();
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(0, 0, 2));
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert_eq!(post.row(hangs).await, ("waiting".into(), Some("timed_out".into()), 1, true));
    assert_eq!(post.row(silent).await, ("unknown".into(), Some("no_answer".into()), 1, false));
    post.make_due().await;
    assert_eq!(post.host.count("silent@example.com"), 1);
}

#[tokio::test]
async fn over_tls_a_server_of_another_authority_or_without_the_password_gets_nothing() {
    for tls in [Tls::Starttls, Tls::Smtps] {
        let post = Post::new(tls).await;
        let user = post.person("ada@example.com").await;
        post.write(user, "alert/1").await;
        let (url, ca) = (post.host.url(), post.host.ca().unwrap());
        let other = MailHost::start(tls).ca().unwrap();
        let wrong = [
            (url.clone(), Some(other.as_str()), "unreachable"),
            (url.clone(), None, "unreachable"),
            (url.replace("localhost", "127.0.0.1"), Some(ca.as_str()), "unreachable"),
            (url.replace("secret%20word", "guessed"), Some(ca.as_str()), "not_authenticated"),
        ];
        for (tries, (url, ca, outcome)) in (1..).zip(wrong) {
            assert_eq!(post.mailer_to(&url, ca).send_due().await.unwrap(), tally(0, 0, 1), "{outcome}");
            assert_eq!(post.row(user).await, ("waiting".into(), Some(outcome.into()), tries, true));
            post.make_due().await;
        }
        assert_eq!(post.host.mails().len(), 0);
        assert_eq!(post.mailer().send_due().await.unwrap(), tally(1, 0, 0));
        assert_eq!(post.host.mails().len(), 1);
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_told_nothing_where_it_is_required() {
    let post = Post::new(Tls::None).await;
    let user = post.person("ada@example.com").await;
    post.write(user, "alert/1").await;
    let url = format!("smtp://127.0.0.1:{}?tls=required", post.host.port);
    assert_eq!(post.mailer_to(&url, None).send_due().await.unwrap(), tally(0, 0, 1));
    assert_eq!(post.row(user).await, ("waiting".into(), Some("unreachable".into()), 1, true));
    assert_eq!(post.host.mails().len(), 0);
}

#[tokio::test]
async fn while_no_server_is_there_mails_are_tried_over_a_day_and_then_given_up() {
    let post = Post::new(Tls::None).await;
    let user = post.person("ada@example.com").await;
    post.write(user, "alert/1").await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mailer = post.mailer_to(&format!("smtp://127.0.0.1:{port}"), None);
    for tries in 1..10 {
        assert_eq!(mailer.send_due().await.unwrap(), tally(0, 0, 1));
        assert_eq!(post.row(user).await, ("waiting".into(), Some("unreachable".into()), tries, true));
        post.make_due().await;
    }
    assert_eq!(mailer.send_due().await.unwrap(), tally(0, 0, 1));
    assert_eq!(post.row(user).await, ("failed".into(), Some("unreachable".into()), 10, false));
}

#[tokio::test]
async fn whoever_dies_before_a_mail_began_leaves_it_due_and_later_it_is_unknown() {
    let post = Post::new(Tls::None).await;
    let (early, late) = (post.person("early@example.com").await, post.person("late@example.com").await);
    for user in [early, late] {
        post.write(user, "alert/1").await;
    }
    let records = &post.endpoint.records;
    let taken = records.take_mails(post.tenant(), 50).await.unwrap();
    assert_eq!(taken.len(), 2);
    assert_eq!(records.take_mails(post.tenant(), 50).await.unwrap(), [], "held");
    let mut begun = None;
    for mail in &taken {
        let sql = "select user_id from mails where mail_id = $1";
        let user: Uuid =
            sqlx::query_scalar(sql).bind(mail.id).fetch_one(&mut post.endpoint.truth().await).await.unwrap();
        if user == late.0 {
            for _ in 0..2 {
                let sending = records.begin_mail(mail).await.unwrap();
                assert!(matches!(sending, BegunMail::Sending(_)), "also where the first answer was lost");
            }
            begun = Some(*mail);
        }
    }
    post.make_due().await;
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(1, 0, 0));
    assert_eq!((post.host.count("early@example.com"), post.host.count("late@example.com")), (1, 0));
    assert_eq!(post.row(late).await, ("unknown".into(), Some("interrupted".into()), 1, false));
    // Whoever had it was only late: what it knows counts, but it is not sent again.
    let begun = begun.unwrap();
    let again = MailFate::Again(Duration::from_secs(60));
    assert_eq!(records.finish_mail(&begun, again, "deferred").await.unwrap(), None);
    assert_eq!(records.finish_mail(&begun, MailFate::Sent, "sent").await.unwrap().as_deref(), Some("sent"));
    assert_eq!(records.finish_mail(&begun, MailFate::Failed, "refused").await.unwrap(), None, "once");
    assert!(matches!(records.begin_mail(&begun).await.unwrap(), BegunMail::Lost));
}

#[tokio::test]
async fn two_instances_at_once_send_each_mail_once() {
    let post = Post::new(Tls::None).await;
    let user = post.person("ada@example.com").await;
    let other = post.person("bob@example.com").await;
    for number in 0..15 {
        post.write(user, &format!("alert/{number}")).await;
        post.write(other, &format!("alert/{number}")).await;
    }
    let (one, two) = (post.mailer(), post.mailer());
    let (one, two) = tokio::join!(one.send_due(), two.send_due());
    assert_eq!(one.unwrap().sent + two.unwrap().sent, 30);
    assert_eq!((post.host.count("ada@example.com"), post.host.count("bob@example.com")), (15, 15));
}

#[tokio::test]
async fn nobody_is_sent_more_than_twenty_mails_a_day_nor_what_they_refused_nor_after_they_left() {
    let post = Post::new(Tls::None).await;
    let often = post.person("often@example.com").await;
    for number in 0..23 {
        post.write(often, &format!("alert/{number}")).await;
    }
    let (refuses, left) = (post.person("refuses@example.com").await, post.person("left@example.com").await);
    post.write(refuses, "alert/1").await;
    post.write(left, "alert/1").await;
    let admin = Records::with(post.endpoint.world.database.clone(), DatabaseRole::Admin, 1);
    for _ in 0..2 {
        admin.refuse_mail(post.tenant(), refuses, MailKind::Alert).await.unwrap();
    }
    post.run(&format!("update users set removed_at = now() where user_id = '{}'", left.0)).await;
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(20, 5, 0));
    assert_eq!(post.host.count("often@example.com"), 20);
    assert_eq!(post.host.mails().len(), 20);
    let sql = "select outcome, count(*) from mails where state = 'skipped' group by outcome order by outcome";
    let skipped: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&mut post.endpoint.truth().await).await.unwrap();
    let expected = [("no_recipient", 1), ("refused", 1), ("too_many", 3)];
    assert_eq!(skipped, expected.map(|(outcome, count)| (outcome.to_owned(), count)));
}

#[tokio::test]
async fn an_invitation_is_sent_with_its_secret_while_it_is_open_and_without_a_link_to_refuse_it() {
    let post = Post::new(Tls::None).await;
    let invitations = [(draw_uuid(), "open@example.com", "null"), (draw_uuid(), "over@example.com", "now()")];
    for (id, email, revoked) in invitations {
        post.run(&format!(
            "insert into invitations (tenant_id, invitation_id, email, address, role, secret_hash, invited_by, expires_at)
             values ('{}', '{id}', '{email}', '{email}', 'member', 'h', 'ada@example.com', now() + interval '1 day')",
            post.tenant()
        ))
        .await;
        let sealed = seal_invitation(&webhook_keys(), id, "cdi_0secret").unwrap();
        for _ in 0..2 {
            let sql = "select write_invitation_mail($1, $2, $3)";
            let written: String = sqlx::query_scalar(sql)
                .bind(post.tenant().0)
                .bind(id)
                .bind(&sealed)
                .fetch_one(&mut post.endpoint.truth().await)
                .await
                .unwrap();
            assert_eq!(written, "written");
        }
        post.run(&format!("update invitations set revoked_at = {revoked} where invitation_id = '{id}'")).await;
    }
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(1, 1, 0));
    let [mail] = &post.host.mails()[..] else { panic!("one mail") };
    let message = mail["message"].as_str().unwrap();
    assert!(message.contains("cdi_0secret") && message.contains("To: open@example.com"), "{message}");
    assert!(!message.contains("List-Unsubscribe"), "{message}");
    let sql = "select count(*) from mails where sealed is not null or data <> '{}'";
    let left: i64 = sqlx::query_scalar(sql).fetch_one(&mut post.endpoint.truth().await).await.unwrap();
    assert_eq!(left, 0, "nothing is left of the secret");
}

#[tokio::test]
async fn without_a_mail_server_mails_wait_for_a_day_and_no_longer() {
    let post = Post::new(Tls::None).await;
    let user = post.person("ada@example.com").await;
    post.write(user, "alert/1").await;
    let nowhere = post.mailer_with(None);
    assert_eq!(nowhere.send_due().await.unwrap(), tally(0, 0, 0));
    assert_eq!(post.row(user).await, ("waiting".into(), None, 0, true));
    post.run("update mails set next_at = next_at - interval '25 hours'").await;
    assert_eq!(nowhere.send_due().await.unwrap(), tally(0, 1, 0));
    assert_eq!(post.row(user).await, ("skipped".into(), Some("no_mail_server".into()), 0, false));
    assert_eq!(post.host.mails(), Vec::<Value>::new());
}

#[tokio::test]
async fn what_nobody_sent_for_three_days_is_sent_no_more() {
    let post = Post::new(Tls::None).await;
    let user = post.person("ada@example.com").await;
    post.write(user, "alert/1").await;
    post.run("update mails set at = at - interval '73 hours', next_at = next_at - interval '73 hours'").await;
    assert_eq!(post.mailer().send_due().await.unwrap(), tally(0, 0, 0));
    assert_eq!(post.row(user).await, ("skipped".into(), Some("too_late".into()), 0, false));
}

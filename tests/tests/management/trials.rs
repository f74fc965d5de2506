//! How many trials are given: as the vendor says for each product, in whatever spelling of a mailbox or an address of the internet.

use crate::{
    desk::{Answer, Desk},
    guesses::{NETWORK, OFFICE},
};
use license_core::{
    domain::{
        secret::{KeyRing, KeyVersion, Secret},
        trial::TrialLimit,
    },
    management::NewOrganization,
    records::VerifiedPerson,
    refusal::ChangeRefusal,
};
use license_tests::outcomes::refusal;
use serde_json::{Value, json};
use sqlx::Connection;
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

const PRODUCT: &str = "/api/v1/staff/products/coditect";

impl Desk {
    async fn policy(&self, trials: Value) -> Answer {
        let body = json!({ "registration_plan": "trial", "is_default": true, "trials": trials });
        self.call("PUT", PRODUCT).json(&body).by(&self.staff("vendor")).send().await
    }

    /// Registers as a new person of this mailbox, from an address of the internet.
    async fn trial(&self, subject: &str, email: &str, from: &str) -> Answer {
        let token = self.claims("customers", subject, |claims| claims["email"] = email.into());
        self.register(&token, &json!({})).header("x-forwarded-for", from).send().await
    }

    async fn made(&self) -> i64 {
        let sql = "select (select count(*) from organizations) + (select count(*) from licenses) + (select count(*) from users)
                   + (select count(*) from directory.identities) + (select count(*) from directory.trials)";
        self.world.count(sql).await
    }
}

#[tokio::test]
async fn a_mailbox_has_one_trial_however_its_address_is_written_and_its_owner_signs_in() {
    let desk = Desk::new().await;
    desk.trial("ada", "ada.l@gmail.com", OFFICE[0]).await.ok(201);
    desk.trial("bob", "bob@example.com", OFFICE[0]).await.ok(201);
    let before = desk.made().await;
    let spelled = [
        "ada.l@gmail.com",
        "ADA.L@GMAIL.COM",
        "adal+2@gmail.com",
        "a.d.a.l@googlemail.com",
        "Bob@Example.com",
        "bob+x@example.com",
    ];
    for (n, email) in spelled.iter().enumerate() {
        let body = desk.trial(&format!("again-{n}"), email, "192.0.2.1").await.is(409, "conflict");
        assert!(body["detail"].as_str().unwrap().contains("ask the vendor"), "{body}");
    }
    assert_eq!(desk.made().await, before, "nothing was made");
    // Who came before is known, and who is invited joins.
    desk.trial("ada", "ada.l@gmail.com", OFFICE[0]).await.ok(200);
    let secret = desk.invite("owner", "bob+x@example.com", "member").await.ok(201)["secret"].clone();
    let token = desk.claims("customers", "again-5", |claims| claims["email"] = "bob+x@example.com".into());
    desk.register(&token, &json!({ "invitation": secret })).send().await.ok(201);
    // Other mailboxes are others'.
    for (n, email) in ["b.ob@example.com", "bob@example.org", "ada@gmail.com"].iter().enumerate() {
        desk.trial(&format!("other-{n}"), email, OFFICE[0]).await.ok(201);
    }
}

#[tokio::test]
async fn a_vendor_limits_trials_by_domain_but_not_where_everybody_may_have_a_mailbox() {
    let desk = Desk::new().await;
    let put = desk.policy(json!({ "domain": 2 })).await.ok(200);
    assert_eq!(put["trials"], json!({ "mailbox": 1, "domain": 2, "network": null, "days": 365 }));
    desk.trial("a", "a@firm.example", OFFICE[0]).await.ok(201);
    desk.trial("b", "b@FIRM.example", OFFICE[0]).await.ok(201);
    for (n, email) in ["c@firm.example", "d@Firm.Example", "e@firm.example."].iter().enumerate() {
        let body = desk.trial(&format!("c-{n}"), email, "192.0.2.1").await.is(409, "conflict");
        assert!(body["detail"].as_str().unwrap().contains("your domain"), "{body}");
    }
    desk.trial("a", "a@firm.example", OFFICE[0]).await.ok(200);
    for n in 0..4 {
        desk.trial(&format!("g-{n}"), &format!("g{n}@gmail.com"), OFFICE[0]).await.ok(201);
    }
    desk.trial("h", "h@another.example", OFFICE[0]).await.ok(201);
    // A year later they are forgotten.
    let later = "update directory.trials set given_at = given_at - interval '366 days'";
    sqlx::query(later).execute(&mut desk.world.truth().await).await.unwrap();
    desk.trial("c-0", "c@firm.example", OFFICE[0]).await.ok(201);
}

#[tokio::test]
async fn a_vendor_limits_trials_by_network_in_whatever_spelling() {
    for place in [&OFFICE[..], &NETWORK[..]] {
        let desk = Desk::new().await;
        desk.policy(json!({ "network": 2 })).await.ok(200);
        for (n, from) in place.iter().take(2).enumerate() {
            desk.trial(&format!("p{n}"), &format!("p{n}@example.com"), from).await.ok(201);
        }
        for n in 2..2 + place.len() {
            let email = format!("p{n}@example.com");
            let body = desk.trial(&format!("p{n}"), &email, place[n % place.len()]).await.is(409, "conflict");
            assert!(body["detail"].as_str().unwrap().contains("network"), "{body}");
        }
        desk.trial("p2", "p2@example.com", "192.0.2.1").await.ok(201);
        desk.trial("p3", "p3@example.com", "2001:db8:0:1::1").await.ok(201);
    }
}

#[tokio::test]
async fn a_vendor_may_give_as_many_as_are_asked_for_and_what_is_no_trial_has_no_limit() {
    let desk = Desk::new().await;
    desk.policy(json!({ "mailbox": null })).await.ok(200);
    for n in 0..3 {
        desk.trial(&format!("p{n}"), "ada@example.com", OFFICE[0]).await.ok(201);
    }
    // What was given meanwhile counts once the policy is another.
    desk.policy(json!({ "mailbox": 3 })).await.ok(200);
    desk.trial("p3", "ada@example.com", OFFICE[0]).await.is(409, "conflict");
    let free = json!({ "tier": "free", "seats": 1 });
    desk.call("PUT", "/api/v1/staff/plans/free").json(&free).by(&desk.staff("vendor")).send().await.ok(201);
    let body = json!({ "registration_plan": "free", "is_default": true });
    desk.call("PUT", PRODUCT).json(&body).by(&desk.staff("vendor")).send().await.ok(200);
    for n in 3..6 {
        desk.trial(&format!("p{n}"), "ada@example.com", OFFICE[0]).await.ok(201);
    }
}

#[tokio::test]
async fn twenty_of_one_mailbox_at_once_get_one_trial() {
    let desk = Arc::new(Desk::new().await);
    let mut asking = JoinSet::new();
    for n in 0..20 {
        let desk = Arc::clone(&desk);
        asking.spawn(
            async move { desk.trial(&format!("p{n}"), &format!("ada+{n}@example.com"), OFFICE[0]).await.status },
        );
    }
    let mut answers = asking.join_all().await;
    answers.sort_unstable();
    assert_eq!((answers[0], &answers[1..]), (201, &[409; 19][..]));
}

#[tokio::test]
async fn who_asks_while_a_trial_is_being_given_waits_for_it_and_is_counted_with_it() {
    let desk = Desk::new().await;
    let (mut first, mut second) = (desk.world.truth().await, desk.world.truth().await);
    let take = || {
        let sql = "select directory.take_trial('coditect', $1, '{\"mailbox\": [\"a hash\"]}')";
        sqlx::query_scalar::<_, Option<String>>(sql).bind(Uuid::now_v7())
    };
    let mut giving = first.begin().await.unwrap();
    assert_eq!(take().fetch_one(&mut *giving).await.unwrap(), None);
    let asking = take();
    let asking = tokio::spawn(async move { asking.fetch_one(&mut second).await.unwrap() });
    let waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
                   where d.datname = current_database() and l.locktype = 'advisory' and not l.granted";
    while desk.world.count(waiting).await == 0 && !asking.is_finished() {
        tokio::task::yield_now().await;
    }
    giving.commit().await.unwrap();
    assert_eq!(asking.await.unwrap().as_deref(), Some("mailbox"));
}

#[tokio::test]
async fn a_trial_is_known_under_the_pepper_before_and_no_longer() {
    let desk = Desk::new().await;
    let key = |version: u8| KeyVersion { version, key: Secret::new(vec![version; 32]) };
    let register = async |subject: &str, peppers: KeyRing| {
        let new = NewOrganization {
            person: VerifiedPerson {
                issuer: "https://id.example.com".into(),
                subject: subject.into(),
                email: "ada@example.com".into(),
                name: None,
            },
            organization: "Ada's".into(),
            product: None,
            address: None,
            request_id: None,
            sign_in: Default::default(),
        };
        desk.world.management.register(&new, &peppers).await
    };
    let made = register("a", KeyRing { current: key(1), previous: None }).await;
    assert!(made.unwrap().created);
    let rotated = register("b", KeyRing { current: key(2), previous: Some(key(1)) }).await;
    assert_eq!(refusal(rotated), ChangeRefusal::TrialLimitReached(TrialLimit::Mailbox));
    let forgotten = register("c", KeyRing { current: key(2), previous: None }).await;
    assert!(forgotten.unwrap().created);
    let found = desk.found_in_the_records("ada@example.com").await;
    assert!(found.contains(&"users".to_owned()) && !found.iter().any(|table| table.contains("trials")), "{found:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_policy_is_named_and_what_is_not_said_has_its_default() {
    let desk = Desk::new().await;
    let read = async || desk.get(PRODUCT).by(&desk.staff("vendor")).send().await.ok(200)["trials"].clone();
    let default = json!({ "mailbox": 1, "domain": null, "network": null, "days": 365 });
    assert_eq!(read().await, default);
    for (trials, field) in [
        (json!({ "mailbox": 0 }), "trials.mailbox"),
        (json!({ "domain": "5" }), "trials.domain"),
        (json!({ "network": -1 }), "trials.network"),
        (json!({ "days": 0 }), "trials.days"),
        (json!({ "days": 36_501 }), "trials.days"),
        (json!({ "machine": 1 }), "trials"),
        (json!(5), "trials"),
        (json!([1]), "trials"),
    ] {
        assert_eq!(desk.policy(trials.clone()).await.wrong(), [field], "{trials}");
    }
    assert_eq!(read().await, default);
    let all = json!({ "mailbox": 2, "domain": 3, "network": 4, "days": 30 });
    desk.policy(all.clone()).await.ok(200);
    assert_eq!(read().await, all);
    desk.policy(json!(null)).await.ok(200);
    assert_eq!(read().await, default);
}

//! Invitations that are sent by mail, and the link by which a person is sent no more.

use crate::desk::Desk;
use license_core::{
    domain::{
        access::PersonRole,
        id::UserId,
        mail::{MailKind, Unsubscription, unseal_invitation},
        secret::KeyRing,
    },
    records::{BegunMail, DatabaseRole, Records},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// As the desk's services have them.
fn keys() -> KeyRing {
    KeyRing::single(vec![3; 32])
}

#[tokio::test]
async fn an_invitation_is_sent_by_mail_if_that_is_asked_for_and_its_secret_waits_sealed() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let count = "select count(*) from mails";
    let said = desk.invite("owner", "plain@example.com", "member").await.ok(201);
    assert!(said["how"].as_str().unwrap().contains("no mail is sent"), "{said}");
    let none: i64 = sqlx::query_scalar(count).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(none, 0);

    let wish = json!({ "email": "Grace@example.com", "role": "member", "send_mail": true });
    let path = desk.at("/invitations");
    let invite = || desk.post(&path, &wish).by(&owner).header("idempotency-key", "k1").send();
    let answer = invite().await.ok(201);
    assert_eq!(invite().await.ok(201), answer, "the same request is done once");
    assert!(answer["how"].as_str().unwrap().contains("A mail with it is sent"), "{answer}");
    let one: i64 = sqlx::query_scalar(count).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(one, 1);

    let notify = Records::with(desk.world.database.clone(), DatabaseRole::Notify, 1);
    let taken = notify.take_mails(desk.world.license.tenant, 50).await.unwrap();
    let BegunMail::Sending(mail) = notify.begin_mail(&taken[0]).await.unwrap() else { panic!("it is sent") };
    let invitation: Uuid = answer["id"].as_str().unwrap().parse().unwrap();
    assert_eq!((mail.kind, mail.invitation), (MailKind::Invitation, Some(invitation)));
    assert_eq!(mail.email.reveal(), "grace@example.com");
    assert_eq!((&mail.data["role"], &mail.data["invited_by"]), (&json!("member"), &json!("owner@example.com")));
    let sealed = mail.sealed.as_ref().unwrap().reveal();
    let secret = unseal_invitation(&keys(), invitation, sealed).unwrap();
    assert_eq!(secret.reveal(), answer["secret"].as_str().unwrap());
    assert!(!sealed.contains("cdi_"));
}

#[tokio::test]
async fn more_than_a_hundred_invitations_a_day_are_not_sent_and_then_nobody_is_invited() {
    let desk = Desk::new().await;
    let full = "insert into mails (tenant_id, mail_id, at, kind, invitation_id, key, data, state, next_at)
        select $1, gen_random_uuid(), now() - interval '1 hour', 'invitation', gen_random_uuid(), 'invitation', '{}',
          'waiting', now() from generate_series(1, 100)";
    let tenant = desk.world.license.tenant.0;
    sqlx::query(full).bind(tenant).execute(&mut desk.world.truth().await).await.unwrap();
    let wish = json!({ "email": "grace@example.com", "role": "member", "send_mail": true });
    let answer = desk.post(&desk.at("/invitations"), &wish).by(&desk.person("owner")).send().await;
    let problem = answer.is(409, "conflict");
    assert!(problem["detail"].as_str().unwrap().contains("send_mail"), "{problem}");
    let sql = "select count(*) from invitations where address = 'grace@example.com'";
    let invited: i64 = sqlx::query_scalar(sql).fetch_one(&mut desk.world.truth().await).await.unwrap();
    assert_eq!(invited, 0);
    desk.invite("owner", "grace@example.com", "member").await.ok(201);
}

#[tokio::test]
async fn the_link_in_a_mail_is_only_looked_at_by_get_and_followed_by_post_as_often_as_it_comes() {
    let desk = Desk::new().await;
    let tenant = desk.world.license.tenant;
    let sql = "select user_id from users where tenant_id = $1 order by user_id limit 1";
    let user: Uuid = sqlx::query_scalar(sql).bind(tenant.0).fetch_one(&mut desk.world.truth().await).await.unwrap();
    let token = Unsubscription { tenant, user: UserId(user), kind: MailKind::Alert }.token(&keys());
    let path = format!("/api/v1/mail/unsubscribe?token={token}");
    let refusals = async || {
        let sql = "select count(*) from mail_refusals where tenant_id = $1 and user_id = $2 and refused";
        let count: i64 =
            sqlx::query_scalar(sql).bind(tenant.0).bind(user).fetch_one(&mut desk.world.truth().await).await.unwrap();
        count
    };
    let shown = desk.get(&path).text().await;
    assert_eq!((shown.status, refusals().await), (200, 0));
    assert!(shown.body.as_str().unwrap().contains("<form method=\"post\">"), "{}", shown.body);
    let rules = shown.headers["content-security-policy"].to_str().unwrap();
    assert!(rules.starts_with("default-src 'none'"), "{rules}");
    for _ in 0..2 {
        assert_eq!(desk.post(&path, &json!("List-Unsubscribe=One-Click")).text().await.status, 200);
        assert_eq!(refusals().await, 1);
    }
    for wrong in ["", "?token=", "?token=nonsense", &format!("?token=B{}", &token[1..])] {
        let path = format!("/api/v1/mail/unsubscribe{wrong}");
        assert_eq!(desk.get(&path).text().await.status, 404, "{wrong}");
        assert_eq!(desk.post(&path, &json!({})).text().await.status, 404, "{wrong}");
    }
}

#[tokio::test]
async fn a_person_wants_mail_again_and_nobody_else_says_so_for_them() {
    let desk = Desk::new().await;
    let tenant = desk.tenant();
    let viewer = desk.join(tenant, "viewer", PersonRole::Viewer).await;
    let admins = desk.join(tenant, "admin", PersonRole::Admin).await;
    let path = desk.at(&format!("/people/{viewer}/mail"));
    let read = async |who: &str| desk.get(&path).by(&desk.person(who)).send().await;
    let put = async |who: &str, body: &Value| desk.call("PUT", &path).json(body).by(&desk.person(who)).send().await;
    let wants = |alert: bool| json!({ "alert": alert, "report": true });
    assert_eq!(read("viewer").await.ok(200), wants(true), "who said nothing wants all");

    let token = Unsubscription { tenant, user: viewer, kind: MailKind::Alert }.token(&keys());
    desk.post(&format!("/api/v1/mail/unsubscribe?token={token}"), &json!({})).text().await.ok(200);
    assert_eq!((read("viewer").await.ok(200), read("admin").await.ok(200)), (wants(false), wants(false)));
    for other in ["admin", "owner"] {
        assert_eq!(put(other, &wants(true)).await.is(403, "insufficient_role")["required"], "person", "{other}");
    }
    let staff = desk.call("PUT", &path).json(&wants(true)).by(&desk.staff("vendor")).send().await;
    staff.is(403, "insufficient_role");
    for _ in 0..2 {
        assert_eq!(put("viewer", &wants(true)).await.ok(200), wants(true));
    }
    assert_eq!(read("viewer").await.ok(200), wants(true));
    assert_eq!(put("viewer", &wants(false)).await.ok(200), wants(false));
    let audited: Vec<String> =
        desk.audited().await.into_iter().map(|(action, by, _)| format!("{action} {by}")).collect();
    let changed: Vec<&String> = audited.iter().filter(|it| it.starts_with("person.mail_changed")).collect();
    assert_eq!(changed, vec!["person.mail_changed person viewer@example.com"; 2], "what is so already is no change");

    let others = desk.at(&format!("/people/{}/mail", UserId(Uuid::nil())));
    desk.get(&others).by(&desk.person("viewer")).send().await.is(404, "not_found");
    assert_eq!(put("viewer", &json!({ "alert": "yes" })).await.wrong(), ["alert"]);
    assert_eq!(put("viewer", &json!({})).await.wrong(), ["alert"]);
    assert_eq!(put("viewer", &json!({ "alert": true, "report": 1 })).await.wrong(), ["report"]);
    let no_report = json!({ "alert": true, "report": false });
    assert_eq!(put("viewer", &no_report).await.ok(200), no_report);
    assert_eq!(put("viewer", &json!({ "alert": true })).await.ok(200), no_report, "what is not said stays");
    let of_admin = desk.get(&desk.at(&format!("/people/{admins}/mail"))).by(&desk.person("viewer")).send().await;
    of_admin.is(404, "not_found");
}

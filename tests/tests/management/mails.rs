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

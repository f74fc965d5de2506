//! What an attacker who took the role of the sender over sees of alert rules and can have judged, and the functions
//! about alerts, called with the name of one tenant and the ids of another.

use super::{
    statements::{DENIED, REFUSED, done, refused, told},
    takeover::taken_over,
};
use license_core::records::DatabaseRole;

const JUDGE: &str = "select raised from judge_alert_rule('{tenant}', '{rule}')";
const END: &str = "select end_alerts('{tenant}', '{rule}', 'rule_deleted')";

#[tokio::test]
async fn a_sender_that_was_taken_over_has_what_is_due_judged_and_sees_and_writes_nothing_of_it() {
    let (two, mut notify) = taken_over(DatabaseRole::Notify).await;
    let due = "select count(*) from (select tenant_id, rule_id, look_at from alert_rules) r";
    assert_eq!(told::<i64>(&mut notify, due, &two.a).await, 4, "two of each organization");
    let denied = [
        "select kind from alert_rules",
        "select description, mail_roles from alert_rules",
        "select * from alerts",
        "update alert_rules set look_at = now()",
        "insert into alerts (tenant_id, rule_id, kind, subject, since) values ('{tenant}', '{license}', 'x', '{pool}', now())",
        "select wake_alert_rules('{tenant}', '{license_ends}', null, null)",
        "select month_lines('{tenant}', null, '-infinity', 'infinity')",
        "select forget_alerts('{tenant}')",
        "select end_alerts('{tenant}', '{license}', 'rule_deleted')",
        "select write_mail('{tenant}', 'alert', '{license}', 'k', '{}')",
    ];
    refused(&mut notify, &two.a, DENIED, &denied).await;
    refused(&mut notify, &two.a, REFUSED, &["select * from judge_alert_rule('{tenant}', null)"]).await;
    refused(&mut notify, &two.a, REFUSED, &["select * from judge_alert_rule(null, '{license}')"]).await;
}

#[tokio::test]
async fn a_rule_with_another_tenants_name_is_none_and_nothing_of_it_is_judged_or_ended() {
    let (two, mut notify) = taken_over(DatabaseRole::Notify).await;
    let mut truth = two.truth().await;
    let rule = "select rule_id::text from alert_rules where tenant_id = '{tenant}' and kind = 'license_ends'";
    let of_b: String = told(&mut truth, rule, &two.b).await;
    let raised = "insert into alerts (tenant_id, rule_id, kind, subject, since) values ('{tenant}', '{rule}', 'license_ends', '{license}', now())";
    done(&mut truth, &raised.replace("{rule}", &of_b), &two.b).await.unwrap();
    let before = two.rows_of(&two.b).await;
    let mut admin = two.as_role(DatabaseRole::Admin).await;
    let judged = told::<Option<i32>>(&mut notify, &JUDGE.replace("{rule}", &of_b), &two.a).await;
    assert_eq!(judged, None);
    assert_eq!(told::<i32>(&mut admin, &END.replace("{rule}", &of_b), &two.a).await, 0);
    assert_eq!(two.rows_of(&two.b).await, before);
    refused(&mut admin, &two.b, REFUSED, &["select end_alerts('{tenant}', '{license}', 'back_to_normal')"]).await;
    assert_eq!(told::<Option<i32>>(&mut notify, &JUDGE.replace("{rule}", &of_b), &two.b).await, Some(0), "its own");
}

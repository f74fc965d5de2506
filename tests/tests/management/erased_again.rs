//! An entry of the audit log that several erasures blank, and that the owner of the database may have changed in
//! between.

use crate::{desk::Desk, traces::found};
use license_core::domain::access::PersonRole::Admin;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};

/// What an erasure left has no secret in it: whoever owns the database hashes it anew, and lacks the seal alone. So no later erasure may give
/// it one.
#[tokio::test]
async fn no_erasure_makes_good_what_was_changed_after_an_earlier_one() {
    let desk = Desk::new().await;
    desk.invite("owner", "ada@example.com", "viewer").await.ok(201);
    desk.erase_all(json!({ "person": "ada@example.com" })).await;
    assert_eq!(desk.faults().await, [] as [String; 0]);
    let mut owner = desk.world.truth().await;
    let change = "update audit_log a set after = '{\"email\": \"bob@example.com\", \"role\": \"owner\"}' where action = 'person.invited';
        update audit_log a set erased_hash = history.audit_details_hash(null, a) where action = 'person.invited'";
    owner.execute(change).await.unwrap();
    assert_eq!(desk.faults().await, ["blanked"]);
    for seal in ["erased_seal", "'1.AAAA'", "'seal'", "null"] {
        owner
            .execute(AssertSqlSafe(format!(
                "update audit_log set erased_seal = {seal} where action = 'person.invited'"
            )))
            .await
            .unwrap();
        desk.erase_all(json!({ "person": "bob@example.com" })).await;
        assert_eq!(found(&mut owner, "bob@example.com").await, Vec::<String>::new(), "he is erased all the same");
        assert_eq!(desk.faults().await, ["blanked"], "{seal}");
        let again = "update audit_log a set after = jsonb_set(after, '{email}', '\"bob@example.com\"') where action = 'person.invited';
            update audit_log a set erased_hash = history.audit_details_hash(null, a) where action = 'person.invited'";
        owner.execute(again).await.unwrap();
    }
}

/// Two who were named in one entry are erased one after the other, and the log is whole.
#[tokio::test]
async fn an_entry_that_several_erasures_blank_is_as_good_as_one_of_one() {
    let desk = Desk::new().await;
    let bob = desk.join(desk.tenant(), "bob", Admin).await;
    desk.invite("bob", "ada@example.com", "viewer").await.ok(201);
    desk.delete(&desk.at(&format!("/people/{bob}"))).by(&desk.person("owner")).send().await.ok(204);
    let mut blanked = Vec::new();
    for whom in ["ada@example.com", "bob@example.com"] {
        desk.erase_all(json!({ "person": whom })).await;
        assert_eq!(desk.faults().await, [] as [String; 0], "{whom}");
        let by = "select erased_by from audit_log where action = 'person.invited'";
        blanked.push(sqlx::query_scalar::<_, uuid::Uuid>(by).fetch_one(&mut desk.world.truth().await).await.unwrap());
    }
    assert_ne!(blanked[0], blanked[1], "both blanked it");
}

//! What whoever took `admin` over can and cannot do, by SQL of their own. docs/DATA-MODEL.md says the same in words ("When a role is taken
//! over").

use super::takeover::{DENIED, GRANT, REFUSED, done, refused, taken_over, told};
use license_core::records::DatabaseRole;

#[tokio::test]
async fn an_admin_that_was_taken_over_changes_what_it_knows_by_the_moves_and_says_no_id_and_no_time() {
    let (two, mut admin) = taken_over(DatabaseRole::Admin).await;
    let unseen = "select count(*) from licenses";
    assert_eq!(told::<i64>(&mut admin, unseen, &two.a).await, 0, "nobody's, before a tenant is named");
    done(&mut admin, "select set_config('app.tenant_id', '{tenant}', false)", &two.a).await.unwrap();
    assert_eq!(told::<i64>(&mut admin, unseen, &two.a).await, 1, "anybody's whose id is known");
    let denied = [
        GRANT,
        "select done from end_seats('{tenant}', '{pool}', 0, 'released', '{0}', '{2}', '{null}', '{}', '{}', '{}', '{}', '{}')",
        "select mark_published('{}', '{}')",
        "select directory.enter_license('ZZZZZZZZZZZZZ', '{tenant}', '{license}')",
        "insert into licenses select * from licenses",
        "insert into license_keys (tenant_id, license_id, key_hmac) values ('{tenant}', '{license}', '1.mine')",
        "update license_keys set valid_until = null",
        "insert into organizations (tenant_id, name) values (gen_random_uuid(), 'mine')",
        "insert into audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target)
         values ('{tenant}', '01900000-0000-7000-8000-000000000000', 'staff', 'v', 'v', 'license.changed', 'x')",
        "insert into catalog.staff_log (id, actor, actor_name, action, target) values (gen_random_uuid(), 'v', 'v', 'plan.created', 'x')",
        "update users set tenant_id = gen_random_uuid()",
        "delete from users",
    ];
    refused(&mut admin, &two.a, DENIED, &denied).await;
    // Another's rows, whatever the tenant named says.
    let of_b = "insert into users (tenant_id, user_id, email, address, role) values ('{tenant}', gen_random_uuid(), 'x', 'x', 'owner')";
    refused(&mut admin, &two.b, DENIED, &[of_b]).await;
    let kinds = ["seat.granted", "seat.freed", "usage", "license.revoked", "organization.created", "anything"];
    for kind in kinds {
        refused(&mut admin, &two.a, REFUSED, &[&format!("select tell('{{tenant}}', '{kind}', '{{}}')")]).await;
    }
    let large = "select tell('{tenant}', 'person.joined', jsonb_build_object('a', repeat('x', 65536)))";
    refused(&mut admin, &two.a, REFUSED, &["select tell('{tenant}', null, '{}')", large]).await;
    // For good is for good.
    assert_eq!(
        done(&mut admin, "select * from revoke_license('{tenant}', '{license}')", &two.a).await.unwrap().len(),
        1
    );
    let back = [
        "select * from resume_license('{tenant}', '{license}')",
        "select * from suspend_license('{tenant}', '{license}')",
    ];
    for sql in back {
        assert!(done(&mut admin, sql, &two.a).await.unwrap().is_empty(), "{sql}");
    }
    // A seal that was written stays, in the entry and in the head.
    let seals = "select string_agg(seal, ' ') from (select seal from audit_log where tenant_id = '{tenant}' and seq = (
        select seq from audit_heads where tenant_id = '{tenant}') union all select seal from audit_heads where tenant_id = '{tenant}') s";
    let before: String = told(&mut admin, seals, &two.a).await;
    let sealing = "select history.audit_seal('{tenant}', seq, 'mine')::text from audit_heads";
    done(&mut admin, sealing, &two.a).await.unwrap();
    assert_eq!(told::<String>(&mut admin, seals, &two.a).await, before);
    // No pool is larger than what a plan can say: a row is made for each seat.
    let sizes = ["select resize_pool('{tenant}', '{pool}', 1000001)", "select resize_pool('{tenant}', '{pool}', -1)"];
    refused(&mut admin, &two.a, REFUSED, &sizes).await;
}

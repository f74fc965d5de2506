//! The SQL functions of the seat operations, called with the name of one tenant and the ids of another: the other
//! tenant's rows stay as they are.

use super::{Two, two};
use license_core::{
    domain::{
        id::{Holder, PoolId, SessionId},
        lease::LeaseTiming,
        license::Status,
        pool::{LeaseClaim, SeatClaim, SessionClaim},
        secret::KeyRing,
        session::EndReason,
    },
    management::Management,
    records::{DatabaseRole, GrantOutcome, ResolveOutcome, SeatEnding},
    refusal::ChangeRefusal,
};
use license_tests::{
    grant::SeatGrant,
    outcomes::{refusal, unavailable},
    staff,
    world::License,
};
use std::time::Duration;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(360);

fn grant(license: &License, session: SessionId, holder: Holder) -> SeatGrant {
    SeatGrant { seq: 1_000_000, ..SeatGrant::new(license.tenant, license.pool_id, session, holder) }
}

fn ending(session: SessionId) -> SeatEnding {
    let claim = LeaseClaim { seq: u64::MAX >> 1, lease_end_ms: 0 };
    SeatEnding {
        epoch: 0,
        seats: vec![SeatClaim { seat: 0, claim }],
        sessions: vec![SessionClaim { seat: 0, session, claim }],
        released: vec![session],
    }
}

/// Both tenants with one seat held, at epoch 0.
async fn seated() -> (Two, SessionId) {
    let two = two().await;
    let session = SessionId::draw();
    for (license, session) in [(&two.a, SessionId::draw()), (&two.b, session)] {
        let outcome =
            grant(license, session, Holder([1; 16])).write_down(&two.records(DatabaseRole::Service)).await.unwrap();
        assert_eq!(outcome, GrantOutcome::Ok);
    }
    (two, session)
}

/// A's tenant with B's license and pool.
fn crossed(two: &Two) -> License {
    License { tenant: two.a.tenant, ..two.b.clone() }
}

#[tokio::test]
async fn a_seat_operation_with_one_tenant_and_anothers_pool_or_session_changes_nothing_of_the_other() {
    let (two, session_of_b) = seated().await;
    let before = two.rows_of(&two.b).await;
    let service = two.records(DatabaseRole::Service);
    let wrong = crossed(&two);

    let taken = grant(&wrong, SessionId::draw(), Holder([2; 16])).write_down(&service).await.unwrap();
    assert_eq!(taken, GrantOutcome::EpochStale, "there is no such pool");
    for license in [&wrong, &two.a] {
        for records in [&service, &two.records(DatabaseRole::Reaper)] {
            let ended = records
                .end_seats(license.tenant, license.pool_id, &ending(session_of_b), EndReason::Released, TTL)
                .await;
            assert_eq!(ended.unwrap().released_at, None, "there is no such session");
        }
        let gone = service.resolve_session(license.tenant, license.pool_id, 0, session_of_b, 0).await.unwrap();
        assert_eq!(gone, ResolveOutcome::Gone("unknown".into()));
    }
    for role in [DatabaseRole::Service, DatabaseRole::Reaper, DatabaseRole::Admin] {
        assert_eq!(
            two.records(role).rebuild_pool(wrong.tenant, wrong.pool_id, 0, &LeaseTiming::default()).await.unwrap(),
            None
        );
    }
    // Whatever grace B's machines have is not counted as A's.
    assert_eq!(two.records(DatabaseRole::Reaper).count_grace(wrong.tenant, wrong.pool_id).await.unwrap(), 0);
    let counted: i32 =
        sqlx::query_scalar("select machines_on_grace($1, $2) from set_config('app.tenant_id', $3, false)")
            .bind(wrong.tenant.0)
            .bind(wrong.pool_id.0)
            .bind(wrong.tenant.0.to_string())
            .fetch_one(&mut two.as_role(DatabaseRole::Admin).await)
            .await
            .unwrap();
    assert_eq!(counted, 0);
    // An id of another tenant is just an id: A's row under it is A's.
    let taken = grant(&two.a, session_of_b, Holder([3; 16])).write_down(&service).await.unwrap();
    assert_ne!(taken, GrantOutcome::Refused);
    assert_eq!(two.rows_of(&two.b).await, before);
}

#[tokio::test]
async fn an_admins_operation_with_one_tenant_and_anothers_pool_or_license_finds_nothing_and_changes_nothing() {
    let (two, session_of_b) = seated().await;
    let before = two.rows_of(&two.b).await;
    let admin = two.records(DatabaseRole::Admin);
    let management = Management::new(admin.clone());
    let wrong = crossed(&two);

    let (act, peppers) = (staff::act(wrong.tenant), KeyRing::single(vec![2; 32]));
    assert_eq!(refusal(management.end_session(&act, session_of_b, true).await), ChangeRefusal::NotFound);
    let outcome: Option<String> = sqlx::query_scalar("select outcome from kick_session($1, $2, null, true, 'a')")
        .bind(wrong.tenant.0)
        .bind(session_of_b.0)
        .fetch_one(&mut two.as_role(DatabaseRole::Admin).await)
        .await
        .unwrap();
    assert_eq!(outcome, None, "there is no such session");
    let edited = management.edit_license(&act, wrong.id, &staff::seats(2).into(), None).await;
    assert_eq!(refusal(edited), ChangeRefusal::NotFound);
    let labelled: bool = sqlx::query_scalar("select label_license($1, $2, '{\"note\": \"x\"}', '{}')")
        .bind(wrong.tenant.0)
        .bind(wrong.id.0)
        .fetch_one(&mut two.as_role(DatabaseRole::Admin).await)
        .await
        .unwrap();
    assert!(!labelled, "there is no such license");
    // What staff's lists read is read in the name of the organization that each row is said to be of.
    let shown: i64 = sqlx::query_scalar("select count(*) from read_licenses(array[$1], array[$2])")
        .bind(wrong.tenant.0)
        .bind(wrong.id.0)
        .fetch_one(&mut two.as_role(DatabaseRole::Admin).await)
        .await
        .unwrap();
    assert_eq!(shown, 0);
    for status in [Status::Suspended, Status::Active, Status::Revoked] {
        let set = management.set_license_status(&act, wrong.id, status).await;
        assert_eq!(refusal(set), ChangeRefusal::NotFound);
    }
    let rotated = management.rotate_key(&act, wrong.id, staff::rotation(0), &peppers).await;
    assert_eq!(refusal(rotated), ChangeRefusal::NotFound);
    let mut connection = two.as_role(DatabaseRole::Admin).await;
    for sql in ["select resize_pool($1, $2, 2)", "select kick_seat($1, $2, 0, true, 'a')"] {
        let query = sqlx::query_scalar::<_, Option<i64>>(sql).bind(wrong.tenant.0).bind(wrong.pool_id.0);
        assert_eq!(query.fetch_one(&mut connection).await.unwrap(), None, "{sql}");
    }
    for sql in [
        "select pool_id from suspend_license($1, $2)",
        "select pool_id from resume_license($1, $2)",
        "select pool_id from rotate_license_key($1, $2, '1.new', now())",
        "select pool_id from end_sessions_of_old_keys($1, $2, 200, 'a')",
        "select unnest(good_keys($1, $2))",
        "select pool_id from revoke_license($1, $2)",
        "select pool_id from change_license($1, $2, '{\"seats\": 9, \"tier\": \"a\"}', '{}')",
    ] {
        let changed = sqlx::query(sql).bind(wrong.tenant.0).bind(wrong.id.0).fetch_all(&mut connection).await.unwrap();
        assert!(changed.is_empty(), "{sql}");
    }
    let mut waiting = admin.begin(wrong.tenant).await.unwrap();
    sqlx::query("select lock_license($1, $2)")
        .bind(wrong.tenant.0)
        .bind(wrong.id.0)
        .execute(&mut *waiting)
        .await
        .unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
    assert_eq!(sqlx::query_scalar::<_, i64>(locks).fetch_one(&mut *waiting).await.unwrap(), 0, "nobody waits for it");
    drop(waiting);
    let made: bool = sqlx::query_scalar("select create_license($1, $2, $3, $4, '1.x', 'coditect', 'trial')")
        .bind(two.a.tenant.0)
        .bind(Uuid::now_v7())
        .bind(Uuid::now_v7())
        .bind(two.b.key.number().to_string())
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert!(!made, "the number is B's");
    assert_eq!(two.rows_of(&two.b).await, before);
}

#[tokio::test]
async fn every_function_that_takes_a_tenant_was_tried_with_anothers_ids() {
    let two = two().await;
    let sql = "select proname::text from pg_proc where pronamespace = 'public'::regnamespace and 'p_tenant' = any (proargnames) order by 1";
    let functions: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut two.truth().await).await.unwrap();
    // register_organization takes the id of a tenant it makes; set_license_status is suspend, resume and revoke; lock_pools locks the license's;
    // record_usage and record_wants are tried in `takeover.rs`, deliveries in `told_deliveries.rs` (write_deliveries is what enqueue_deliveries calls), alerts in `told_alerts.rs` (judge_alert_rule calls forget_alerts, and whatever makes an organization or tells of its use the others), mails in `told_mails.rs` (write_mail, insert_mail and mail_id are the owner's); write_event writes what it is told for the tenant it is told, and looks for nothing.
    let tried = [
        "begin_mail",
        "change_license",
        "count_grace",
        "create_license",
        "end_alerts",
        "end_seats",
        "end_sessions_of_old_keys",
        "enqueue_deliveries",
        "finish_delivery",
        "finish_mail",
        "forget_alerts",
        "good_keys",
        "grant_seat",
        "insert_mail",
        "judge_alert_rule",
        "kick_seat",
        "kick_session",
        "label_license",
        "lock_license",
        "lock_pools",
        "machines_on_grace",
        "mail_id",
        "make_first_alert_rules",
        "month_lines",
        "read_event_of_delivery",
        "rebuild_pool",
        "record_usage",
        "record_wants",
        "register_organization",
        "replay_deliveries",
        "resize_pool",
        "resolve_session",
        "resume_license",
        "revoke_license",
        "rotate_license_key",
        "set_license_status",
        "skip_mails",
        "suspend_license",
        "take_deliveries",
        "take_mails",
        "wake_alert_rules",
        "write_deliveries",
        "write_event",
        "write_invitation_mail",
        "write_mail",
    ];
    assert_eq!(functions, tried, "try a new one above, then name it here");
}

#[tokio::test]
async fn a_role_calls_only_the_functions_of_its_own_operations() {
    let two = two().await;
    let denied = |e: license_core::Error| {
        let text = license_core::error::chain(&e).to_string();
        assert!(text.contains("permission denied"), "{text}");
    };
    let (tenant, pool) = (two.a.tenant, two.a.pool_id);
    let reaper = two.records(DatabaseRole::Reaper);
    denied(grant(&two.a, SessionId::draw(), Holder([1; 16])).write_down(&reaper).await.unwrap_err());
    for role in [DatabaseRole::Service, DatabaseRole::Reaper, DatabaseRole::Notify] {
        let management = Management::new(two.records(role));
        let (act, peppers) = (staff::act(tenant), KeyRing::single(vec![2; 32]));
        denied(unavailable(management.edit_license(&act, two.a.id, &staff::seats(100).into(), None).await));
        denied(unavailable(management.set_license_status(&act, two.a.id, Status::Suspended).await));
        denied(unavailable(management.rotate_key(&act, two.a.id, staff::rotation(0), &peppers).await));
        let mut connection = two.as_role(role).await;
        for (sql, id) in [
            ("select resize_pool($1, $2, 100)::text", pool.0),
            ("select kick_seat($1, $2, 0, true, 'x')::text", pool.0),
            ("select outcome from kick_session($1, $2, null, true, 'x')", pool.0),
            ("select name from suspend_license($1, $2)", two.a.id.0),
            ("select name from resume_license($1, $2)", two.a.id.0),
            ("select name from revoke_license($1, $2)", two.a.id.0),
            ("select name from rotate_license_key($1, $2, '1.x', now())", two.a.id.0),
            ("select name from change_license($1, $2, '{}', '{}')", two.a.id.0),
        ] {
            let query = sqlx::query(sql).bind(tenant.0).bind(id);
            let denied = query.fetch_all(&mut connection).await.unwrap_err().to_string();
            assert!(denied.contains("permission denied for function"), "{sql}: {denied}");
        }
    }
    let admin = two.records(DatabaseRole::Admin);
    denied(admin.end_seats(tenant, pool, &ending(SessionId::draw()), EndReason::Released, TTL).await.unwrap_err());
    assert!(admin.rebuild_pool(tenant, PoolId(Uuid::nil()), 0, &LeaseTiming::default()).await.unwrap().is_none());
}

//! What the move functions do when one tenant's name comes with another tenant's ids: nothing to the other.

use super::{Two, two};
use license_core::{
    domain::{
        id::{Attempt, Holder, Hw, PoolId, SessionId},
        lease::Timing,
        pool::{Claim, SeatClaim, SessionClaim},
    },
    records::{Act, Ending, Grant, GrantOutcome, Principal, Refused, ResolveOutcome, Role},
};
use license_tests::world::License;
use std::time::Duration;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(360);

fn grant(license: &License, session: SessionId, holder: Holder) -> Grant {
    Grant {
        tenant: license.tenant,
        pool: license.pool_id,
        seat: 0,
        session,
        holder,
        attempt: Attempt(Uuid::new_v4()),
        epoch: 0,
        seq: 1_000_000,
        live: vec![session],
        displaced_seen: None,
        hw: Hw([0; 32]),
        label: String::new(),
        client: serde_json::json!({}),
    }
}

fn ending(session: SessionId) -> Ending {
    let claim = Claim { seq: u64::MAX >> 1, lease_end_ms: 0 };
    Ending {
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
        let outcome = two.records(Role::Service).grant_seat(&grant(license, session, Holder([1; 16]))).await.unwrap();
        assert_eq!(outcome, GrantOutcome::Ok);
    }
    (two, session)
}

/// A's tenant with B's license and pool.
fn crossed(two: &Two) -> License {
    License { tenant: two.a.tenant, ..two.b.clone() }
}

#[tokio::test]
async fn a_seats_move_with_one_tenant_and_anothers_pool_or_session_changes_nothing_of_the_other() {
    let (two, session_of_b) = seated().await;
    let before = two.rows_of(&two.b).await;
    let service = two.records(Role::Service);
    let wrong = crossed(&two);

    let taken = service.grant_seat(&grant(&wrong, SessionId::draw(), Holder([2; 16]))).await.unwrap();
    assert_eq!(taken, GrantOutcome::EpochStale, "there is no such pool");
    for license in [&wrong, &two.a] {
        for records in [&service, &two.records(Role::Reaper)] {
            let ended =
                records.end_seats(license.tenant, license.pool_id, &ending(session_of_b), "released", TTL).await;
            assert_eq!(ended.unwrap().released_at, None, "there is no such session");
        }
        let gone = service.resolve_session(license.tenant, license.pool_id, 0, session_of_b, 0).await.unwrap();
        assert_eq!(gone, ResolveOutcome::Gone("unknown".into()));
    }
    for role in [Role::Service, Role::Reaper, Role::Admin] {
        assert_eq!(
            two.records(role).rebuild_pool(wrong.tenant, wrong.pool_id, 0, &Timing::default()).await.unwrap(),
            None
        );
    }
    // An id of another tenant is just an id: A's row under it is A's.
    let taken = service.grant_seat(&Grant { epoch: 0, ..grant(&two.a, session_of_b, Holder([3; 16])) }).await.unwrap();
    assert_ne!(taken, GrantOutcome::Refused);
    assert_eq!(two.rows_of(&two.b).await, before);
}

#[tokio::test]
async fn an_admins_move_with_one_tenant_and_anothers_pool_or_license_finds_nothing_and_changes_nothing() {
    let (two, session_of_b) = seated().await;
    let before = two.rows_of(&two.b).await;
    let admin = two.records(Role::Admin);
    let wrong = crossed(&two);

    assert_eq!(admin.resize_pool(wrong.tenant, wrong.pool_id, 2).await.unwrap(), None);
    assert_eq!(admin.kick_seat(wrong.tenant, wrong.pool_id, 0, true, "a").await.unwrap(), None);
    let by = Principal::Staff { subject: "a".into(), email: "a".into() };
    let act = Act { tenant: wrong.tenant, by, from: None, request_id: None, repeat: None };
    assert_eq!(admin.end_session(&act, session_of_b, true).await.unwrap(), Err(Refused::NotFound));
    let outcome: Option<String> = sqlx::query_scalar("select outcome from kick_session($1, $2, null, true, 'a')")
        .bind(wrong.tenant.0)
        .bind(session_of_b.0)
        .fetch_one(&mut two.as_role(Role::Admin).await)
        .await
        .unwrap();
    assert_eq!(outcome, None, "there is no such session");
    assert_eq!(admin.suspend_license(wrong.tenant, wrong.id).await.unwrap(), []);
    assert_eq!(admin.resume_license(wrong.tenant, wrong.id).await.unwrap(), []);
    let mut connection = two.as_role(Role::Admin).await;
    for sql in [
        "select pool_id from revoke_license($1, $2)",
        "select pool_id from change_license($1, $2, '{\"seats\": 9, \"tier\": \"a\"}', '{}')",
    ] {
        let changed = sqlx::query(sql).bind(wrong.tenant.0).bind(wrong.id.0).fetch_all(&mut connection).await.unwrap();
        assert!(changed.is_empty(), "{sql}");
    }
    let mut waiting = admin.begin(wrong.tenant).await.unwrap();
    sqlx::query("select lock_pools($1, $2)")
        .bind(wrong.tenant.0)
        .bind(wrong.id.0)
        .execute(&mut *waiting)
        .await
        .unwrap();
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
    assert_eq!(sqlx::query_scalar::<_, i64>(locks).fetch_one(&mut *waiting).await.unwrap(), 0, "nobody waits for it");
    drop(waiting);
    let until = time::OffsetDateTime::UNIX_EPOCH;
    assert_eq!(admin.rotate_license_key(wrong.tenant, wrong.id, "1.new", until).await.unwrap(), []);
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
    // register_organization takes the id of a tenant it makes; set_license_status is suspend, resume and revoke.
    let tried = [
        "change_license",
        "create_license",
        "end_seats",
        "grant_seat",
        "kick_seat",
        "kick_session",
        "lock_pools",
        "rebuild_pool",
        "register_organization",
        "resize_pool",
        "resolve_session",
        "resume_license",
        "revoke_license",
        "rotate_license_key",
        "set_license_status",
        "suspend_license",
    ];
    assert_eq!(functions, tried, "try a new one above, then name it here");
}

#[tokio::test]
async fn a_role_calls_only_the_moves_of_its_own_functions() {
    let two = two().await;
    let denied = |e: license_core::Error| assert!(e.to_string().contains("permission denied"), "{e}");
    let (tenant, pool) = (two.a.tenant, two.a.pool_id);
    let reaper = two.records(Role::Reaper);
    denied(reaper.grant_seat(&grant(&two.a, SessionId::draw(), Holder([1; 16]))).await.unwrap_err());
    for role in [Role::Service, Role::Reaper] {
        let records = two.records(role);
        denied(records.resize_pool(tenant, pool, 100).await.unwrap_err());
        denied(records.kick_seat(tenant, pool, 0, true, "x").await.unwrap_err());
        denied(records.suspend_license(tenant, two.a.id).await.unwrap_err());
        denied(
            records.rotate_license_key(tenant, two.a.id, "1.x", time::OffsetDateTime::UNIX_EPOCH).await.unwrap_err(),
        );
    }
    let admin = two.records(Role::Admin);
    denied(admin.end_seats(tenant, pool, &ending(SessionId::draw()), "released", TTL).await.unwrap_err());
    assert!(admin.rebuild_pool(tenant, PoolId(Uuid::nil()), 0, &Timing::default()).await.unwrap().is_none());
}

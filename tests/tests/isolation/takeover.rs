//! What an attacker who took a role over can and cannot do with SQL. docs/DATA-MODEL.md says the same in words ("When a
//! role is taken over").

use super::{
    SERVING, Two,
    statements::{DENIED, REFUSED, done, refused, told},
    tenant_tables, two,
};
use license_core::{
    domain::{id::SessionId, license::Status},
    management::Management,
    records::{DatabaseRole, migrate},
};
use license_tests::staff;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

/// What none of the roles can do, whichever of them was taken over.
const NOBODY: [&str; 24] = [
    "update seats set holder = null, held_since = null",
    "update seats set hold_until = 'infinity', hold_epoch = 9",
    "insert into seats (tenant_id, pool_id, seat_no) values ('{tenant}', '{pool}', 100)",
    "update pools set seats_total = 100",
    "update pools set epoch = 9223372036854775807",
    "update licenses set status = 'active', expires_at = null",
    "update sessions set ended_at = null, end_reason = null",
    "insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw)
     values ('{tenant}', gen_random_uuid(), '{license}', '{pool}', 0, 'h', gen_random_uuid(), 'hw')",
    "insert into outbox (tenant_id, kind, payload) values ('{tenant}', 'seat.freed', '{}')",
    "insert into outbox (tenant_id, id, kind, payload, created_at) values ('{tenant}', gen_random_uuid(), 'x', '{}', '2000-01-01')",
    "update outbox set payload = '{}'",
    "update outbox set published_at = '2000-01-01'", // into a month that is taken away at once
    "update audit_log set actor = 'somebody else'",
    "delete from audit_log",
    "truncate sessions",
    "select * from directory.license_numbers",
    "select * from history.sessions",
    "select set_license_status('{tenant}', '{license}', 'active', array['revoked'])",
    "select after_restore()",
    "set role owner",
    "set session_replication_role = replica",
    "create temporary table notes (k int)",
    "create table notes (k int)",
    "select lo_from_bytea(0, 'a')",
];

/// A grant as a service asks for it.
const GRANT: &str = "select grant_seat('{tenant}', '{pool}', 0, '{session}', 'h', gen_random_uuid(), 0, 1, '{}', null,
    'hw', 'label', '{}', null, null, null)";

/// [`GRANT`] with something else in a place of it.
fn grant(was: &str, is: &str) -> String {
    assert!(GRANT.contains(was), "{was}");
    GRANT.replacen(was, is, 1)
}

/// Two organizations with a seat each held, in a database as `migrate` leaves it (a copy of one has its tables and not its own rights), and
/// a connection of whoever took the role over.
pub(super) async fn taken_over(role: DatabaseRole) -> (Two, PgConnection) {
    let two = two().await;
    migrate(&two.database).await.unwrap();
    let mut service = two.as_role(DatabaseRole::Service).await;
    for license in [&two.a, &two.b] {
        assert_eq!(told::<String>(&mut service, GRANT, license).await, "OK");
    }
    let connection = two.as_role(role).await;
    (two, connection)
}

#[tokio::test]
async fn nobody_who_took_a_role_over_writes_past_the_functions_whatever_tenant_they_name() {
    for role in SERVING {
        let (two, mut connection) = taken_over(role).await;
        let before = two.rows_of(&two.a).await;
        for tenant in ["", "{tenant}"] {
            let set = format!("select set_config('app.tenant_id', '{tenant}', false)");
            done(&mut connection, &set, &two.a).await.unwrap();
            refused(&mut connection, &two.a, DENIED, &NOBODY).await;
        }
        assert_eq!(two.rows_of(&two.a).await, before, "{role:?}");
    }
}

#[tokio::test]
async fn nobody_who_took_a_role_over_finds_another_database_of_the_server_open() {
    let two = two().await;
    migrate(&two.database).await.unwrap();
    for role in SERVING {
        two.as_role(role).await;
        for other in ["postgres", "template1"] {
            let options = two.database.clone().username(role.name()).database(other);
            let denied = PgConnection::connect_with(&options).await.unwrap_err();
            assert_eq!(denied.as_database_error().and_then(|e| e.code()).as_deref(), Some(DENIED), "{role:?} {other}");
        }
    }
}

#[tokio::test]
async fn a_service_that_was_taken_over_sees_no_table_and_lists_nobody() {
    let (two, mut service) = taken_over(DatabaseRole::Service).await;
    done(&mut service, "select set_config('app.tenant_id', '{tenant}', false)", &two.b).await.unwrap();
    for table in tenant_tables(&mut two.truth().await).await {
        refused(&mut service, &two.b, DENIED, &[&format!("select from {table}")]).await;
    }
    let ways = [
        "select * from catalog.plans",
        "select * from directory.locate_license('{number}')",
        "select * from directory.locate_identity('https://id.example.com', 'b')",
        "select history.step()",
        "select * from suspend_license('{tenant}', '{license}')",
        "select kick_seat('{tenant}', '{pool}', 0, true, 'x')",
        "select write_event('{tenant}', 'person.joined', '{}')",
        "select record_usage('{tenant}', '{pool}', '[]')",
    ];
    refused(&mut service, &two.b, DENIED, &ways).await;
    // A license key opens its license, a number alone does not.
    let found = done(&mut service, "select * from find_license('{number}', array['1.guess'], 'default')", &two.b).await;
    assert!(found.unwrap().is_empty());
}

#[tokio::test]
async fn a_service_that_was_taken_over_grants_no_seat_that_is_none_of_the_pool() {
    let (two, mut service) = taken_over(DatabaseRole::Service).await;
    let of_b = two.b.pool_id.0.to_string();
    for (was, is) in [
        ("0, '{session}'", "5, '{session}'"),
        ("0, '{session}'", "-1, '{session}'"),
        ("'{pool}'", &format!("'{of_b}'")),
        ("0, 1,", "1, 1,"),
        ("0, 1,", "9223372036854775807, 1,"),
    ] {
        assert_eq!(told::<String>(&mut service, &grant(was, is), &two.a).await, "EPOCH_STALE", "{is}");
    }
    let text = |n: usize| format!("repeat('x', {n})");
    for (was, is) in [
        ("'{session}'", "gen_random_uuid()".to_owned()),
        ("'{session}'", "'01900000-0000-7000-8000-000000000001'".to_owned()),
        ("'{session}'", "'ffffffff-ffff-7fff-bfff-ffffffffffff'".to_owned()),
        ("'h'", text(65)),
        ("'hw'", text(65)),
        ("'label'", text(1001)),
        ("'label', '{}'", format!("'label', jsonb_build_object('a', {})", text(65_536))),
        // No erasure could blank what is no object, so that somebody could never be erased.
        ("'label', '{}'", "'label', '\"a\"'".to_owned()),
        ("'label', '{}'", "'label', '[\"user\"]'".to_owned()),
        ("'label', '{}'", "'label', 'null'".to_owned()),
        ("'{}', null,\n    'hw', 'label', '{}', null", format!("'{{}}', null, 'hw', 'label', '{{}}', {}", text(1001))),
    ] {
        let sql = grant(was, &is).replace("0, 1,", "0, 2,");
        refused(&mut service, &two.a, REFUSED, &[&sql]).await;
    }
    let management = Management::new(two.records(DatabaseRole::Admin));
    management.set_license_status(&staff::act(two.a.tenant), two.a.id, Status::Suspended).await.unwrap();
    assert_eq!(told::<String>(&mut service, &grant("0, 1,", "1, 9,"), &two.a).await, "REFUSED");
}

#[tokio::test]
async fn a_service_that_was_taken_over_keeps_nobody_waiting_longer_than_a_day_and_an_hour() {
    let (two, mut service) = taken_over(DatabaseRole::Service).await;
    let rebuild = |frozen: &str, lease: &str, drain: &str| {
        format!("select lease from rebuild_pool('{{tenant}}', '{{pool}}', {frozen}, {lease}, {drain})")
    };
    let never = [
        ("0", "315360000000", "45000"), // ten years
        ("0", "86400001", "45000"),
        ("0", "0", "45000"),
        ("0", "-1", "45000"),
        ("0", "null", "45000"),
        ("0", "360000", "3600001"),
        ("0", "360000", "-1"),
        ("0", "360000", "null"),
        // After the last epoch there is none, and no rebuild could begin.
        ("9223372036854775806", "360000", "45000"),
        ("10000001", "360000", "45000"),
        ("-1", "360000", "45000"),
        ("null", "360000", "45000"),
    ];
    for (frozen, lease, drain) in never {
        refused(&mut service, &two.a, REFUSED, &[&rebuild(frozen, lease, drain)]).await;
    }
    // The worst that is done, again and again, and then a service that nobody took over.
    for _ in 0..3 {
        told::<i64>(&mut service, &rebuild("0", "86400000", "3600000"), &two.a).await;
    }
    let lease: i64 = told(&mut service, &rebuild("0", "360000", "45000"), &two.a).await;
    assert_eq!(lease, 86_400_000);
    let longest = "select longer_until <= now() + interval '25 hours' from pools where tenant_id = '{tenant}'";
    assert!(told::<bool>(&mut two.truth().await, longest, &two.a).await);
}

#[tokio::test]
async fn a_service_that_was_taken_over_ends_what_it_knows_and_says_neither_why_nor_when() {
    let (two, mut service) = taken_over(DatabaseRole::Service).await;
    let mut truth = two.truth().await;
    let end = |reason: &str, seen: &str| {
        format!(
            "select done from end_seats('{{tenant}}', '{{pool}}', 0, {reason}, '{{0}}', '{{2}}', {seen},
               '{{}}', '{{}}', '{{}}', '{{}}', '{{}}')"
        )
    };
    for reason in ["'kicked'", "'vendor said so'", "null"] {
        refused(&mut service, &two.a, REFUSED, &[&end(reason, "'{null}'")]).await;
    }
    let done: Vec<i32> = told(&mut service, &end("'released'", "'{2300-01-01}'"), &two.a).await;
    assert_eq!(done, [0], "a seat of a pool whose ids are known can be taken away from its holder");
    let times =
        "select last_seen_at <= now() + interval '1 day' and ended_at between now() - interval '1 minute' and now()
        from sessions where tenant_id = '{tenant}'";
    assert!(told::<bool>(&mut truth, times, &two.a).await);
    let told_now = "select count(*) from outbox where tenant_id = '{tenant}' and kind in ('seat.granted', 'seat.freed')
        and created_at between now() - interval '1 minute' and now()
        and began_at(id) between now() - interval '1 minute' and now() + interval '1 second'";
    assert_eq!(told::<i64>(&mut truth, told_now, &two.a).await, 2, "and is told of, under the time of the database");
}

#[tokio::test]
async fn by_no_function_was_anybody_heard_of_in_years_to_come() {
    let (two, mut service) = taken_over(DatabaseRole::Service).await;
    let mut truth = two.truth().await;
    // Whoever loses a seat to another holder, and a session that ends while its seat lives on.
    let displacing = grant("0, 1, '{}', null", "0, 9, '{}', '2300-01-01'").replace("'h'", "'another'");
    assert_eq!(told::<String>(&mut service, &displacing, &two.a).await, "OK");
    let open = "select session_id::text from sessions where tenant_id = '{tenant}' and ended_at is null";
    let session: String = told(&mut truth, open, &two.b).await;
    let lapsing = format!(
        "select done from end_seats('{{tenant}}', '{{pool}}', 0, 'expired', '{{}}', '{{}}', '{{}}',
           '{{0}}', '{{{session}}}', '{{9}}', '{{2300-01-01}}', '{{}}')"
    );
    told::<Vec<i32>>(&mut service, &lapsing, &two.b).await;
    let ended = "select count(*) from sessions
        where tenant_id = '{tenant}' and ended_at is not null and last_seen_at <= now() + interval '1 day'";
    for license in [&two.a, &two.b] {
        assert_eq!(told::<i64>(&mut truth, ended, license).await, 1);
    }
}

#[tokio::test]
async fn a_session_is_ended_by_the_pool_it_is_in_and_by_no_other() {
    let (two, mut service) = taken_over(DatabaseRole::Service).await;
    let other =
        "select create_license('{tenant}', '{session}', '{pool}'::uuid, 'ZZZZZZZZZZZZZ', '1.x', 'coditect', 'trial')";
    let pool = SessionId::draw().to_string();
    let made: bool = told(&mut two.as_role(DatabaseRole::Admin).await, &other.replace("{pool}", &pool), &two.a).await;
    assert!(made);
    let session: String =
        told(&mut two.truth().await, "select session_id::text from sessions where tenant_id = '{tenant}'", &two.a)
            .await;
    for ending in [
        format!("select outcome || ' ' || reason from resolve_session('{{tenant}}', '{pool}', 0, '{session}', 0)"),
        format!(
            "select 'ENDED' from end_seats('{{tenant}}', '{pool}', 0, 'released', '{{}}', '{{}}', '{{}}',
               '{{0}}', '{{{session}}}', '{{9}}', '{{null}}', '{{{session}}}')"
        ),
    ] {
        let said: String = told(&mut service, &ending, &two.a).await;
        assert!(["GONE unknown", "ENDED"].contains(&said.as_str()), "{said}");
        let open = "select count(*) from sessions where tenant_id = '{tenant}' and ended_at is null";
        assert_eq!(told::<i64>(&mut two.truth().await, open, &two.a).await, 1, "{ending}");
    }
}

#[tokio::test]
async fn a_reaper_that_was_taken_over_marks_only_what_it_holds_and_says_no_time() {
    let (two, mut reaper) = taken_over(DatabaseRole::Reaper).await;
    let mark = "select mark_published(array_agg(tenant_id), array_agg(id)) from outbox where published_at is null";
    assert_eq!(told::<i32>(&mut reaper, mark, &two.a).await, 0, "held by nobody");
    let mut another = two.as_role(DatabaseRole::Reaper).await;
    let hold = "select id from outbox where published_at is null order by id limit 2 for update skip locked";
    another.execute("begin").await.unwrap();
    assert_eq!(done(&mut another, hold, &two.a).await.unwrap().len(), 2);
    assert_eq!(told::<i32>(&mut reaper, mark, &two.a).await, 0, "held by another");
    assert_eq!(told::<i32>(&mut another, mark, &two.a).await, 2, "held");
    assert_eq!(told::<i32>(&mut another, mark, &two.a).await, 0, "once");
    another.execute("commit").await.unwrap();
    let now = "select count(*) from outbox where published_at between now() - interval '1 minute' and now()";
    assert_eq!(told::<i64>(&mut two.truth().await, now, &two.a).await, 2);
    for at in ["null", "now()", "'2000-01-01'", "published_at"] {
        for tenant in ["", "{tenant}"] {
            let set = format!("select set_config('app.tenant_id', '{tenant}', false)");
            done(&mut reaper, &set, &two.a).await.unwrap();
            let every = format!("update outbox set published_at = {at}");
            refused(&mut reaper, &two.a, DENIED, &[&every]).await;
        }
    }
    refused(&mut reaper, &two.a, DENIED, &["update outbox set published_at = null where published_at is not null"])
        .await;
    assert_eq!(told::<i64>(&mut two.truth().await, now, &two.a).await, 2, "nothing waits again");
}

#[tokio::test]
async fn a_reaper_that_was_taken_over_sees_which_seats_are_held_and_no_other_table_or_column() {
    let (two, mut reaper) = taken_over(DatabaseRole::Reaper).await;
    assert_eq!(told::<i64>(&mut reaper, "select count(holder) from seats", &two.a).await, 2, "of every tenant");
    let denied = [
        "select * from sessions",
        "select key_hmac from license_keys",
        "select * from users",
        "select features from licenses",
        "select status from pools",
        "select * from find_license('{number}', '{}', 'default')",
        GRANT,
        "select write_event('{tenant}', 'person.joined', '{}')",
        "select * from suspend_license('{tenant}', '{license}')",
        "select history.make_months('events', 'history.events', now())",
    ];
    refused(&mut reaper, &two.a, DENIED, &denied).await;
    let now = told::<i64>(&mut reaper, "select (extract(epoch from now()) / 60)::bigint", &two.a).await;
    let right = json!({ "minute": now, "count": 2, "held": 1, "peak": 2, "total": 3, "denied": 4, "refused": 4, "seen": false });
    let with = |field: &str, value: Value| {
        let mut wrong = right.clone();
        wrong[field] = value;
        usage(&json!([wrong]))
    };
    let mut nonsense = vec![usage(&json!([])), usage(&json!({})), usage(&json!([1]))];
    nonsense
        .extend(["minute", "count", "held", "peak", "total", "denied", "refused"].map(|field| with(field, json!(-1))));
    nonsense.extend(["held", "peak", "total"].map(|field| with(field, json!(1_000_001))));
    nonsense.extend(
        ["minute", "count", "held", "peak", "total", "denied", "refused", "seen"].map(|field| with(field, Value::Null)),
    );
    nonsense.extend([
        with("count", json!(0)),
        with("count", json!(10_081)),
        with("held", json!(3)),
        with("refused", json!(5)),
    ]);
    let nonsense: Vec<&str> = nonsense.iter().map(String::as_str).collect();
    refused(&mut reaper, &two.a, REFUSED, &nonsense).await;
    let crossed = usage(&json!([right])).replace("{pool}", &two.b.pool_id.0.to_string());
    assert_eq!(told::<i32>(&mut reaper, &crossed, &two.a).await, 0, "another's pool");
    for far in [now - 9 * 1440, now + 1500] {
        assert_eq!(told::<i32>(&mut reaper, &with("minute", json!(far)), &two.a).await, 0, "of a clock far from here");
    }
    assert_eq!(told::<i32>(&mut reaper, &usage(&json!([right])), &two.a).await, 2);
    assert_eq!(told::<i32>(&mut reaper, &usage(&json!([right])), &two.a).await, 0, "once");
}

/// A call of `record_usage` that tells this.
fn usage(told: &Value) -> String {
    format!("select record_usage('{{tenant}}', '{{pool}}', '{told}')")
}

#[tokio::test]
async fn an_admin_that_was_taken_over_changes_what_it_knows_by_the_functions_and_says_no_id_and_no_time() {
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
        "insert into catalog.staff_log (id, actor_kind, actor, actor_name, action, target) values (gen_random_uuid(), 'staff', 'v', 'v', 'plan.created', 'x')",
        "update users set tenant_id = gen_random_uuid()",
        "delete from users",
    ];
    refused(&mut admin, &two.a, DENIED, &denied).await;
    // Another's rows, whatever the tenant named says.
    let of_b = "insert into users (tenant_id, user_id, email, address, role) values ('{tenant}', gen_random_uuid(), 'x', 'x', 'owner')";
    refused(&mut admin, &two.b, DENIED, &[of_b]).await;
    let kinds = ["seat.granted", "seat.freed", "usage", "license.revoked", "organization.created", "anything"];
    for kind in kinds {
        refused(&mut admin, &two.a, REFUSED, &[&format!("select write_event('{{tenant}}', '{kind}', '{{}}')")]).await;
    }
    let large = "select write_event('{tenant}', 'person.joined', jsonb_build_object('a', repeat('x', 65536)))";
    refused(&mut admin, &two.a, REFUSED, &["select write_event('{tenant}', null, '{}')", large]).await;
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

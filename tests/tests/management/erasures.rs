//! Erasing a person or a machine: nothing of theirs is left in any table, dump or answer, and all counts are as before.

use crate::{
    desk::Desk,
    traces::{ADDRESS, HERS, NAME, counts, dump, found, traces},
};
use license_core::domain::{
    access::PersonRole::{Admin, Viewer},
    id::Hw,
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

#[tokio::test]
async fn of_a_person_erased_nothing_is_left_in_any_table_dump_or_answer_and_all_counts_are_as_before() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    let (user, live) = traces(&desk).await;
    desk.sit_on(&other, "a", json!({ "user": ADDRESS, "hostname": "elsewhere" })).await;
    let bob = desk.sit("d", json!({ "user": "bob@example.com", "hostname": "bobs-desk" })).await;
    let mut truth = desk.world.truth().await;
    let of_other = async |truth: &mut PgConnection| -> Vec<String> {
        let sql = "select s::text from sessions s where tenant_id = $1 union all select o::text from outbox o where tenant_id = $1 order by 1";
        sqlx::query_scalar(sql).bind(other.tenant.0).fetch_all(truth).await.unwrap()
    };
    for hers in HERS {
        assert_ne!(found(&mut truth, hers).await, Vec::<String>::new(), "{hers} is there before");
    }
    let (theirs, rows) = (of_other(&mut truth).await, counts(&mut truth).await);
    let tenant = desk.tenant().to_string();
    let answers = desk.answers(&tenant).await;

    let erase = |key: &'static str, address: &'static str| {
        let body = json!({ "person": address });
        desk.post(&desk.at("/erasures"), &body).by(&desk.staff("vendor")).header("idempotency-key", key).send()
    };
    let done = erase("e1", "GRACE.HOPPER@NAVY.EXAMPLE").await.ok(200);
    assert_eq!(done["next_cursor"], Value::Null);
    assert_eq!(done["erased"]["people"], 1);
    assert_eq!(done["erased"]["invitations"], 3, "two of hers, one by her");
    assert_eq!(done["erased"]["sessions"], 5, "three, and two that lie elsewhere");
    assert_eq!(done["erased"]["denials"], 2, "one of them lies elsewhere");
    assert_eq!(done["erased"]["webhooks"], 1);
    assert_eq!(done["erased"]["alert_rules"], 1);
    assert_eq!((&done["erased"]["licenses"], &done["erased"]["organizations"]), (&json!(1), &json!(1)));
    let kept = "select external_id is null and (name, name_key, note) = ('erased', 'erased', 'erased') and metadata = '{\"contact\": \"erased\", \"who\": \"erased\", \"order\": \"7\"}' from licenses
        where tenant_id = $1";
    let kept: bool = sqlx::query_scalar(kept).bind(desk.tenant().0).fetch_one(&mut truth).await.unwrap();
    assert!(kept, "what names nobody stays");
    assert_ne!(done["erased"]["deliveries"], 0, "whose receiver said what it was sent");
    assert_eq!(done["erased"]["mails"], 1, "which names her, and is not sent");

    assert_eq!(of_other(&mut truth).await, theirs, "another organization's are its own");
    // Her address is in the other organization's session alone; with that gone it is nowhere.
    sqlx::query("update sessions set person = null, client = '{}' where tenant_id = $1")
        .bind(other.tenant.0)
        .execute(&mut truth)
        .await
        .unwrap();
    for hers in HERS {
        assert_eq!(found(&mut truth, hers).await, Vec::<String>::new(), "{hers}");
        assert!(!dump(&desk).contains(&hers.to_lowercase()), "{hers} is in the dump");
    }
    assert_eq!(counts(&mut truth).await, rows);
    let after = desk.answers(&tenant).await;
    for ((list, before), (_, now)) in answers.iter().zip(&after) {
        for hers in HERS {
            assert!(!now.to_string().to_lowercase().contains(&hers.to_lowercase()), "{hers} in {list}: {now}");
        }
        let length = |it: &Value| it["items"].as_array().map(Vec::len);
        let more = usize::from(list == "/audit-log");
        assert_eq!(length(now), length(before).map(|it| it + more), "{list}");
        if list == "validate" {
            assert_eq!(now["seats_used"], before["seats_used"]);
            assert!(now.to_string().contains("bobs-desk"), "others are shown as they were: {now}");
        }
    }
    desk.beat(&live).await.ok(200);
    desk.beat(&bob).await.ok(200);

    let entry =
        desk.get(&desk.at("/audit-log?limit=1&action=person.erased")).by(&desk.staff("vendor")).send().await.ok(200);
    let entry = &entry["items"][0];
    assert_eq!(
        (&entry["id"], &entry["target"], &entry["actor"]["name"]),
        (&done["id"], &json!(user), &json!("vendor@example.com"))
    );
    let acts = desk
        .get(&desk.at(&format!("/audit-log?limit=100&actor={user}")))
        .by(&desk.staff("vendor"))
        .send()
        .await
        .ok(200);
    assert!(acts["items"].as_array().unwrap().len() >= 5, "what she did is still told, by her id");

    assert_eq!(erase("e1", "GRACE.HOPPER@NAVY.EXAMPLE").await.ok(200), done, "the same request hears the same");
    erase("e1", "bob@example.com").await.is(422, "idempotency_key_reused");
    let again = erase("e2", ADDRESS).await.ok(200);
    assert!(again["erased"].as_object().unwrap().values().all(|count| count == 0), "{again}");
    let repeated = desk.post(&desk.at("/invitations"), &json!({ "email": ADDRESS, "role": "admin" }));
    let repeated = repeated.by(&desk.person("owner")).header("idempotency-key", "k1").send().await;
    repeated.is(409, "conflict");
    assert_eq!(counts(&mut truth).await, rows);
    for hers in HERS {
        assert_eq!(found(&mut truth, hers).await, Vec::<String>::new(), "{hers}, after the second time");
    }
}

#[tokio::test]
async fn who_gave_an_organization_their_name_and_left_is_erased_from_it() {
    let desk = Desk::new().await;
    let grace = desk.grace(ADDRESS);
    let founded = desk.register(&grace, &json!({})).send().await.ok(201);
    let tenant = founded["organization"]["id"].as_str().unwrap();
    let at = |rest: &str| format!("/api/v1/organizations/{tenant}{rest}");
    let erase = || desk.post(&at("/erasures"), &json!({ "person": ADDRESS })).by(&desk.staff("vendor")).send();
    let belongs = erase().await.is(409, "conflict");
    assert!(belongs["detail"].as_str().unwrap().contains("Remove"), "{belongs}");
    let invited = json!({ "email": "bob@example.com", "role": "owner" });
    let secret = desk.post(&at("/invitations"), &invited).by(&grace).send().await.ok(201)["secret"].clone();
    desk.register(&desk.person("bob"), &json!({ "invitation": secret })).send().await.ok(201);
    let user = founded["user"]["id"].as_str().unwrap();
    desk.delete(&at(&format!("/people/{user}"))).by(&grace).send().await.ok(204);
    erase().await.ok(200);
    let mut truth = desk.world.truth().await;
    for hers in [ADDRESS, NAME] {
        assert_eq!(found(&mut truth, hers).await, Vec::<String>::new(), "{hers}");
    }
    let people = desk.get(&at("/people")).by(&desk.person("bob")).send().await.ok(200);
    assert_eq!(people["items"][0]["email"], "bob@example.com");
}

#[tokio::test]
async fn of_a_machine_erased_no_label_or_name_is_left_and_it_is_counted_as_before() {
    let desk = Desk::new().await;
    let says = |host: &str| json!({ "user": "bob@example.com", "hostname": host });
    let first = desk.sit("a", says("the-machine")).await;
    desk.end(&desk.person("owner"), &first.id, &json!({ "force": true })).await.ok(200);
    let live = desk.sit("a", says("the-machine")).await;
    desk.sit("b", says("another")).await;
    let hw = Hw::of(desk.world.license.pool.license, &"hardware-a".parse().unwrap());
    let mut truth = desk.world.truth().await;
    let rows = counts(&mut truth).await;
    let machine = desk.at(&format!("/sessions?machine={hw}"));
    let erased = desk.erase_all(json!({ "machine": hw })).await;
    assert_eq!((&erased["sessions"], &erased["events"], &erased["audit_entries"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(found(&mut truth, "the-machine").await, Vec::<String>::new());
    assert_eq!(counts(&mut truth).await, rows);
    let owner = desk.person("owner");
    assert_eq!(desk.ids(&owner, &machine).await, [live.id.as_str()]);
    assert_eq!(desk.ids(&owner, &format!("{machine}&state=ended")).await, [first.id.as_str()]);
    let said = desk.answers(&desk.tenant().to_string()).await;
    assert!(said.iter().all(|(_, it)| !it.to_string().contains("the-machine")), "{said:?}");
    assert!(said.iter().any(|(list, it)| list == "validate" && it.to_string().contains("another")));
    desk.beat(&live).await.ok(200);
    desk.world.assert_no_drift().await;
    let again = desk.erase_all(json!({ "machine": hw })).await;
    assert!(again.as_object().unwrap().values().all(|count| count == 0), "{again}");
}

#[tokio::test]
async fn who_is_only_called_alike_is_not_touched() {
    let desk = Desk::new().await;
    let alike = [
        "ada@example.com.au",
        "x.ada@example.com",
        "ada@example.co",
        "x+ada@example.com",
        "éada@example.com",
        "a_a@example.com",
        "ad%@example.com",
    ];
    for (n, address) in alike.iter().enumerate() {
        desk.invite("owner", address, "viewer").await.ok(201);
        if n < 4 {
            desk.sit(&format!("m{n}"), json!({ "user": address, "hostname": format!("host-{n}") })).await;
        }
    }
    desk.join(desk.tenant(), "da", Viewer).await;
    let owner = desk.person("owner");
    for name in ["ci", "viewer"] {
        desk.post(&desk.at("/projects"), &json!({ "name": name })).by(&owner).send().await.ok(201);
    }
    desk.sit("m4", json!({ "project": "ci", "deployment": "ci" })).await;
    let mut truth = desk.world.truth().await;
    let everything = "select s::text from sessions s union all select o::text from outbox o union all select i::text from invitations i
                      union all select a::text from audit_log a where action <> 'person.erased' union all select u::text from users u
                      union all select p::text from projects p order by 1";
    let before: Vec<String> = sqlx::query_scalar(everything).fetch_all(&mut truth).await.unwrap();
    for whom in ["ada@example.com", "example.com", "a%@example.com", "___@example.com", ".*", "viewer", "ci", "a"] {
        let erased = desk.erase_all(json!({ "person": whom })).await;
        assert!(erased.as_object().unwrap().values().all(|count| count == 0), "{whom}: {erased}");
    }
    let after: Vec<String> = sqlx::query_scalar(everything).fetch_all(&mut truth).await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn who_is_called_by_a_word_of_any_signs_is_erased_as_well() {
    for word in [
        "CORP\\ada",
        "ada",
        "o'brien@example.com",
        "\"quoted\"@example.com",
        "ada+tag@example.com",
        "Ada [x] (y)",
        "adá@exämple.com",
    ] {
        let desk = Desk::new().await;
        let seat = desk.sit("a", json!({ "user": word, "hostname": "host-of-theirs" })).await;
        desk.end(&desk.person("owner"), &seat.id, &json!({ "force": true })).await.ok(200);
        desk.sit("a", json!({ "user": word, "hostname": "host-of-theirs" })).await;
        let erased = desk.erase_all(json!({ "person": word })).await;
        assert_eq!((&erased["sessions"], &erased["audit_entries"]), (&json!(2), &json!(1)), "{word}");
        let mut truth = desk.world.truth().await;
        assert_eq!(found(&mut truth, "host-of-theirs").await, Vec::<String>::new(), "{word}");
        let left = "select count(*) from sessions where person is not null or client ? 'user'";
        assert_eq!(desk.world.count(left).await, 0, "{word}");
    }
}

#[tokio::test]
async fn nothing_is_erased_that_the_organizations_audit_log_does_not_tell_of() {
    let desk = Desk::new().await;
    let other = desk.other("stranger").await;
    let seat = desk.sit("a", json!({ "user": "ada@example.com", "hostname": "adas" })).await;
    desk.release(&seat).await;
    let of_other = format!("/api/v1/organizations/{}/erasures", other.tenant);
    let theirs =
        desk.post(&of_other, &json!({ "person": "ada@example.com" })).by(&desk.staff("vendor")).send().await.ok(200);
    let theirs: uuid::Uuid = theirs["id"].as_str().unwrap().parse().unwrap();
    let options = desk.world.database.clone().username("admin");
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let older = "insert into audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target, seq, details_hash, hash)
                 values ($1, '01900000-0000-7000-8000-000000000000', 'staff', 'v', 'v', 'person.erased', 'x', 0, '', '') returning id";
    let older = sqlx::query_scalar(older).bind(desk.tenant().0).fetch_one(&mut desk.world.truth().await).await.unwrap();
    for erasure in [theirs, older, uuid::Uuid::now_v7(), uuid::Uuid::nil()] {
        let sql = "select sessions from history.erase_ended($1, $2, 'person', 'ada@example.com', $3)";
        let refused =
            sqlx::query(sql).bind(desk.tenant().0).bind(erasure).bind(uuid::Uuid::nil()).execute(&mut admin).await;
        assert!(refused.unwrap_err().to_string().contains("nobody wrote down"), "{erasure}");
    }
    assert_eq!(desk.world.count("select count(*) from sessions where label = 'adas'").await, 1);
}

#[tokio::test]
async fn what_is_wrong_with_an_erasure_is_named() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Admin).await;
    let hw = Hw([7; 32]).to_string();
    for (body, fields) in [
        (json!({}), &["person"][..]),
        (json!({ "person": "", "machine": hw }), &["person", "machine"]),
        (json!({ "person": "ada@example.com", "machine": hw }), &["machine"]),
        (json!({ "machine": "short" }), &["machine"]),
        (json!({ "person": "   " }), &["person"]),
        (json!({ "person": "x".repeat(256) }), &["person"]),
        (json!({ "person": "a\u{7}b" }), &["person"]),
        (json!({ "person": "ada@example.com", "cursor": "x" }), &["cursor"]),
    ] {
        assert_eq!(desk.erase(&body).await.wrong(), fields, "{body}");
    }
    desk.erase(&json!({ "person": "BOB@example.com" })).await.is(409, "conflict");
    desk.erase(&json!({ "person": "Vendor@example.com" })).await.is(409, "conflict");
    assert_eq!(desk.world.count("select count(*) from audit_log where action = 'person.erased'").await, 0);
}

#[tokio::test]
async fn while_rows_of_the_history_are_moved_an_erasure_waits_and_goes_on_where_it_was() {
    let desk = Desk::new().await;
    let seat = desk.sit("a", json!({ "user": "ada@example.com", "hostname": "adas" })).await;
    desk.release(&seat).await;
    let mut truth = desk.world.truth().await;
    let mut moving = desk.world.truth().await;
    let mut step = moving.begin().await.unwrap();
    step.execute("select pg_advisory_xact_lock(history.moving())").await.unwrap();
    let body = json!({ "person": "ada@example.com" });
    desk.erase(&body).await.is(503, "records_unavailable");
    step.rollback().await.unwrap();

    let many = "insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, label, person, client, ended_at, end_reason)
        select tenant_id, uuid_v7(), license_id, pool_id, 0, 'h', gen_random_uuid(), hw, label, person, client, now() - interval '2 months' * (n % 2), 'released'
        from sessions, generate_series(1, 3000) n where label = 'adas'";
    truth.execute(many).await.unwrap();
    let first = desk.erase(&body).await.ok(200);
    let mut sessions = first["erased"]["sessions"].as_i64().unwrap();
    let mut cursor = first["next_cursor"].clone();
    if cursor.is_string() {
        let other = json!({ "person": "eve@example.com", "cursor": cursor });
        assert_eq!(desk.erase(&other).await.wrong(), ["cursor"], "an erasure goes on with the person it began with");
    }
    while cursor.is_string() {
        let next = desk.erase(&json!({ "person": "ada@example.com", "cursor": cursor })).await.ok(200);
        assert_eq!(next["id"], first["id"], "it is one erasure");
        sessions += next["erased"]["sessions"].as_i64().unwrap();
        cursor = next["next_cursor"].clone();
    }
    assert_eq!(sessions, 3001);
    for hers in ["ada@example.com", "adas"] {
        assert_eq!(found(&mut truth, hers).await, Vec::<String>::new());
    }
}

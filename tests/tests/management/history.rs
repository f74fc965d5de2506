//! Past sessions, by every filter and page by page.

use crate::desk::Desk;
use license_core::domain::{access::PersonRole::Member, id::Hw};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

#[tokio::test]
async fn past_sessions_are_found_by_how_they_ended_where_who_on_what_machine_and_when() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let second = desk.license_of(desk.tenant()).await;
    let project = desk.post(&desk.at("/projects"), &json!({ "name": "Turbine" })).by(&owner).send().await.ok(201);
    let released = desk.sit("a", json!({ "user": "bob@example.com", "project": "turbine" })).await;
    desk.release(&released).await;
    let between: OffsetDateTime =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut desk.world.truth().await).await.unwrap();
    let expired = desk.sit_on(&second, "a", json!({ "user": "bob@example.com" })).await;
    desk.world.pass_ttl();
    desk.world.sweep().await;
    let kicked = desk.sit("b", json!({ "user": "eve@example.com", "project": "turbine" })).await;
    desk.end(&owner, &kicked.id, &json!({})).await.ok(200);
    desk.sit("c", json!({ "user": "bob@example.com", "project": "turbine" })).await;

    let hw = Hw::of(desk.world.license.pool.license, &"hardware-a".parse().unwrap());
    let moment = between.format(&Rfc3339).unwrap();
    let [released, expired, kicked] = [released.id, expired.id, kicked.id];
    let license = |id| format!("license={id}");
    // An id has the millisecond in which the session began, in which it was open.
    let at = |id: &str| {
        let ms = id.parse::<Uuid>().unwrap().as_u128() >> 80;
        OffsetDateTime::from_unix_timestamp_nanos((ms * 1_000_000) as i128).unwrap().format(&Rfc3339).unwrap()
    };
    let first = license(desk.world.license.id);
    for (query, found) in [
        (String::new(), vec![&kicked, &expired, &released]),
        ("reason=released".into(), vec![&released]),
        ("reason=expired".into(), vec![&expired]),
        ("reason=kicked".into(), vec![&kicked]),
        (first.clone(), vec![&kicked, &released]),
        (license(second.id), vec![&expired]),
        (format!("project={}", project["id"].as_str().unwrap()), vec![&kicked, &released]),
        (format!("machine={hw}"), vec![&released]),
        ("user=BOB%40example.com".into(), vec![&expired, &released]),
        (format!("started_after={moment}"), vec![&kicked, &expired]),
        (format!("started_before={moment}"), vec![&released]),
        (format!("open_at={}", at(&released)), vec![&released]),
        (format!("open_at={}&{first}&user=bob@example.com", at(&released)), vec![&released]),
        (format!("open_at={}&user=eve@example.com", at(&released)), vec![]),
        (format!("open_at={moment}"), vec![]),
        ("open_at=2999-01-01T00:00:00Z".into(), vec![]),
        (format!("{first}&user=bob@example.com"), vec![&released]),
        (format!("{first}&reason=kicked&project={}", project["id"].as_str().unwrap()), vec![&kicked]),
        (format!("user=bob@example.com&started_after={moment}"), vec![&expired]),
        (format!("machine={hw}&user=eve@example.com"), vec![]),
    ] {
        for limit in [1, 2, 20] {
            let path = desk.at(&format!("/sessions?state=ended&limit={limit}&{query}"));
            assert_eq!(desk.ids(&owner, &path).await.iter().collect::<Vec<_>>(), found, "{query}");
        }
    }
    let of_second = desk.at(&format!("/licenses/{}/sessions?state=ended", second.id));
    assert_eq!(desk.ids(&owner, &of_second).await, [expired.as_str()]);
    let one = desk.get(&desk.at(&format!("/sessions/{expired}"))).by(&owner).send().await.ok(200);
    assert_eq!((&one["state"], &one["reason"]), (&json!("ended"), &json!("expired")));
    let last_seen = OffsetDateTime::parse(one["last_seen_at"].as_str().unwrap(), &Rfc3339).unwrap();
    let since = OffsetDateTime::parse(one["since"].as_str().unwrap(), &Rfc3339).unwrap();
    assert!((last_seen - since).abs() < time::Duration::seconds(60), "heard of when it began and never again");
}

#[tokio::test]
async fn several_filters_find_what_is_rare_behind_many_pages_of_other_sessions() {
    let desk = Desk::new().await;
    desk.join(desk.tenant(), "bob", Member).await;
    let license = &desk.world.license;
    // Bob's 2,500 past sessions; every 1,200th of them, the oldest too, on machine m.
    sqlx::query(
        "insert into sessions (tenant_id, session_id, license_id, number, product, pool_id, seat_no, holder, attempt, hw, person, ended_at, end_reason)
         select $1, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $2, $5, 'coditect', $3, 0, 'h', gen_random_uuid(),
           case when n % 1200 = 1 then $4 else 'other' end, 'bob@example.com', now(), 'released'
         from generate_series(1, 2500) n",
    )
    .bind(license.tenant.0)
    .bind(license.id.0)
    .bind(license.pool_id.0)
    .bind(Hw([7; 32]).to_string())
    .bind(license.pool.license.to_string())
    .execute(&mut desk.world.truth().await)
    .await
    .unwrap();
    let id = |n: u32| Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)).to_string();
    let rare = [id(2401), id(1201), id(1)];
    // Driven by the machine, narrowed by the person; and driven by the person, narrowed by the license.
    let path = desk.at(&format!("/sessions?state=ended&machine={}", Hw([7; 32])));
    assert_eq!(desk.ids(&desk.person("bob"), &path).await, rare);
    let path = desk.at(&format!("/licenses/{}/sessions?state=ended&limit=100", license.id));
    assert_eq!(desk.ids(&desk.person("bob"), &path).await.len(), 2500, "none is lost or listed twice");
    let none = desk.at(&format!("/licenses/{}/sessions?state=ended&reason=kicked", license.id));
    let page = desk.get(&none).by(&desk.person("bob")).send().await.ok(200);
    assert_eq!(page["items"], json!([]));
    assert!(page["next_cursor"].is_string(), "it looked through a thousand and says so");
    assert_eq!(desk.ids(&desk.person("bob"), &none).await, Vec::<String>::new());
}

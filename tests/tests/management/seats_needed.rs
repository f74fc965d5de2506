//! How many seats are needed, as people are told.

use crate::desk::Desk;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

/// Twenty days, of which each has the same: three machines hold a seat from nine to five, a fourth is refused at ten and
/// gets a seat at five, and a fifth is refused at eleven and gives up.
const DATA: &str = "
    select set_config('app.tenant_id', tenant_id::text, false) from pools where pool_id = '$POOL';
    insert into sessions (tenant_id, session_id, license_id, pool_id, pool, seat_no, holder, attempt, hw, started_at, ended_at, end_reason)
    select p.tenant_id, (lpad(to_hex(unix_ms(began)), 12, '0') || '70008000' || lpad(to_hex(day * 10 + n), 12, '0'))::uuid,
      p.license_id, p.pool_id, p.name, least(n, 2), 'm' || n, gen_random_uuid(), 'm' || n, began, ended, 'released'
    from pools p, generate_series(1, 20) day, generate_series(0, 3) n,
      lateral (select date_trunc('day', now(), 'UTC') - make_interval(days => day) as midnight) d,
      lateral (select midnight + case n when 3 then interval '17 hours 1 second' else interval '9 hours' end as began,
        midnight + case n when 3 then interval '18 hours' else interval '17 hours' end as ended) t
    where p.pool_id = '$POOL';
    insert into denials (tenant_id, denial_id, license_id, pool_id, pool, number, product, at, hw, label, last_at, tries, granted_at, ended_at)
    select p.tenant_id, denial_id(p.pool_id, 'm' || n, unix_ms(at)), p.license_id, p.pool_id, p.name, '', '', at, 'm' || n, '', at, 1,
      granted, coalesce(granted, at)
    from pools p, generate_series(1, 20) day, generate_series(3, 4) n,
      lateral (select date_trunc('day', now(), 'UTC') - make_interval(days => day) as midnight) d,
      lateral (select midnight + case n when 3 then interval '10 hours' else interval '11 hours' end as at,
        case n when 3 then midnight + interval '17 hours' end as granted) t
    where p.pool_id = '$POOL';
    insert into usage_days select tenant_id, pool_id, date_trunc('day', now(), 'UTC') - make_interval(days => day), 480, 480, 1440, 1440, 3, 3, 2, 2
    from pools, generate_series(1, $DAYS) day where pool_id = '$POOL'";

async fn desk(days: u32) -> Desk {
    let desk = Desk::new().await;
    desk.world.resize(3).await;
    let pool = desk.world.license.pool_id.to_string();
    let data = DATA.replace("$POOL", &pool).replace("$DAYS", &days.to_string());
    desk.world.truth().await.execute(AssertSqlSafe(data)).await.unwrap();
    desk
}

async fn ask(desk: &Desk, more: &str) -> Value {
    let path = desk.at(&format!("/seats-needed?license={}{more}", desk.world.license.id));
    desk.get(&path).by(&desk.person("owner")).send().await.ok(200)
}

#[tokio::test]
async fn a_history_says_how_many_seats_each_share_of_refusals_needs() {
    let desk = desk(20).await;
    let advice = ask(&desk, "").await;
    assert_eq!((&advice["wants"], &advice["refused"], &advice["replayed"]), (&json!(100), &json!(40), &json!(40)));
    assert_eq!((&advice["days"], &advice["drawn"], &advice["withheld"]), (&json!(20), &json!(20), &Value::Null));
    // With four seats the fourth machine has one from ten on, and has left it a second before the fifth asks.
    let needed =
        json!([{ "percent": 0.1, "seats": 4 }, { "percent": 1.0, "seats": 4 }, { "percent": 5.0, "seats": 4 }]);
    assert_eq!(advice["needed"], needed);
    assert_eq!(advice["peak"], 5);
    assert_eq!(advice["at"].as_array().unwrap().len(), 20 * 9, "from nine to six");
    assert_eq!(advice["wanted"].as_array().unwrap()[..3], [json!(3), json!(4), json!(5)]);
    let last = advice["assumptions"].as_array().unwrap().len();
    assert!(last > 2, "{advice}");
}

#[tokio::test]
async fn with_too_few_days_or_a_history_that_does_not_explain_itself_no_number_is_said() {
    let few = ask(&desk(13).await, "").await;
    assert_eq!(few["needed"], json!([]));
    assert_eq!(few["withheld"], "The pool was used on 13 days of this time; it takes 14.");
    // The records say now that there were always enough seats.
    let desk = desk(20).await;
    desk.world.resize(6).await;
    let odd = ask(&desk, "").await;
    assert_eq!((&odd["needed"], &odd["replayed"]), (&json!([]), &json!(0)));
    let why = odd["withheld"].as_str().unwrap();
    assert!(why.contains("0 of 100 wants are refused, and 40 were"), "{why}");
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_named() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    let license = desk.world.license.id;
    for (query, field) in [
        (String::new(), "license"),
        (format!("?license={license}&pool=No%20Pool"), "pool"),
        (format!("?license={license}&from=2026-01-01T00:00:00Z&to=2026-03-05T00:00:00Z"), "from"),
        (format!("?license={license}&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z"), "to"),
        (format!("?license={license}&from=9000-01-01T00:00:00Z"), "to"),
    ] {
        let answer = desk.get(&desk.at(&format!("/seats-needed{query}"))).by(&owner).send().await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)), "{query}");
    }
    let unknown = desk.at(&format!("/seats-needed?license={license}&pool=night"));
    assert_eq!(desk.get(&unknown).by(&owner).send().await.status, 404);
    let none = ask(&desk, "").await;
    assert_eq!((&none["wants"], &none["at"], &none["peak"]), (&json!(0), &json!([]), &json!(0)));
}

#[tokio::test]
async fn a_history_that_is_too_long_is_refused_and_says_so() {
    let desk = Desk::new().await;
    let many = "select set_config('app.tenant_id', tenant_id::text, false) from pools where pool_id = '$POOL';
        insert into sessions (tenant_id, session_id, license_id, pool_id, pool, seat_no, holder, attempt, hw, started_at, ended_at, end_reason)
        select p.tenant_id, (lpad(to_hex(unix_ms(now()) - n * 1000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
          p.license_id, p.pool_id, p.name, 0, 'm', gen_random_uuid(), 'm', now() - n * interval '1 second', now(), 'released'
        from pools p, generate_series(1, 50001) n where p.pool_id = '$POOL'";
    let many = many.replace("$POOL", &desk.world.license.pool_id.to_string());
    desk.world.truth().await.execute(AssertSqlSafe(many)).await.unwrap();
    let path = desk.at(&format!("/seats-needed?license={}", desk.world.license.id));
    let answer = desk.get(&path).by(&desk.person("owner")).send().await;
    let problem = answer.body["errors"][0]["problem"].as_str().unwrap().to_owned();
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("from")));
    assert!(problem.contains("more than 50000 sessions"), "{problem}");
}

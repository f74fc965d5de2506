//! How the seats of a license were used, as the API answers it: what is in a series, what is missing, and what is
//! refused.

use crate::desk::Desk;
use license_core::domain::access::PersonRole;
use license_tests::client::release;
use serde_json::{Value, json};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn usage(desk: &Desk, more: &str) -> String {
    desk.at(&format!("/usage?license={}{more}", desk.world.license.id))
}

fn at_of(series: &Value, point: usize) -> &str {
    series["at"][point].as_str().unwrap()
}

async fn read(desk: &Desk, more: &str) -> Value {
    desk.get(&usage(desk, more)).by(&desk.person("owner")).send().await.ok(200)
}

#[tokio::test]
async fn a_series_says_what_was_held_and_refused_and_adds_up_seat_hours_across_a_resize() {
    let desk = Desk::new().await;
    let world = &desk.world;
    let total = world.count("select seats_total::bigint from pools").await;
    // The minute in which the copy is made is not counted from its beginning.
    release(&world.protocol, &world.machine("first").seated(&world.protocol).await).await;
    world.pass(MINUTE);
    let held = world.machine("a").seated(&world.protocol).await;
    world.pass(MINUTE);
    world.sweep().await;
    world.resize(1).await;
    world.machine("b").turned_away(&world.protocol).await;
    world.machine("b").turned_away(&world.protocol).await;
    world.pass(MINUTE);
    release(&world.protocol, &held).await;
    world.pass(MINUTE);
    world.sweep().await;

    let minutes = read(&desk, "&step=minute").await;
    assert_eq!(minutes["used"], json!([0.0, 1.0, 1.0, 0.0]));
    assert_eq!(minutes["peak"], json!([1, 1, 1, 1]));
    assert_eq!(minutes["total"], json!([total, total, 1, 1]));
    assert_eq!(minutes["denied"], json!([0, 0, 2, 0]));
    assert_eq!(minutes["refused"], json!([0, 0, 1, 0]), "the second is the same want");
    assert_eq!(minutes["seen"], json!([0, 1, 1, 1]));
    assert_eq!(minutes["at"].as_array().unwrap().len(), 4);
    let hours = |seats: i64| seats as f64 / 60.0;
    assert_eq!(minutes["seat_hours"], json!({ "used": hours(2), "total": hours(2 * total + 2) }));
    assert_eq!((&minutes["step"], &minutes["pool"]), (&json!("minute"), &Value::Null));

    let sum = |series: &Value, column: &str| {
        series[column].as_array().unwrap().iter().map(|value| value.as_i64().unwrap()).sum::<i64>()
    };
    for step in ["hour", "day"] {
        let series = read(&desk, &format!("&pool=default&step={step}")).await;
        assert_eq!((sum(&series, "denied"), sum(&series, "seen")), (2, 3), "{step}");
        assert_eq!(series["seat_hours"], minutes["seat_hours"], "{step}");
        assert_eq!(series["pool"], "default");
    }
    let csv =
        desk.get(&usage(&desk, "&step=minute")).by(&desk.person("owner")).header("accept", "text/csv").text().await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8; header=present");
    let rows = csv.body.as_str().unwrap().lines().map(|line| line.split(',').collect::<Vec<_>>());
    let rows: Vec<Vec<&str>> = rows.collect();
    assert_eq!(rows[0], ["at", "denied", "minutes", "peak", "pools", "refused", "seen", "total", "used"]);
    assert_eq!(rows.len(), 5, "a line for each point");
    assert_eq!(rows[3][1..], ["2", "1", "1", "1", "1", "1", "1", "1.0"], "{rows:?}");
    assert_eq!(minutes["at"][2], rows[3][0]);
    // In parts, no point is there twice: each ends with the point that its end is in.
    let day = &at_of(&minutes, 0)[..10];
    let part = read(&desk, &format!("&step=hour&from={day}T01:10:00Z&to={day}T02:10:00Z")).await;
    let times = (format!("{day}T01:00:00Z"), format!("{day}T03:00:00Z"));
    assert_eq!((&part["from"], &part["to"]), (&json!(times.0), &json!(times.1)));
    // A minute without a row is missing, and its neighbours are there.
    let at = at_of(&minutes, 1);
    let one = read(&desk, &format!("&step=minute&from={at}&to={}", at_of(&minutes, 2))).await;
    assert_eq!((&one["at"], &one["used"]), (&json!([at]), &json!([1.0])));
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_named_and_another_organization_has_no_such_license() {
    let desk = Desk::new().await;
    let owner = desk.person("owner");
    for (more, field) in [
        ("&step=week", "step"),
        ("&from=yesterday", "from"),
        ("&pool=No%20Pool", "pool"),
        ("&step=minute&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z", "from"),
        ("&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("&step=minute&from=2026-01-01T00:00:00Z&to=2026-01-02T01:00:30Z", "from"),
        ("&to=0000-01-01T00:30:00Z", "to"),
        ("&from=0000-01-01T00:30:00Z", "from"),
        ("&to=9999-12-31T23:30:00Z", "to"),
    ] {
        let answer = desk.get(&usage(&desk, more)).by(&owner).send().await;
        let named: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
        assert_eq!((answer.status, named), (422, vec![&json!(field)]), "{more}");
    }
    let without = desk.get(&desk.at("/usage")).by(&owner).send().await;
    assert_eq!((without.status, &without.body["errors"][0]["field"]), (422, &json!("license")));
    assert_eq!(desk.get(&usage(&desk, "&pool=night")).by(&owner).send().await.status, 404);

    let foreign = desk.other("stranger").await;
    let theirs = format!("/api/v1/organizations/{}/usage?license={}", foreign.tenant, desk.world.license.id);
    assert_eq!(desk.get(&theirs).by(&desk.person("stranger")).send().await.status, 404);
    desk.join(desk.tenant(), "admin", PersonRole::Admin).await;
    let series = desk.get(&usage(&desk, "")).by(&desk.person("admin")).send().await.ok(200);
    assert_eq!((&series["step"], &series["at"]), (&json!("hour"), &json!([])));
}

//! What a long audit log costs: one stretch at a time, and what is written at its end by key.

use crate::{chain::script, desk::Desk};
use license_tests::explain::Plans;
use serde_json::json;
use sqlx::Executor;

/// Entries that the service did not write: 5,100 of them, more than one request looks through.
async fn many(desk: &Desk) {
    let many = "do $$ begin perform set_config('app.tenant_id', (select tenant_id::text from organizations), true);
        perform history.audit_append(tenant_id, 'person', 'x', 'x', 'project.edited', n::text, null, null, null, null)
        from organizations, generate_series(1, 5100) n; end $$";
    desk.world.truth().await.execute(many).await.unwrap();
}

#[tokio::test]
async fn a_long_log_is_looked_through_in_stretches_and_faults_in_any_are_found() {
    let desk = Desk::new().await;
    many(&desk).await;
    let (mut checked, mut found, mut stretches, mut next) = (0, 0, 0, String::new());
    loop {
        let it = desk.verify(&next).await;
        checked += it["checked"].as_i64().unwrap();
        found += it["found"].as_i64().unwrap();
        stretches += 1;
        assert!(it["faults"].as_array().unwrap().len() <= 20);
        let Some(cursor) = it["next_cursor"].as_str() else { break };
        next = format!("?cursor={cursor}");
    }
    assert_eq!((checked, found, stretches), (5101, 5100, 2), "nobody sealed what the service did not write");
    let (whole, said) = script(&desk, &desk.exported(500).await, &[]);
    assert!(whole, "{said}");
}

#[tokio::test]
async fn writing_and_erasing_an_entry_and_a_stretch_of_a_long_log_cost_what_they_cost_in_a_short_one() {
    let desk = Desk::new().await;
    let plans = Plans::nested(&desk.world.database).await;
    let owner = desk.person("owner");
    let ask = async |name: &str, stretch: &str, staff: &str| {
        desk.invite("owner", &format!("{name}@example.com"), "viewer").await.ok(201);
        desk.get(&desk.at("/people")).by(&desk.staff(staff)).send().await.ok(200);
        desk.get(&desk.at(&format!("/audit-log/export?limit=10{stretch}"))).by(&owner).send().await.ok(200)
    };
    // The statements are planned while the log is short, and the plans stay.
    for n in 0..8 {
        ask(&format!("short{n}"), "", "ann").await;
    }
    let first = desk.get(&desk.at("/audit-log/verify")).by(&owner).send().await.ok(200);
    let head = format!("?seq={}&hash={}", first["head"]["seq"], first["head"]["hash"].as_str().unwrap());
    many(&desk).await;
    let half = desk.verify("").await["next_cursor"].as_str().unwrap().to_owned();
    plans.take();
    ask("long", &format!("&cursor={half}"), "ben").await;
    desk.verify(&format!("{head}&cursor={half}")).await;
    let ran = plans.take();
    assert!(ran.iter().any(|it| it.text.contains("audit_heads")), "the functions are looked into");
    for statement in ran.iter().filter(|it| it.text.contains("audit_")) {
        assert!(statement.looked_at() < 250, "{}\n{:#}", statement.text, statement.plan);
    }
    // An erasure looks through all of the log once, 2,000 entries at a time; what it blanks is found by key.
    assert_eq!(desk.erase_all(json!({ "person": "long@example.com" })).await["audit_entries"], 1);
    for statement in plans.take().iter().filter(|it| it.text.contains("audit_log")) {
        assert!(statement.looked_at() <= 5000, "{}\n{:#}", statement.text, statement.plan);
    }
}

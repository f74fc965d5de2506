//! The report of each month: once to each whom the rule names, and of the month that is over alone.

use crate::endpoint::Endpoint;
use serde_json::{Value, json};

impl Endpoint {
    /// A day so long after the beginning of the last month that is over (SQL): 5 of 6 seats were held at once, 90 seat
    /// minutes used, two wants refused.
    async fn day(&self, after: &str) {
        self.run(&format!(
            "insert into usage_days (tenant_id, pool_id, at, minutes, seen, used_sum, total_sum, peak, total, denied, refused)
             select tenant_id, pool_id, date_trunc('month', date_trunc('month', now() - interval '6 hours', 'UTC')
               - interval '1 day', 'UTC') + interval '{after}', 60, 60, 90, 360, 5, 6, 9, 2 from pools"
        ))
        .await;
    }

    /// Whom reports were written to, and what they say, the first first.
    async fn reports(&self) -> Vec<(String, Value)> {
        let sql = "select u.role, m.data from mails m join users u using (tenant_id, user_id)
            where m.kind = 'report' order by m.at, u.role";
        sqlx::query_as(sql).fetch_all(&mut self.truth().await).await.unwrap()
    }
}

#[tokio::test]
async fn the_month_that_is_over_is_told_once_however_often_and_by_how_many_the_rule_is_judged() {
    let endpoint = Endpoint::without_rules().await;
    for after in ["-1 days", "0 days", "20 days", "40 days"] {
        endpoint.day(after).await;
    }
    endpoint.rule("monthly_report", "").await;
    tokio::join!(endpoint.tick(), endpoint.tick(), endpoint.tick());
    let number = endpoint.world.license.key.number();
    let line =
        format!("License {number} (coditect): at most 5 of 6 seats held at once, 3 seat hours used; 4 wants refused.");
    let reports = endpoint.reports().await;
    let [(role, said)] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((role.as_str(), &said["lines"]), ("owner", &json!([line])));
    assert!(said["title"].as_str().unwrap().starts_with("Seats in "), "{said}");
    assert_eq!(endpoint.alerts().await, (0, 0), "it raises nothing");

    // Whatever has it judged again in the same month, also where what was told is forgotten.
    endpoint.run("update alert_rules set look_at = now(), told_to = null, mail_roles = '{owner,admin}'").await;
    endpoint.tick().await;
    assert_eq!(endpoint.reports().await, reports);
    let next = "select count(*) from alert_rules where told_to = date_trunc('month', now() - interval '6 hours', 'UTC')
        and look_at > now() and look_at <= now() + interval '1 day'";
    assert_eq!(endpoint.world.count(next).await, 1, "it is looked at daily, and when the next month is over");
}

#[tokio::test]
async fn of_a_month_in_which_nothing_was_counted_nothing_is_told() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.day("40 days").await;
    endpoint.rule("monthly_report", "").await;
    endpoint.tick().await;
    assert_eq!(endpoint.reports().await, []);
}

#[tokio::test]
async fn the_pools_with_the_most_refusals_come_first_and_the_rest_is_counted() {
    let endpoint = Endpoint::without_rules().await;
    endpoint
        .run(
            "insert into pools (tenant_id, pool_id, license_id, name, seats_total)
             select tenant_id, gen_random_uuid(), license_id, 'pool-' || n, 6 from licenses, generate_series(1, 45) n",
        )
        .await;
    endpoint.day("3 days").await;
    endpoint
        .run("update usage_days d set refused = 7 from pools p where p.pool_id = d.pool_id and p.name = 'pool-9'")
        .await;
    endpoint.rule("monthly_report", "").await;
    endpoint.tick().await;
    let lines = endpoint.reports().await[0].1["lines"].as_array().unwrap().clone();
    assert_eq!((lines.len(), lines[40].as_str().unwrap()), (41, "And 6 pools more."));
    assert!(lines[0].as_str().unwrap().contains(", pool pool-9: "), "{}", lines[0]);
    assert!(lines[0].as_str().unwrap().ends_with("; 7 wants refused."), "{}", lines[0]);
}

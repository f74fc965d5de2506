//! What is raised, when, and when it is over: each once, whoever judges and how often.

use crate::endpoint::{Endpoint, PATIENCE, webhook_keys};
use license_core::domain::webhook::EndpointRules;
use license_pubsub::Message;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tower::ServiceExt;

const FULL: &str = "percent, minutes = 90, 3";

#[tokio::test]
async fn a_pool_that_is_used_for_minutes_is_told_once_and_once_when_it_is_not_any_more() {
    let endpoint = Endpoint::without_rules().await;
    let rule = endpoint.rule("pool_use", FULL).await;
    endpoint.tick().await;
    endpoint.told(&[(9, 0), (10, 0)]).await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (0, 0), "two minutes are not three");
    endpoint.minute((9, 0)).await;
    assert_eq!(endpoint.alerts().await, (1, 0));
    for _ in 0..3 {
        endpoint.tick().await;
    }
    assert_eq!(endpoint.alerts().await, (1, 0), "once");

    // Around the threshold it stays what it is.
    for held in [8, 8, 9, 8, 8] {
        endpoint.minute((held, 0)).await;
    }
    assert_eq!(endpoint.alerts().await, (1, 0), "two minutes below are not three");
    endpoint.minute((8, 0)).await;
    assert_eq!((endpoint.alerts().await, endpoint.ended_by().await), ((1, 1), "back_to_normal".into()));
    for held in [9, 9, 8, 9, 9] {
        endpoint.minute((held, 0)).await;
    }
    assert_eq!(endpoint.alerts().await, (1, 1), "never three in a row");
    endpoint.minute((9, 0)).await;
    assert_eq!(endpoint.alerts().await, (2, 1), "raised again");

    let [raised, _] = &endpoint.payloads("alert.raised").await[..] else { panic!("two were raised") };
    assert_eq!(
        (
            &raised["rule_id"],
            &raised["kind"],
            &raised["pool"],
            &raised["value"],
            &raised["threshold"],
            &raised["minutes"]
        ),
        (&json!(rule), &json!("pool_use"), &json!("default"), &json!(90), &json!(90), &json!(3))
    );
    assert_eq!(raised["license"], json!(endpoint.world.license.key.number()));
    assert!(raised["message"].as_str().unwrap().ends_with("for 3 minutes; 90 % are held now."), "{raised}");
    let [ended] = &endpoint.payloads("alert.ended").await[..] else { panic!("one ended") };
    assert_eq!((&ended["alert_id"], &ended["reason"]), (&raised["alert_id"], &json!("back_to_normal")));

    // A mail to the one owner for each of the three, with a key of its own.
    let mails: Vec<(String, Value)> =
        sqlx::query_as("select key, data from mails where kind = 'alert' order by at, key")
            .fetch_all(&mut endpoint.truth().await)
            .await
            .unwrap();
    let of_first = |verb: &str| format!("alert.{verb} {}", raised["alert_id"].as_str().unwrap());
    assert_eq!(mails.len(), 3, "{mails:?}");
    assert_eq!((&mails[0].0, &mails[1].0), (&of_first("raised"), &of_first("ended")));
    assert_eq!((&mails[0].1["ended"], &mails[1].1["ended"]), (&json!(false), &json!(true)));
    assert_eq!(mails[0].1["lines"], json!([raised["message"]]));
}

#[tokio::test]
async fn a_gap_is_no_minute_that_was_used_and_nothing_told_ends_an_alert() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("pool_use", FULL).await;
    endpoint.told(&[(10, 0), (10, 0)]).await;
    endpoint.pass(2).await;
    endpoint.told(&[(10, 0)]).await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (0, 0), "three minutes with a gap");
    for _ in 0..2 {
        endpoint.minute((10, 0)).await;
    }
    assert_eq!(endpoint.alerts().await, (1, 0));
    endpoint.pass(10).await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (1, 0), "the reaper may be late");
    endpoint.pass(3).await;
    endpoint.tick().await;
    assert_eq!((endpoint.alerts().await, endpoint.ended_by().await), ((1, 1), "not_told".into()));
    // What is told an hour late raises nothing.
    endpoint.told(&[(10, 0); 5]).await;
    endpoint.pass(60).await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (1, 1));
}

#[tokio::test]
async fn wants_that_were_refused_are_counted_over_the_minutes_of_the_rule() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("wants_refused", "count, minutes = 3, 5").await;
    endpoint.told(&[(10, 1), (10, 0), (10, 1), (10, 0), (10, 0)]).await;
    endpoint.tick().await;
    endpoint.minute((10, 1)).await;
    assert_eq!(endpoint.alerts().await, (0, 0), "three within six minutes");
    endpoint.minute((10, 1)).await;
    assert_eq!(endpoint.alerts().await, (1, 0), "three within five");
    let value = endpoint.payloads("alert.raised").await[0]["value"].clone();
    assert_eq!(value, 3);
    for _ in 0..4 {
        endpoint.minute((10, 0)).await;
    }
    assert_eq!(endpoint.alerts().await, (1, 0));
    endpoint.minute((10, 0)).await;
    assert_eq!((endpoint.alerts().await, endpoint.ended_by().await), ((1, 1), "back_to_normal".into()));

    // One minute is one minute, whichever others are told with it.
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("wants_refused", "count, minutes = 1, 1").await;
    endpoint.told(&[(10, 1), (10, 0), (10, 0)]).await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await.0, 1);
}

#[tokio::test]
async fn a_license_that_ends_is_told_and_also_that_it_was_extended_revoked_or_is_over() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("license_ends", "days = 7").await;
    let ends = async |when: &str| {
        endpoint.run(&format!("update licenses set expires_at = {when}")).await;
        endpoint.tick().await;
        endpoint.alerts().await
    };
    assert_eq!(ends("now() + interval '8 days'").await, (0, 0));
    assert_eq!(ends("now() + interval '6 days 1 hour'").await, (1, 0));
    assert_eq!(endpoint.payloads("alert.raised").await[0]["value"], 7, "days, as they are counted");
    assert_eq!(ends("now() + interval '6 days'").await, (1, 0), "once");
    assert_eq!((ends("now() + interval '1 year'").await, endpoint.ended_by().await), ((1, 1), "back_to_normal".into()));
    assert_eq!(ends("now() + interval '1 hour'").await, (2, 1));
    // Nobody has to wake a rule when the license's time has come.
    let next = "select count(*) from alert_rules where look_at between now() + interval '50 minutes' and now() + interval '1 hour'";
    assert_eq!(endpoint.world.count(next).await, 1);
    assert_eq!((ends("now()").await, endpoint.ended_by().await), ((2, 2), "license_over".into()));
    assert_eq!(ends("now() + interval '2 days'").await, (3, 2));
    let suspended = "select suspend_license(tenant_id, license_id) from licenses";
    endpoint.run(suspended).await;
    endpoint.tick().await;
    assert_eq!((endpoint.alerts().await, endpoint.ended_by().await), ((3, 3), "license_not_active".into()));
    assert_eq!(ends("null").await, (3, 3));
}

#[tokio::test]
async fn a_webhook_that_is_paused_is_told_until_somebody_does_something_about_it() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("webhook_paused", "").await;
    endpoint.tick().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let webhook = endpoint.webhook(&format!("http://127.0.0.1:{port}/path")).await;
    endpoint.run("update webhooks set failing_since = now() - interval '6 days'").await;
    assert_eq!(endpoint.push_event(&endpoint.event(json!({})).await).await, 204);
    assert!(endpoint.is_marked(&webhook, "paused_at").await);
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (1, 0));
    let raised = endpoint.payloads("alert.raised").await.remove(0);
    assert_eq!((&raised["webhook_id"], &raised["host"]), (&json!(webhook.id), &json!(format!("127.0.0.1:{port}"))));
    let then = async |sql: &str| {
        endpoint.run(sql).await;
        endpoint.tick().await;
        endpoint.alerts().await
    };
    assert_eq!(then("update webhooks set paused_at = null").await, (1, 1));
    assert_eq!(endpoint.ended_by().await, "back_to_normal");
    assert_eq!(then("update webhooks set paused_at = now()").await, (2, 1));
    assert_eq!(then("update webhooks set disabled_at = now()").await, (2, 2));
    assert_eq!(endpoint.ended_by().await, "webhook_disabled");
    assert_eq!(then("update webhooks set deleted_at = now()").await, (2, 2));
}

#[tokio::test]
async fn a_rule_that_is_for_one_license_watches_no_other() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.run("update licenses set expires_at = now() + interval '1 day'").await;
    let other = "insert into licenses (tenant_id, license_id, number, product, plan, tier, offline_policy, holder_by, processes_per_seat)
        select tenant_id, gen_random_uuid(), 'OTHER', product, plan, tier, 'none', holder_by, 4 from licenses";
    endpoint.run(other).await;
    endpoint
        .rule("license_ends", "days, license_id = 7, (select license_id from licenses where number = 'OTHER')")
        .await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (0, 0));
    endpoint.run("update licenses set expires_at = now() + interval '1 day' where number = 'OTHER'").await;
    endpoint.tick().await;
    assert_eq!(endpoint.payloads("alert.raised").await[0]["license"], "OTHER");
}

#[tokio::test]
async fn two_who_judge_at_once_raise_and_end_once() {
    let endpoint = Endpoint::without_rules().await;
    for _ in 0..20 {
        endpoint.rule("license_ends", "days = 7").await;
    }
    let other = endpoint.service(webhook_keys(), EndpointRules::LoopbackToo, PATIENCE);
    for (when, told) in [("1 day", (20, 0)), ("1 year", (20, 20)), ("2 days", (40, 20))] {
        endpoint.run(&format!("update licenses set expires_at = now() + interval '{when}'")).await;
        let push = async |app: &axum::Router| {
            let body = endpoint.body_of(Message::tick());
            app.clone().oneshot(body).await.unwrap().status().as_u16()
        };
        let (one, two, three) = tokio::join!(push(&endpoint.app), push(&other), push(&endpoint.app));
        assert_eq!([one, two, three], [204; 3]);
        assert_eq!(endpoint.alerts().await, told, "{when}");
    }
    assert_eq!(endpoint.world.count("select count(*) from mails where kind = 'alert'").await, 60);
}

#[tokio::test]
async fn a_judge_that_dies_in_the_middle_has_raised_nothing_and_another_raises_it() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("license_ends", "days = 7").await;
    endpoint.run("update licenses set expires_at = now() + interval '1 day'").await;
    let judge = "select raised from alert_rules r, judge_alert_rule(r.tenant_id, r.rule_id)";
    let mut dying = PgConnection::connect_with(&endpoint.world.database).await.unwrap();
    dying.execute("begin").await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i32>(judge).fetch_one(&mut dying).await.unwrap(), 1);
    // While it has the rule, others pass it over.
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (0, 0));
    dying.close_hard().await.unwrap();
    let alive = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'alert_rules'
        and l.pid <> pg_backend_pid()";
    let began = std::time::Instant::now();
    while endpoint.world.count(alive).await > 0 {
        assert!(began.elapsed() < PATIENCE);
    }
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (1, 0));
    assert_eq!(endpoint.world.count("select count(*) from alerts").await, 1);
}

#[tokio::test]
async fn a_rule_that_cannot_be_judged_keeps_no_other_waiting_and_stays_due() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("webhook_paused", "").await;
    endpoint.rule("license_ends", "days = 7").await;
    endpoint.webhook("https://hooks.example.com/").await;
    endpoint
        .run("update webhooks set paused_at = now(); update licenses set expires_at = now() + interval '1 day'")
        .await;
    endpoint.run("alter table alerts add constraint trouble check (kind <> 'webhook_paused')").await;
    endpoint.tick().await;
    assert_eq!(endpoint.payloads("alert.raised").await[0]["kind"], "license_ends");
    assert_eq!(endpoint.world.count("select count(*) from alert_rules where look_at <= now()").await, 1);
    endpoint.run("alter table alerts drop constraint trouble").await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (2, 0));
}

#[tokio::test]
async fn a_clock_that_was_ahead_puts_off_no_rule_and_a_minute_that_has_not_come_raises_nothing() {
    let endpoint = Endpoint::without_rules().await;
    endpoint.rule("license_ends", "days = 7").await;
    endpoint.run("update licenses set expires_at = now() + interval '1 day'").await;
    endpoint.run("update alert_rules set look_at = now() + interval '1 year'").await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (1, 0));

    // Told by a Redis whose clock is half an hour ahead.
    endpoint.rule("pool_use", FULL).await;
    endpoint.told(&[(10, 0); 3]).await;
    endpoint.run("update usage_minutes set at = at + interval '30 minutes'").await;
    endpoint.tick().await;
    assert_eq!(endpoint.alerts().await, (1, 0));
}

#[tokio::test]
async fn alerts_go_when_they_were_over_for_long_and_rules_are_judged_for_it_daily() {
    let endpoint = Endpoint::without_rules().await;
    let rule = endpoint.rule("license_ends", "days = 7").await;
    let over = "insert into alerts (tenant_id, rule_id, kind, subject, since, ended_at, end_reason)
        select tenant_id, rule_id, kind, gen_random_uuid(), now(), now() - make_interval(days => d), 'back_to_normal'
        from alert_rules, unnest(array[399, 401]) d";
    endpoint.run(over).await;
    endpoint.run("update alert_rules set deleted_at = now()").await;
    endpoint.tick().await;
    assert_eq!(endpoint.world.count("select count(*) from alerts").await, 1);
    let later = "select count(*) from alert_rules where look_at between now() + interval '23 hours' and now() + interval '1 day'";
    assert_eq!(endpoint.world.count(later).await, 1, "{rule}");
    endpoint
        .run("update alerts set ended_at = now() - interval '401 days'; update alert_rules set look_at = now()")
        .await;
    endpoint.tick().await;
    assert_eq!(endpoint.world.count("select count(*) from alert_rules where look_at is null").await, 1);
}

#[tokio::test]
async fn whoever_wakes_judges_or_changes_rules_at_once_waits_in_no_circle_and_no_wake_is_lost() {
    let endpoint = Endpoint::without_rules().await;
    for _ in 0..10 {
        endpoint.rule("pool_use", FULL).await;
        endpoint.rule("license_ends", "days = 7").await;
    }
    let pools = "insert into pools (tenant_id, pool_id, license_id, name, seats_total)
        select tenant_id, gen_random_uuid(), license_id, 'pool-' || n, 10 from licenses, generate_series(1, 4) n";
    endpoint.run(pools).await;
    let of_pools = "select array_agg(pool_id) from pools where name like 'pool-%'";
    let pools: Vec<uuid::Uuid> = sqlx::query_scalar(of_pools).fetch_one(&mut endpoint.truth().await).await.unwrap();
    let tell = async |pool: uuid::Uuid, minutes_back: std::ops::Range<i32>| {
        let mut connection = endpoint.truth().await;
        for back in minutes_back.rev() {
            let told = "select record_usage(p.tenant_id, p.pool_id, jsonb_build_array(jsonb_build_object(
                  'minute', extract(epoch from now())::bigint / 60 - $2, 'count', 1, 'held', 10, 'peak', 10,
                  'total', 10, 'denied', 0, 'refused', 0, 'seen', true)))
                from pools p where p.pool_id = $1";
            sqlx::query(told).bind(pool).bind(back).execute(&mut connection).await.unwrap();
        }
    };
    let extend = async {
        for days in 1..40 {
            endpoint.run(&format!("update licenses set expires_at = now() + interval '{days} days'")).await;
        }
    };
    let edit = async {
        let mut connection = endpoint.truth().await;
        for _ in 0..20 {
            let changed = "with locked as (
                  select tenant_id, rule_id from alert_rules order by rule_id desc limit 5 for no key update)
                select end_alerts(tenant_id, rule_id, 'rule_changed') from locked";
            connection.execute(changed).await.unwrap();
        }
    };
    let ticks = async {
        for _ in 0..10 {
            endpoint.tick().await;
        }
    };
    let wakes = async { tokio::join!(tell(pools[0], 20..80), tell(pools[1], 20..80), tell(pools[2], 20..80)) };
    tokio::join!(wakes, extend, edit, ticks, async {
        for _ in 0..10 {
            endpoint.tick().await;
        }
    });
    // What comes last counts, whoever had looked before.
    tokio::join!(tell(pools[0], 0..4), tell(pools[1], 0..4), tell(pools[3], 0..4), endpoint.tick());
    endpoint.run("update licenses set expires_at = now() + interval '1 day'").await;
    endpoint.tick().await;
    let open = "select count(*) from alerts where ended_at is null and kind = 'pool_use'";
    assert_eq!(endpoint.world.count(open).await, 30, "of ten rules and three pools");
    let open = "select count(*) from alerts where ended_at is null and kind = 'license_ends'";
    assert_eq!(endpoint.world.count(open).await, 10);
}

//! Rate limits: counted for all instances together, shown in headers, and never a hindrance to callers who keep to
//! them.

use crate::desk::{Answer, Desk};
use license_core::domain::{key::LicenseKey, rate::RateLimit};
use license_tests::World;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// Six a minute, three at once: one every ten seconds.
const RATE: RateLimit = RateLimit { per_minute: 6, burst: 3 };

async fn desk() -> Desk {
    Desk::limited(World::new().await, Some(RATE)).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_principal_that_asks_too_often_is_told_when_to_come_back_and_another_is_not() {
    let desk = desk().await;
    let me = async |who: &str| desk.get("/api/v1/me").by(&desk.person(who)).send().await;
    for left in ["r=2;t=10", "r=1;t=20", "r=0;t=30"] {
        let answer = me("owner").await;
        assert_eq!(header(&answer, "ratelimit"), format!("\"people\";{left}"));
        assert_eq!(header(&answer, "ratelimit-policy"), "\"people\";q=3;w=30");
        answer.ok(200);
    }
    let refused = me("owner").await;
    assert_eq!((header(&refused, "retry-after"), header(&refused, "ratelimit")), ("10", "\"people\";r=0;t=10"));
    refused.is(429, "rate_limited");
    me("somebody").await.ok(200);
    desk.get("/api/v1/me").by("e30.e30.e30").send().await.is(401, "token_invalid");

    desk.world.pass(Duration::from_millis(9_900));
    me("owner").await.is(429, "rate_limited");
    desk.world.pass(Duration::from_millis(100));
    me("owner").await.ok(200);
    me("owner").await.is(429, "rate_limited");
    desk.world.pass(Duration::from_secs(3600));
    for _ in 0..3 {
        me("owner").await.ok(200);
    }
    me("owner").await.is(429, "rate_limited");
}

#[tokio::test]
async fn a_token_is_counted_for_itself_in_whatever_organization_and_a_refused_request_counts_too() {
    let desk = desk().await;
    let token = desk.api_token(desk.tenant(), &[]).await;
    for _ in 0..3 {
        desk.get(&desk.at("")).by(&token).send().await.is(403, "insufficient_scope");
    }
    desk.get(&desk.at("")).by(&token).send().await.is(429, "rate_limited");
    desk.get(&desk.at("")).by(&desk.person("owner")).send().await.ok(200);
}

#[tokio::test]
async fn an_address_registers_so_often_and_no_more_and_its_proxies_are_not_counted_for_it() {
    let desk = desk().await;
    let register = async |who: &str, from: &str| {
        let call = desk.post("/api/v1/auth/register", &json!({})).by(&desk.person(who));
        call.header("x-forwarded-for", from).send().await
    };
    for (who, status) in [("a", 201), ("b", 201), ("c", 201)] {
        register(who, "1.2.3.4, 203.0.113.9").await.ok(status);
    }
    register("d", "6.6.6.6, 203.0.113.9").await.is(429, "rate_limited");
    register("d", "203.0.113.10").await.ok(201);
    // A machine has a /64 of IPv6 for itself.
    for host in 1..=3 {
        register("d", &format!("2001:db8::{host}")).await.ok(200);
    }
    register("d", "2001:db8::4").await.is(429, "rate_limited");
    register("d", "2001:db8:1::4").await.ok(200);
}

#[tokio::test]
async fn who_tries_keys_is_not_told_any_more_and_a_good_key_from_there_works_on() {
    let desk = desk().await;
    // In use; one that nobody here has seen yet waits for a token (guesses.rs).
    desk.try_key(&desk.world.license.key, "acquire", "192.0.2.1").await.ok(201);
    let acquire = async |key: String, path: &str| {
        let body = json!({ "license_key": key, "hardware_id": "hardware-1", "attempt": Uuid::new_v4() });
        let body = if path == "acquire" { body } else { json!({ "license_key": key }) };
        let call = desk.post(&format!("/api/v1/licenses/{path}"), &body).header("x-forwarded-for", "203.0.113.9");
        call.send().await
    };
    let wrong = || LicenseKey::draw(desk.world.license.key.number()).reveal();
    for path in ["acquire", "validate", "acquire"] {
        acquire(wrong(), path).await.is(401, "license_key_invalid");
    }
    acquire(wrong(), "acquire").await.is(429, "rate_limited");
    acquire(wrong(), "validate").await.is(429, "rate_limited");
    acquire(desk.world.license.key.reveal(), "acquire").await.ok(201);
    acquire(desk.world.license.key.reveal(), "validate").await.ok(200);
}

#[tokio::test]
async fn with_redis_away_nobody_is_limited_and_what_is_counted_names_nobody() {
    let mut desk = desk().await;
    for _ in 0..3 {
        desk.get("/api/v1/me").by(&desk.person("owner")).send().await.ok(200);
    }
    let keys: Vec<String> = redis::cmd("KEYS").arg("rate:*").query_async(&mut desk.world.redis().await).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert!(!keys[0].contains("owner") && !keys[0].contains("example"), "{keys:?}");
    let lives: i64 = redis::cmd("PTTL").arg(&keys[0]).query_async(&mut desk.world.redis().await).await.unwrap();
    assert!((1..=30_000).contains(&lives), "{lives}");
    desk.get("/api/v1/me").by(&desk.person("owner")).send().await.is(429, "rate_limited");
    desk.world.redis.kill().await;
    desk.get("/api/v1/me").by(&desk.person("owner")).send().await.ok(200);
}

impl Desk {
    /// Asks with a license key from somewhere: an acquire of some machine, or a validate.
    async fn try_key(&self, key: &LicenseKey, path: &str, from: &str) -> Answer {
        let acquire = json!({ "license_key": key.reveal(), "hardware_id": Uuid::new_v4().to_string(), "attempt": Uuid::new_v4() });
        let body = if path == "acquire" { acquire } else { json!({ "license_key": key.reveal() }) };
        self.post(&format!("/api/v1/licenses/{path}"), &body).header("x-forwarded-for", from).send().await
    }
}

#[tokio::test]
async fn forty_machines_of_an_office_with_the_old_key_all_hear_that_it_is_wrong() {
    let desk = desk().await;
    let (number, office) = (desk.world.license.key.number(), "203.0.113.9");
    let [old, older] = [LicenseKey::draw(number), LicenseKey::draw(number)];
    for machine in 0..40 {
        let path = if machine % 4 == 0 { "validate" } else { "acquire" };
        desk.try_key(&old, path, office).await.is(401, "license_key_invalid");
        desk.try_key(&older, path, office).await.is(401, "license_key_invalid");
        desk.world.pass(Duration::from_secs(1));
    }
    // The tokens of the two are long regained; what is asked all the time stays known, and what nobody asks for a minute counts again.
    for _ in 0..3 {
        desk.try_key(&LicenseKey::draw(number), "acquire", office).await.is(401, "license_key_invalid");
    }
    desk.try_key(&LicenseKey::draw(number), "acquire", office).await.is(429, "rate_limited");
    desk.try_key(&old, "acquire", office).await.is(401, "license_key_invalid");
    desk.try_key(&old, "acquire", "[::ffff:203.0.113.9]:4711").await.is(401, "license_key_invalid");
}

#[tokio::test]
async fn a_guesser_gets_no_guess_more_by_repeating_or_by_coming_from_an_address_in_another_spelling() {
    let desk = desk().await;
    let number = desk.world.license.key.number();
    let keys: Vec<LicenseKey> = (0..8).map(|_| LicenseKey::draw(number)).collect();
    let spelled = ["203.0.113.9", "203.0.113.9:1", "[::ffff:203.0.113.9]:2", "64:ff9b::cb00:7109", "2002:cb00:7109::1"];
    let ask = async |key: &LicenseKey, at: usize| desk.try_key(key, "acquire", spelled[at % spelled.len()]).await;
    for (at, key) in keys[..3].iter().enumerate() {
        ask(key, at).await.is(401, "license_key_invalid");
        ask(key, at + 1).await.is(401, "license_key_invalid");
    }
    // What was refused was not looked at and is not known: asking again does not help.
    for at in 0..4 {
        ask(&keys[3], at).await.is(429, "rate_limited");
    }
    desk.world.pass(Duration::from_secs(10));
    ask(&keys[3], 3).await.is(401, "license_key_invalid");
    ask(&keys[4], 4).await.is(429, "rate_limited");
    // The same secret with another license's number is another key.
    let other = desk.other("other").await.key.number();
    desk.world.pass(Duration::from_secs(3600));
    for _ in 0..2 {
        ask(&LicenseKey::draw(other), 0).await.is(401, "license_key_invalid");
    }
    ask(&keys[0], 1).await.is(401, "license_key_invalid");
    ask(&keys[1], 2).await.is(429, "rate_limited");
}

#[tokio::test]
async fn what_is_kept_of_a_wrong_key_is_gone_in_a_minute_and_is_no_key() {
    let desk = desk().await;
    let wrong = LicenseKey::draw(desk.world.license.key.number());
    for _ in 0..5 {
        desk.try_key(&wrong, "acquire", "203.0.113.9").await.is(401, "license_key_invalid");
    }
    let mut redis = desk.world.redis().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("rate:*").query_async(&mut redis).await.unwrap();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        assert!(!key.contains("203") && !key.contains(&wrong.number().to_string()), "{key}");
        let lives: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.unwrap();
        assert!((1..=60_000).contains(&lives), "{lives}");
    }
}

#[tokio::test]
async fn twenty_invited_people_of_one_office_join_and_each_is_counted_for_themselves() {
    // The owner invites them by another limit, so the world is set up without any.
    let world = World::new().await;
    let desk = Desk::over(world).await;
    let mut secrets = Vec::new();
    for n in 0..20 {
        let answer = desk.invite("owner", &format!("p{n}@example.com"), "member").await.ok(201);
        secrets.push(json!({ "invitation": answer["secret"] }));
    }
    let desk = Desk::limited(desk.world, Some(RATE)).await;
    let join = async |n: usize| {
        let call = desk.post("/api/v1/auth/register", &secrets[n]).by(&desk.person(&format!("p{n}")));
        call.header("x-forwarded-for", "203.0.113.9").send().await
    };
    for n in 0..20 {
        let joined = join(n).await;
        assert_eq!(header(&joined, "ratelimit"), "\"register\";r=2;t=10");
        joined.ok(201);
    }
    join(0).await.ok(200);
    join(0).await.ok(200);
    join(0).await.is(429, "rate_limited");
    // Founding organizations is still counted by address, and joining took none of its tokens.
    let found = async |who: &str| {
        let call = desk.post("/api/v1/auth/register", &json!({})).by(&desk.person(who));
        call.header("x-forwarded-for", "203.0.113.9").send().await
    };
    for who in ["a", "b", "c"] {
        found(who).await.ok(201);
    }
    found("d").await.is(429, "rate_limited");
    // An invitation that is none opens no way round it.
    let lie = json!({ "invitation": format!("cdi_{}", "0".repeat(78)) });
    let call = desk.post("/api/v1/auth/register", &lie).by(&desk.person("d")).header("x-forwarded-for", "203.0.113.9");
    call.send().await.is(404, "not_found");
}

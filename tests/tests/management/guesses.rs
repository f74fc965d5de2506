//! Secrets that attackers try: after a few wrong ones from an address PostgreSQL is asked about no more of them,
//! however the address is written, and clients with a valid secret go on.

use crate::desk::{Answer, Call, Desk};
use license_core::{
    Result,
    domain::{
        access::Scope,
        id::LicenseNumber,
        key::LicenseKey,
        opaque::{OpaqueSecret, SecretKind},
        rate::RateLimit,
    },
    protocol::guesses::{GuessMemory, SecretGuesser, SecretVerdict},
};
use license_tests::{
    Machine, World,
    explain::{Plans, Ran},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Six a minute, three at once: one every ten seconds.
const RATE: RateLimit = RateLimit { per_minute: 6, burst: 3 };

/// One IPv4 address in the spellings that proxies write.
pub(crate) const OFFICE: [&str; 11] = [
    "203.0.113.9",
    "203.0.113.9:4711",
    "::ffff:203.0.113.9",
    "::FFFF:CB00:7109",
    "0:0:0:0:0:ffff:cb00:7109",
    "[::ffff:203.0.113.9]:4711",
    "::ffff:203.0.113.9%eth0",
    "\"203.0.113.9\"",
    "64:ff9b::203.0.113.9",
    "2002:cb00:7109::1",
    "198.51.100.1, 203.0.113.9",
];

/// One network of IPv6: a machine has all of it to itself.
pub(crate) const NETWORK: [&str; 9] = [
    "2001:db8::1",
    "2001:DB8:0:0:0:0:0:1",
    "2001:0db8:0000:0000:0000:0000:0000:0001",
    "[2001:db8::1]:443",
    "2001:db8::1%3",
    "\"[2001:db8::1]:443\"",
    "2001:db8::2",
    "2001:db8:0:0:ffff::",
    "2001:db8::ffff:203.0.113.9",
];

async fn desk() -> Desk {
    Desk::limited(World::new().await, Some(RATE)).await
}

fn with_key<'a>(desk: &'a Desk, path: &str, key: &LicenseKey, from: &str) -> Call<'a> {
    let mut body = json!({ "license_key": key.reveal() });
    if path == "acquire" {
        body["hardware_id"] = Uuid::new_v4().to_string().into();
        body["attempt"] = Uuid::new_v4().to_string().into();
    }
    desk.post(&format!("/api/v1/licenses/{path}"), &body).header("x-forwarded-for", from)
}

/// How often the records were asked to judge a secret of that kind, by the function or table they look at.
fn asked(plans: &Plans, of: &str) -> usize {
    plans.take().iter().filter(|Ran { text, .. }| text.contains(of)).count()
}

#[tokio::test]
async fn after_a_few_wrong_keys_postgresql_is_asked_of_no_more_of_them_wherever_they_point() {
    for place in [&OFFICE[..], &NETWORK[..]] {
        let desk = desk().await;
        let known = desk.world.license.key.number();
        with_key(&desk, "acquire", &desk.world.license.key, "192.0.2.1").send().await.ok(201);
        let plans = Plans::of(&desk.world.database).await;
        // Of a license whose copy is warm, and of none that exists.
        let wrong = |n: usize| LicenseKey::draw(if n.is_multiple_of(2) { known } else { LicenseNumber::draw() });
        let path = |n: usize| if n.is_multiple_of(3) { "validate" } else { "acquire" };
        for (n, from) in place.iter().take(3).enumerate() {
            let answer = with_key(&desk, path(n), &wrong(n), from).send().await;
            answer.is(401, "license_key_invalid");
        }
        assert_eq!(asked(&plans, "find_license"), 3);
        for n in 0..4 * place.len() {
            let answer = with_key(&desk, path(n), &wrong(n), place[n % place.len()]).send().await;
            assert_eq!(answer.headers["retry-after"], "10", "{}", place[n % place.len()]);
            let body = answer.is(429, "rate_limited");
            assert!(body["detail"].as_str().unwrap().contains("not looked at"), "{body}");
        }
        assert_eq!(plans.take().len(), 0, "nothing at all was asked");
        // The good key of the warm copy needs no records to be recognized; they write the seat down.
        with_key(&desk, "validate", &desk.world.license.key, place[1]).send().await.ok(200);
        with_key(&desk, "acquire", &desk.world.license.key, place[2]).send().await.ok(201);
    }
}

#[tokio::test]
async fn a_hundred_wrong_keys_at_once_get_no_answer_more_than_one_after_the_other() {
    let desk = Arc::new(desk().await);
    let plans = Plans::of(&desk.world.database).await;
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let desk = Arc::clone(&desk);
        asking.spawn(async move {
            let key = LicenseKey::draw(LicenseNumber::draw());
            with_key(&desk, "acquire", &key, OFFICE[0]).send().await
        });
    }
    let answers = asking.join_all().await;
    let told = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!((told, asked(&plans, "find_license")), (3, 3));
    assert!(answers.iter().all(|answer| [401, 429].contains(&answer.status)));
}

#[tokio::test]
async fn a_guess_whose_asker_goes_away_is_counted() {
    let desk = desk().await;
    for _ in 0..3 {
        let mut held = desk.world.truth().await;
        // The records are held up, so that whoever asks leaves before they answer.
        sqlx::query("begin").execute(&mut held).await.unwrap();
        sqlx::query("lock table directory.license_numbers").execute(&mut held).await.unwrap();
        let key = LicenseKey::draw(LicenseNumber::draw());
        let asking = Box::pin(with_key(&desk, "acquire", &key, OFFICE[0]).send());
        let waits = async {
            let sql =
                "select count(*) from pg_locks where not granted and relation = 'directory.license_numbers'::regclass";
            while desk.world.count(sql).await == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = asking => panic!("answered {answer:?}"),
            () = waits => {}
        }
        sqlx::query("rollback").execute(&mut held).await.unwrap();
    }
    let key = LicenseKey::draw(LicenseNumber::draw());
    with_key(&desk, "acquire", &key, OFFICE[0]).send().await.is(429, "rate_limited");
}

#[tokio::test]
async fn a_secret_whose_judgement_takes_long_holds_no_other_up_for_long() {
    let world = World::new().await;
    let guesses = GuessMemory::new(world.seats(), world.clock.clone());
    let guesser = SecretGuesser { limit: "unknown-keys", subject: OFFICE[0].into(), rate: RATE };
    let (asked, is_asked) = tokio::sync::oneshot::channel();
    let slow = {
        let (guesses, guesser) = (guesses.clone(), guesser.clone());
        tokio::spawn(async move {
            let ask = async {
                asked.send(()).unwrap();
                std::future::pending::<Result<Option<()>>>().await
            };
            guesses.judge(Some(&guesser), "slow", ask).await
        })
    };
    is_asked.await.unwrap();
    let quick = guesses.judge(Some(&guesser), "quick", async { Result::Ok(Some(())) }).await.unwrap();
    assert!(matches!(quick, SecretVerdict::Good(())), "{quick:?}");
    assert!(guesses.was_good("quick") && !guesses.was_good("slow"));
    slow.abort();
}

#[tokio::test]
async fn records_that_cannot_be_asked_take_nobodys_token() {
    let world = World::new().await;
    let guesses = GuessMemory::new(world.seats(), world.clock.clone());
    let guesser = SecretGuesser { limit: "unknown-keys", subject: OFFICE[0].into(), rate: RATE };
    for n in 0..10 {
        let away = async { Err::<Option<()>, _>(license_core::Error::Records("away".into())) };
        guesses.judge(Some(&guesser), &format!("key-{n}"), away).await.unwrap_err();
    }
    for (n, told) in [true, true, true, false].into_iter().enumerate() {
        let wrong =
            guesses.judge(Some(&guesser), &format!("wrong-{n}"), async { Result::<Option<()>>::Ok(None) }).await;
        assert_eq!(matches!(wrong.unwrap(), SecretVerdict::Wrong), told, "{n}");
    }
}

#[tokio::test]
async fn good_keys_beside_a_guesser_take_no_token_and_wait_for_one_at_most_where_nobody_here_knows_them() {
    let desk = desk().await;
    let mine = desk.world.license.key.clone();
    let (theirs, third) = (desk.other("other").await.key, desk.other("third").await.key);
    let from = OFFICE[0];
    // Forty machines with three good keys, all of them of copies that are cold.
    for n in 0..40 {
        let key = [&mine, &theirs, &third][n % 3];
        with_key(&desk, "validate", key, from).send().await.ok(200);
    }
    for _ in 0..3 {
        with_key(&desk, "acquire", &LicenseKey::draw(mine.number()), from).send().await.is(401, "license_key_invalid");
    }
    with_key(&desk, "acquire", &LicenseKey::draw(mine.number()), from).send().await.is(429, "rate_limited");
    // A copy that was lost is opened for a key that was good before: nobody forgot that.
    desk.world.forget("h").await;
    with_key(&desk, "acquire", &mine, from).send().await.ok(201);
    // And for one that was only used while its copy was warm, which another instance had opened.
    let used = desk.other("used").await;
    let warmed = Machine::new(&used, "elsewhere").seated(&desk.world.instance().await).await;
    assert!(!warmed.renewed);
    with_key(&desk, "acquire", &used.key, "192.0.2.1").send().await.ok(201);
    let lost: i64 = redis::cmd("DEL")
        .arg(format!("{{{}}}/default:h", used.key.number()))
        .query_async(&mut desk.world.redis().await)
        .await
        .unwrap();
    assert_eq!(lost, 1);
    with_key(&desk, "acquire", &used.key, from).send().await.ok(201);
    // One that nobody has seen yet waits for a token, which it then does not take.
    let fresh = desk.other("fresh").await.key;
    with_key(&desk, "acquire", &fresh, from).send().await.is(429, "rate_limited");
    with_key(&desk, "acquire", &fresh, "192.0.2.1").send().await.ok(201);
    let fresh = desk.other("fresher").await.key;
    desk.world.pass(Duration::from_secs(10));
    with_key(&desk, "acquire", &fresh, from).send().await.ok(201);
    with_key(&desk, "acquire", &LicenseKey::draw(mine.number()), from).send().await.is(401, "license_key_invalid");
    with_key(&desk, "acquire", &LicenseKey::draw(mine.number()), from).send().await.is(429, "rate_limited");
}

#[tokio::test]
async fn a_key_that_is_repeated_for_ever_takes_a_token_every_ten_minutes_and_is_asked_about_twice_a_minute() {
    let desk = desk().await;
    let plans = Plans::of(&desk.world.database).await;
    let old = LicenseKey::draw(desk.world.license.key.number());
    for _ in 0..60 {
        with_key(&desk, "acquire", &old, OFFICE[0]).send().await.is(401, "license_key_invalid");
        desk.world.pass(Duration::from_secs(9));
    }
    let times = asked(&plans, "find_license");
    assert!((10..=20).contains(&times), "{times} in nine minutes");
    // It was counted once: three others are looked at.
    for _ in 0..3 {
        with_key(&desk, "acquire", &LicenseKey::draw(old.number()), OFFICE[0])
            .send()
            .await
            .is(401, "license_key_invalid");
    }
    // After ten minutes it needs a token like any other, although it was never forgotten.
    for _ in 0..12 {
        desk.world.pass(Duration::from_secs(9));
        for _ in 0..3 {
            let other = LicenseKey::draw(old.number());
            assert!([401, 429].contains(&with_key(&desk, "acquire", &other, OFFICE[0]).send().await.status));
        }
        assert!([401, 429].contains(&with_key(&desk, "acquire", &old, OFFICE[0]).send().await.status));
    }
    with_key(&desk, "acquire", &old, OFFICE[0]).send().await.is(429, "rate_limited");
}

fn forged(desk: &Desk) -> String {
    OpaqueSecret::draw(SecretKind::ApiToken, desk.tenant()).reveal()
}

async fn with_token(desk: &Desk, token: &str, from: &str) -> Answer {
    desk.get(&desk.at("/licenses")).by(token).header("x-forwarded-for", from).send().await
}

#[tokio::test]
async fn after_a_few_forged_tokens_postgresql_is_asked_of_no_more_and_good_ones_from_there_go_on() {
    for place in [&OFFICE[..], &NETWORK[..]] {
        let desk = desk().await;
        let good = desk.api_token(desk.tenant(), &[Scope::LicensesRead]).await;
        with_token(&desk, &good, place[0]).await.ok(200);
        let plans = Plans::of(&desk.world.database).await;
        for from in &place[..3] {
            with_token(&desk, &forged(&desk), from).await.is(401, "token_invalid");
        }
        assert_eq!(asked(&plans, "api_tokens"), 3);
        for n in 0..3 * place.len() {
            let body = with_token(&desk, &forged(&desk), place[n % place.len()]).await.is(429, "rate_limited");
            assert!(body["detail"].as_str().unwrap().contains("not looked at"), "{body}");
        }
        assert_eq!(plans.take().len(), 0, "nothing at all was asked");
        with_token(&desk, &good, place[3]).await.ok(200);
        // People are recognized without the records, so they always are.
        let owner = desk.person("owner");
        desk.get(&desk.at("")).by(&owner).header("x-forwarded-for", place[4]).send().await.ok(200);
    }
}

#[tokio::test]
async fn a_good_token_that_asks_too_often_is_refused_before_postgresql_is_asked_however_it_is_spelled() {
    let desk = desk().await;
    let good = desk.api_token(desk.tenant(), &[Scope::LicensesRead]).await;
    let spelled = [good.clone(), good.to_uppercase(), good.replacen("cdt_live_", "CDT_LIVE_", 1)];
    for token in &spelled {
        with_token(&desk, token, OFFICE[0]).await.ok(200);
    }
    let plans = Plans::of(&desk.world.database).await;
    for token in spelled.iter().cycle().take(9) {
        with_token(&desk, token, OFFICE[0]).await.is(429, "rate_limited");
    }
    assert_eq!(plans.take().len(), 0);
}

#[tokio::test]
async fn forged_id_tokens_are_counted_and_expired_or_repeated_ones_are_not() {
    let desk = desk().await;
    let old = desk.claims("customers", "owner", |claims| claims["exp"] = json!(1));
    let forge = |n: usize| {
        let token = desk.person(&format!("p{n}"));
        format!("{}.AAAA", token.rsplit_once('.').unwrap().0)
    };
    let me = async |token: &str, n: usize| {
        let from = OFFICE[n % OFFICE.len()];
        let path = ["/api/v1/me", "/api/v1/auth/register"][n % 2];
        let call = desk.call(["GET", "POST"][n % 2], path).by(token).header("x-forwarded-for", from);
        call.send().await
    };
    for n in 0..12 {
        me(&old, n).await.is(401, "token_expired");
        me(&forge(0), n).await.is(401, "token_invalid");
    }
    me(&forge(1), 0).await.is(401, "token_invalid");
    me(&forge(2), 1).await.is(401, "token_invalid");
    for n in 0..OFFICE.len() {
        me(&forge(3 + n), n).await.is(429, "rate_limited");
    }
    me(&desk.person("owner"), 0).await.ok(200);
}

#[tokio::test]
async fn invented_invitations_are_counted_by_address_whoever_brings_them() {
    let desk = desk().await;
    let bring = async |n: usize, secret: Value| {
        let call = desk.register(&desk.person(&format!("p{n}")), &json!({ "invitation": secret }));
        call.header("x-forwarded-for", OFFICE[n % OFFICE.len()]).send().await
    };
    let invented = || json!(OpaqueSecret::draw(SecretKind::Invitation, desk.tenant()).reveal());
    for n in 0..3 {
        bring(n, invented()).await.is(404, "not_found");
    }
    let plans = Plans::of(&desk.world.database).await;
    for n in 3..20 {
        bring(n, invented()).await.is(429, "rate_limited");
    }
    assert_eq!(plans.take().len(), 0);
}

#[tokio::test]
async fn registrations_are_counted_for_an_address_in_whatever_spelling() {
    for place in [&OFFICE[..], &NETWORK[..]] {
        let desk = desk().await;
        let found = async |n: usize| {
            let call = desk.register(&desk.person(&format!("p{n}")), &json!({}));
            call.header("x-forwarded-for", place[n % place.len()]).send().await
        };
        for n in 0..3 {
            found(n).await.ok(201);
        }
        for n in 3..3 + 2 * place.len() {
            found(n).await.is(429, "rate_limited");
        }
    }
}

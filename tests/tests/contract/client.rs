//! What clients send as they have it: facts about themselves, which are never a reason to refuse a request, and keys as
//! they were pasted.

use super::{ACQUIRE, Front, RELEASE, VALIDATE, text};
use http::Request;
use serde_json::json;
use uuid::Uuid;

/// Raw values that a client may have for any fact of `client`, and for `client` itself.
fn small_talk() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let mut all: Vec<String> = [
        "null",
        "7",
        "-1e400",
        "true",
        "[]",
        "{}",
        "[null, {}]",
        r#""""#,
        r#"" ""#,
        r#""web-1\n""#,
        r#""\u0000""#,
        r#""a\u0000b\u001b[31m""#,
        r#""\ud800""#,
        r#""\udc00 \ud800\u0041""#,
        r#""\ufeff\u200b""#,
        r#""\u202eevil""#,
        r#""kubernetes""#,
    ]
    .map(str::to_owned)
    .into();
    all.extend([format!("\"{}\"", "x".repeat(300)), format!("\"{}\"", "😀".repeat(10_000)), deep, objects]);
    all
}

#[tokio::test]
async fn nothing_a_client_says_of_itself_refuses_a_seat() {
    let front = Front::new().await;
    let key = front.world.license.key.reveal();
    let facts = ["version", "platform", "hostname", "deployment", "project", "user", "pid", "os", r"\ud800", ""];
    let talks = small_talk();
    let of_facts = facts.iter().flat_map(|fact| talks.iter().map(move |said| format!(r#"{{"{fact}":{said}}}"#)));
    // A product decides something where it is a text that shows something.
    let silent = |said: &&String| !said.starts_with('"') || matches!(said.as_str(), r#""""# | r#"" ""# | r#""\u0000""#);
    let products = talks.iter().filter(|said| !matches!(said.as_str(), "7" | "-1e400" | "true")).filter(silent);
    let products = products.map(|said| format!(r#"{{"product":{said}}}"#));
    let whole = talks.iter().cloned().chain([r#"{"hostname":"a","hostname":"b"}"#.to_owned()]);
    for client in of_facts.chain(products).chain(whole) {
        let start: String = client.chars().take(60).collect();
        let attempt = Uuid::new_v4();
        let who = format!(r#""license_key":"{key}","hardware_id":"hardware-a","client":{client}"#);
        let send = async |path: &str, body: String| front.send(Request::post(path).body(body.into()).unwrap()).await;
        let seat = send(ACQUIRE, format!(r#"{{{who},"attempt":"{attempt}"}}"#)).await;
        assert_eq!(seat.status, 201, "{start} {}", seat.body);
        front.post_as(RELEASE, &seat.body["session"], &json!({})).await.ok(200);
        assert_eq!(send(VALIDATE, format!("{{{who}}}")).await.status, 200, "{start}");
    }
    let spoilt = "select count(*) from sessions where label = '' or label ~ '[[:cntrl:]]' or length(label) > 255 or length(client::text) > 1000";
    assert_eq!(front.world.count(spoilt).await, 0);
}

#[tokio::test]
async fn what_decides_who_holds_a_seat_stays_strict() {
    let front = Front::new().await;
    for (field, value) in [
        ("hardware_id", json!("short")),
        ("hardware_id", json!("hardware-\n")),
        ("hardware_id", json!("x".repeat(129))),
        ("hardware_id", json!(12_345_678)),
        ("attempt", json!("now")),
        ("nonce", json!("short")),
        ("pool", json!("a b")),
    ] {
        let mut ask = front.ask("a");
        ask[field] = value.clone();
        let answer = front.post(ACQUIRE, &ask).await.is(422, "invalid_request");
        assert_eq!(answer.body["errors"][0]["field"], field, "{value}");
    }
}

#[tokio::test]
async fn a_key_opens_its_license_whatever_happened_to_it_on_its_way() {
    let front = Front::new().await;
    let key = front.world.license.key.reveal();
    let wide: String = key.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect();
    for written in [
        format!("{key}\n"),
        format!("{key}\r\n"),
        format!("\t{key}"),
        format!("\u{FEFF}{key}"),
        format!("“{key}”"),
        format!("'{key}'"),
        key.replace('-', "\u{2011}"),
        key.replace('-', " – "),
        key.replace('-', "\u{AD}"),
        key.to_lowercase(),
        wide,
        key.replace('I', "İ"),
        format!("{}\n{}", &key[..21], &key[21..]),
    ] {
        let mut ask = front.ask("a");
        ask["license_key"] = written.as_str().into();
        ask["attempt"] = format!("{}\n", Uuid::new_v4()).into();
        ask["pool"] = " default\n".into();
        front.post(ACQUIRE, &ask).await.ok(201);
        front.post(VALIDATE, &json!({ "license_key": written })).await.ok(200);
    }
    let mut ask = front.ask("a");
    for none in ["", "CODI-", "no key at all", &key[..39], &format!("{key}0"), &format!("https://example.com/{key}")] {
        ask["license_key"] = none.into();
        let answer = front.post(ACQUIRE, &ask).await.is(422, "invalid_request");
        assert!(text(&answer.body["errors"][0]["problem"]).contains("CODI- followed by six groups"), "{}", answer.body);
    }
}

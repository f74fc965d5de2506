//! Prints requests as a receiver gets them, one JSON object per line, and for each whether it must be accepted. They
//! carry the present time, so they are good for some minutes. `tests/verifiers/run` shows them to the libraries of the
//! Standard Webhooks specification.

use license_core::{
    Clock,
    domain::webhook::{WebhookSecret, signature_header},
};
use serde_json::json;

const BODY: &str = r#"{"type":"seat.granted","data":{"holder":"Jürgen","seats":3}}"#;
const ID: &str = "0193c0de-7000-7000-8000-000000000001";
/// Libraries accept a request for five minutes before and after its time, in seconds.
const TOO_FAR: i64 = 10 * 60;

fn main() {
    let now = Clock::system().now_seconds();
    let (secret, other) = (WebhookSecret::draw(), WebhookSecret::draw());
    let sign = |secret: &WebhookSecret, time: i64| secret.sign(ID, time, BODY.as_bytes());
    let rotated = |current: &WebhookSecret, previous: &WebhookSecret| {
        signature_header(current, Some(previous), ID, now, BODY.as_bytes())
    };
    let tampered = BODY.replace('3', "4");
    for (case, expected, time, signature, body) in [
        ("valid", true, now, sign(&secret, now), BODY),
        ("rotated, the receiver has the new secret", true, now, rotated(&secret, &other), BODY),
        ("rotated, the receiver has the old secret", true, now, rotated(&other, &secret), BODY),
        ("another body", false, now, sign(&secret, now), &tampered),
        ("another time", false, now - 1, sign(&secret, now), BODY),
        ("another secret", false, now, sign(&other, now), BODY),
        ("too old", false, now - TOO_FAR, sign(&secret, now - TOO_FAR), BODY),
        ("too new", false, now + TOO_FAR, sign(&secret, now + TOO_FAR), BODY),
        ("another version", false, now, sign(&secret, now).replace("v1,", "v2,"), BODY),
    ] {
        let headers =
            json!({ "webhook-id": ID, "webhook-timestamp": time.to_string(), "webhook-signature": signature });
        let secret = secret.shown();
        let secret = secret.reveal();
        println!(
            "{}",
            json!({ "case": case, "expected": expected, "secret": secret, "headers": headers, "body": body })
        );
    }
}

//! What an attacker who took the reaper's role over can tell of wants.

use super::{
    statements::{REFUSED, refused, told},
    takeover::taken_over,
};
use license_core::records::DatabaseRole;
use serde_json::{Value, json};

#[tokio::test]
async fn a_reaper_that_was_taken_over_tells_of_wants_what_a_want_can_be_and_of_its_own_tenants_pools() {
    let (two, mut reaper) = taken_over(DatabaseRole::Reaper).await;
    let now = told::<i64>(&mut reaper, "select (extract(epoch from now()) * 1000)::bigint", &two.a).await;
    let began =
        json!({ "began": true, "holder": "h", "first_ask": now, "machine": "hw", "person": null, "label": "l" });
    let ended = json!({ "began": false, "holder": "h", "first_ask": now, "last_ask": now, "asks": 1, "granted": null });
    let with = |change: &Value, field: &str, value: Value| {
        let mut wrong = change.clone();
        wrong[field] = value;
        wants(0, &json!([wrong]))
    };
    let long = json!("x".repeat(1001));
    let mut nonsense = vec![wants(0, &json!({})), wants(0, &json!([1])), wants(-1, &json!([]))];
    nonsense.extend(["holder", "machine", "person", "label"].map(|field| with(&began, field, long.clone())));
    nonsense.extend(["began", "holder", "first_ask", "machine", "label"].map(|it| with(&began, it, Value::Null)));
    nonsense.extend(["began", "holder", "first_ask", "last_ask", "asks"].map(|it| with(&ended, it, Value::Null)));
    nonsense.extend(["first_ask", "last_ask", "asks", "granted"].map(|field| with(&ended, field, json!(-1))));
    nonsense.extend([with(&ended, "asks", json!(0)), with(&ended, "last_ask", json!(now - 1))]);
    nonsense.push(wants(0, &json!(vec![began.clone(); 1001])));
    let nonsense: Vec<&str> = nonsense.iter().map(String::as_str).collect();
    refused(&mut reaper, &two.a, REFUSED, &nonsense).await;
    let crossed = wants(0, &json!([began])).replace("{pool}", &two.b.pool_id.0.to_string());
    assert_eq!(told::<i32>(&mut reaper, &crossed, &two.a).await, 0, "another's pool");
    for far in [now - 9 * 86_400_000, now + 90_000_000] {
        let far = with(&began, "first_ask", json!(far));
        assert_eq!(told::<i32>(&mut reaper, &far, &two.a).await, 0, "of a clock far from here");
    }
    let both = wants(0, &json!([began, ended]));
    assert_eq!(told::<i32>(&mut reaper, &both, &two.a).await, 1);
    assert_eq!(told::<i32>(&mut reaper, &both, &two.a).await, 0, "once");
}

/// A call of `record_wants` that tells this.
fn wants(since: i64, told: &Value) -> String {
    format!("select record_wants('{{tenant}}', '{{pool}}', {since}, '{told}')")
}

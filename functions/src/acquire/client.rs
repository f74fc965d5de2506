//! What a client says about itself. It is shown to people and kept with the session. It is trusted for nothing and is
//! no reason to refuse a seat.

use license_core::domain::{
    claimant::Claimant,
    name::{clean_for_display, fold},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use std::{collections::BTreeMap, fmt};
use utoipa::ToSchema;

/// The facts that are kept. Others may be sent, since `client` may grow, and are ignored.
const KNOWN: [&str; 7] = ["product", "version", "platform", "hostname", "deployment", "project", "user"];
/// As long as the longest host name (RFC 1035, section 2.3.4).
const MAX_CHARS: usize = 255;

/// What a client says about itself. It is for people to read and never a reason to refuse a seat. The first 255
/// characters of a fact are kept, without control characters. A fact that is no text, number or truth value is ignored,
/// and so are other fields. Only `product` decides something.
#[derive(ToSchema)]
#[schema(as = ClientFacts)]
#[expect(dead_code, reason = "in the words of the document; a client may send anything, so what is read is raw")]
pub(super) struct ClientDetails {
    /// The license must be for this product. Spaces around it and the case of letters make no difference.
    product: Option<String>,
    version: Option<String>,
    platform: Option<String>,
    /// What other users see of this holder. Without it they see `machine` and eight characters of its hash.
    hostname: Option<String>,
    /// `desktop`, `container` or `ci`, or another word.
    deployment: Option<String>,
    /// The name of the project that the seat is used for.
    project: Option<String>,
    /// The address of the person who works with it.
    user: Option<String>,
}

/// The facts that are kept, each as a plain text.
#[derive(Default)]
pub(super) struct ClientDescription(Map<String, Value>);

impl ClientDescription {
    /// Reads what was sent as `client`. Anything may be sent.
    pub(super) fn read(sent: Option<&RawValue>) -> Self {
        let sent = sent.and_then(|raw| serde_json::from_str::<BTreeMap<Lossy, &RawValue>>(raw.get()).ok());
        let mut sent = sent.unwrap_or_default();
        let mut fact = |name: &str| clean_for_display(&fact_text(sent.remove(&Lossy(name.to_owned()))?)?, MAX_CHARS);
        let kept = KNOWN.iter().filter_map(|name| Some(((*name).to_owned(), fact(name)?.into())));
        Self(kept.collect())
    }

    /// Adds to a claimant what it says about itself: the host name as the label that people are shown, the product in
    /// the form of product names, and all facts in the form in which they are kept.
    pub(super) fn describe(self, claimant: &mut Claimant) {
        if let Some(hostname) = self.text("hostname") {
            claimant.label = hostname.to_owned();
        }
        claimant.product = self.text("product").map(fold);
        claimant.client = Value::Object(self.0);
    }

    fn text(&self, fact: &str) -> Option<&str> {
        self.0.get(fact).and_then(Value::as_str)
    }
}

/// A fact as a text: a text itself, or how a number or truth value was written.
fn fact_text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<Lossy>(raw.get()).ok().map(|text| text.0),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// A text of JSON; halves of characters that JSON can write and Unicode does not have (lone surrogates) are replaced.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Lossy(String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Lossy, E> {
                Ok(Lossy(text.to_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kept(sent: &str) -> Value {
        ClientDescription::read(Some(&RawValue::from_string(sent.to_owned()).unwrap())).0.into()
    }

    #[test]
    fn whatever_is_said_is_cut_cleaned_or_passed_over() {
        let deep = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
        for (sent, expected) in [
            (r#"{"hostname":"web-1\n"}"#.to_owned(), json!({ "hostname": "web-1" })),
            (r#"{"hostname":"","version":" ","user":"\u0000"}"#.into(), json!({})),
            (format!(r#"{{"hostname":"{}"}}"#, "x".repeat(300)), json!({ "hostname": "x".repeat(255) })),
            (r#"{"deployment":"kubernetes","grown":{"later":[1]}}"#.into(), json!({ "deployment": "kubernetes" })),
            (
                r#"{"version":1.40,"user":true,"platform":null,"project":{"id":1},"hostname":["a"]}"#.into(),
                json!({ "version": "1.40", "user": "true" }),
            ),
            (
                r#"{"hostname":"a\ud800b","\udc00":1,"user":"\ud83d\ude00"}"#.into(),
                json!({ "hostname": "a\u{FFFD}\u{FFFD}\u{FFFD}b", "user": "😀" }),
            ),
            (format!(r#"{{"hostname":{deep},"version":"1"}}"#), json!({ "version": "1" })),
            (r#"{"version":"1","version":"2"}"#.into(), json!({ "version": "2" })),
            (r#"{"project":"Cafe\u0301 \u200b"}"#.into(), json!({ "project": "Café" })),
            (deep, json!({})),
            ("7".into(), json!({})),
            ("\"web\"".into(), json!({})),
        ] {
            assert_eq!(kept(&sent), expected, "{}", &sent[..sent.len().min(90)]);
        }
        assert!(ClientDescription::read(None).0.is_empty());
    }
}

//! How a file of vectors is written.

use crate::VERSION;
use serde_json::{Map, Value, json};

/// One file.
pub(crate) struct VectorFile {
    kind: &'static str,
    about: &'static str,
    /// What all its vectors share.
    given: Map<String, Value>,
    vectors: Vec<Value>,
}

impl VectorFile {
    pub(crate) fn new(kind: &'static str, about: &'static str) -> Self {
        Self { kind, about, given: Map::new(), vectors: Vec::new() }
    }

    /// What all vectors of the file share.
    pub(crate) fn give(&mut self, name: &str, value: Value) {
        self.given.insert(name.into(), value);
    }

    /// A vector that others may differ from.
    pub(crate) fn base(&mut self, name: &str, input: &Value, expect: &Value) {
        self.vectors.push(json!({ "name": name, "input": input, "expect": expect }));
    }

    /// A vector that differs from `base` in what `changed` says.
    pub(crate) fn changed(&mut self, base: &str, changed: &str, input: &Value, expect: &Value) {
        let name = format!("{base}: {changed}");
        let vector = json!({ "name": name, "base": base, "changed": changed, "input": input, "expect": expect });
        self.vectors.push(vector);
    }

    pub(crate) fn name(&self) -> String {
        format!("{}.json", self.kind)
    }

    pub(crate) fn text(&self) -> String {
        let file = json!({
            "version": VERSION,
            "kind": self.kind,
            "about": self.about,
            "given": self.given,
            "vectors": self.vectors,
        });
        format!("{}\n", in_ascii(&serde_json::to_string_pretty(&file).unwrap()))
    }
}

/// JSON with escapes in place of what people cannot see or tell apart: beyond ASCII it has only texts.
fn in_ascii(json: &str) -> String {
    let mut written = String::new();
    for character in json.chars() {
        if character.is_ascii() {
            written.push(character);
        } else {
            let units = character.encode_utf16(&mut [0; 2]).to_vec();
            written.extend(units.into_iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    written
}

/// The outcome of what is refused because of `problem`.
pub(crate) fn refused(problem: &str) -> Value {
    json!({ "outcome": "refused", "problem": problem })
}

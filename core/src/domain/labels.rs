//! What the vendor's own systems write beside an organization or a license, so that they find it again: an id of
//! theirs, and names with texts (`metadata`). Nothing is decided by it, and no token says it.

use super::{id::InvalidText, name::clean};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most characters of an external id.
const MAX_ID: usize = 200;
/// The most keys of the metadata of one thing, the most characters of a key and of a value (Stripe's numbers).
const MAX_KEYS: usize = 50;
const MAX_KEY: usize = 40;
const MAX_VALUE: usize = 500;

/// Names with texts.
pub type Metadata = BTreeMap<String, String>;

/// What the vendor's systems know an organization or a license by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// Their id of it, which no other organization, or no other license, has.
    pub external_id: Option<String>,
    /// What else they wrote.
    pub metadata: Metadata,
}

/// An edit of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelsEdit {
    /// Another external id; `Some(None)` removes it, `None` leaves it.
    pub external_id: Option<Option<String>>,
    /// Keys with their new texts; `None` removes a key. Keys that are not named stay.
    pub metadata: BTreeMap<String, Option<String>>,
}

impl LabelsEdit {
    /// True if it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Labels {
    /// The labels after an edit.
    ///
    /// # Errors
    /// If there would be more than fifty keys.
    pub fn with_edit(&self, edit: &LabelsEdit) -> Result<Self, InvalidText> {
        let mut after = self.clone();
        if let Some(external_id) = &edit.external_id {
            after.external_id.clone_from(external_id);
        }
        for (key, value) in &edit.metadata {
            match value {
                Some(value) => drop(after.metadata.insert(key.clone(), value.clone())),
                None => drop(after.metadata.remove(key)),
            }
        }
        if after.metadata.len() > MAX_KEYS { Err(InvalidText("must have at most 50 keys")) } else { Ok(after) }
    }
}

/// Reads an external id, blanks around it taken off. It is compared as it is: capitals matter.
///
/// # Errors
/// If it is empty, longer than 200 characters, or has control characters.
pub fn external_id(text: &str) -> Result<String, InvalidText> {
    let id = clean(text);
    let fits = (1..=MAX_ID).contains(&id.chars().count()) && !id.contains(char::is_control);
    if fits { Ok(id) } else { Err(InvalidText("must be 1 to 200 characters, none of them a control character")) }
}

/// Checks a key of metadata. Its characters cannot spell an address, so that an erasure need not look at keys.
///
/// # Errors
/// If it is another text.
pub fn metadata_key(text: &str) -> Result<String, InvalidText> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let fits = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(plain);
    if fits { Ok(text.to_owned()) } else { Err(InvalidText("must have keys of 1 to 40 of A-Z, a-z, 0-9, _, . and -")) }
}

/// Checks a value of metadata.
///
/// # Errors
/// If it is longer than 500 characters or has a character that PostgreSQL cannot keep.
pub fn metadata_value(text: &str) -> Result<String, InvalidText> {
    let fits = text.chars().count() <= MAX_VALUE && !text.contains('\0');
    if fits { Ok(text.to_owned()) } else { Err(InvalidText("must have texts of at most 500 characters")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_merges_and_an_empty_value_is_no_key() {
        let edit = |pairs: &[(&str, Option<&str>)]| LabelsEdit {
            external_id: None,
            metadata: pairs.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect(),
        };
        let first = Labels::default().with_edit(&edit(&[("a", Some("1")), ("b", Some("2"))])).unwrap();
        let second = first.with_edit(&edit(&[("a", None), ("c", Some("3"))])).unwrap();
        assert_eq!(second.metadata.keys().collect::<Vec<_>>(), ["b", "c"]);
        let many: Vec<String> = (0..49).map(|n| format!("k{n}")).collect();
        let many: Vec<(&str, Option<&str>)> = many.iter().map(|key| (key.as_str(), Some("x"))).collect();
        assert!(second.with_edit(&edit(&many)).is_err(), "51");
        assert!(second.with_edit(&edit(&many[1..])).is_ok(), "50");
        let cleared = Labels { external_id: Some("x".into()), ..second };
        let cleared = cleared.with_edit(&LabelsEdit { external_id: Some(None), ..LabelsEdit::default() }).unwrap();
        assert_eq!(cleared.external_id, None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(external_id(" cus_1 ").unwrap(), "cus_1");
        for wrong in ["", " ", "a\nb", &"x".repeat(201)] {
            assert!(external_id(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "a b", "a@b", "ü", &"k".repeat(41)] {
            assert!(metadata_key(wrong).is_err(), "{wrong}");
        }
        assert!(metadata_key("order.id-2_X").is_ok());
        assert!(metadata_value(&"ü".repeat(500)).is_ok() && metadata_value(&"x".repeat(501)).is_err());
        assert!(metadata_value("a\0").is_err());
    }
}

//! Names that people type, checked the same way by every service.

use license_core::domain::{
    id::InvalidText,
    name::{DisplayName, clean},
};

/// The name of an organization, a person or a token, which is shown and compared with nothing.
pub(crate) fn name(text: &str) -> Result<String, InvalidText> {
    text.parse::<DisplayName>().map(|name| name.as_str().to_owned())
}

/// The word for a product, a plan or a tier, blanks around it taken off.
pub(crate) fn slug(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let text = clean(text);
    let fits = (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-');
    if fits { Ok(text) } else { Err("must be 1 to 63 of a-z, 0-9 and -, beginning with none of the last") }
}

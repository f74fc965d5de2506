//! Names that people type, checked the same way by every service.

/// The name of an organization, a person, a project or a token: 1 to 200 characters, without space around it.
pub(crate) fn name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    let fits = (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err("must be 1 to 200 characters, none of them a control character") }
}

/// The word for a product, a plan or a tier.
pub(crate) fn slug(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let fits = (1..=63).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-');
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 63 of a-z, 0-9 and -, beginning with none of the last") }
}

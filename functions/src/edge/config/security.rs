//! Whom to tell of a weakness (RFC 9116).

use super::env::{ConfigResult, Environment, without_slash, wrong};

/// Whom to tell, as the deployment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityTxt {
    /// `SECURITY_CONTACT`: `mailto:`, `https:` or `tel:` addresses, the preferred one first.
    pub(in crate::edge) contacts: Vec<String>,
    /// `SECURITY_POLICY`: a page.
    pub(in crate::edge) policy: Option<String>,
    /// Where the file itself is, as `PUBLIC_URL` says.
    pub(in crate::edge) canonical: Option<String>,
}

impl SecurityTxt {
    /// Where it is served.
    pub(in crate::edge) const PATH: &str = "/.well-known/security.txt";

    /// Reads `SECURITY_CONTACT` (`mailto:`, `https:` or `tel:`, several with commas between them, the preferred one
    /// first) and `SECURITY_POLICY`; `PUBLIC_URL` makes it canonical. `None`: nobody is named, and the path is 404.
    ///
    /// # Errors
    /// A sentence that names the variable that is wrong.
    pub(in crate::edge) fn from_env(env: &Environment) -> ConfigResult<Option<Self>> {
        let Some(text) = env.get("SECURITY_CONTACT") else { return Ok(None) };
        let contacts = text.split(',').map(str::trim).filter(|contact| !contact.is_empty());
        let contacts = contacts.map(contact).collect::<ConfigResult<Vec<_>>>()?;
        if contacts.is_empty() {
            return wrong("SECURITY_CONTACT", "names nobody; leave it out, or write mailto:security@example.com");
        }
        let policy = match env.get("SECURITY_POLICY") {
            Some(url) if is_uri(&url) && url.starts_with("https://") => Some(url),
            Some(url) => return wrong("SECURITY_POLICY", format!("must be an https: URL, and is {url:?}")),
            None => None,
        };
        let canonical = env.get("PUBLIC_URL").map(|_| env.url("PUBLIC_URL", None)).transpose()?;
        Ok(Some(Self { contacts, policy, canonical: canonical.map(|url| without_slash(url) + Self::PATH) }))
    }
}

fn contact(text: &str) -> ConfigResult<String> {
    let known = text.starts_with("https://")
        || text.strip_prefix("tel:").is_some_and(|number| !number.is_empty())
        || text.strip_prefix("mailto:").is_some_and(|address| address.contains('@'));
    if known && is_uri(text) {
        return Ok(text.to_owned());
    }
    let hint =
        if text.contains('@') && !text.contains(':') { format!(" (write mailto:{text})") } else { String::new() };
    wrong(
        "SECURITY_CONTACT",
        format!("must be mailto:, https: or tel: addresses with commas between them, and has {text:?}{hint}"),
    )
}

/// One word of printable ASCII: it stands on a line of its own.
fn is_uri(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> ConfigResult<Option<SecurityTxt>> {
        SecurityTxt::from_env(&Environment::map(
            values.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        ))
    }

    #[test]
    fn nobody_is_named_unless_set_and_a_wrong_address_is_told_how_to_be_written() {
        assert_eq!(read(&[("SECURITY_POLICY", "https://example.com")]), Ok(None));
        for wrong in [
            "security@example.com",
            "http://example.com",
            "mailto:security",
            "tel:",
            ",",
            "mailto:a@b.c\nExpires: never",
            "https://a b",
        ] {
            let error = read(&[("SECURITY_CONTACT", wrong)]).unwrap_err();
            assert_eq!(error.variable, "SECURITY_CONTACT", "{wrong}");
        }
        assert!(read(&[("SECURITY_CONTACT", "a@b.c")]).unwrap_err().problem.contains("mailto:a@b.c"));
        let contact = ("SECURITY_CONTACT", "mailto:a@b.c");
        for (name, value) in [("SECURITY_POLICY", "http://example.com"), ("PUBLIC_URL", "example.com")] {
            assert_eq!(read(&[contact, (name, value)]).unwrap_err().variable, name);
        }
    }
}

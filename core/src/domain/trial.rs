//! Limits on trials: how many trials of a product are given to one mailbox, mail domain or network address.

use super::{
    email, network,
    secret::{KeyRing, base64url},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The numbers of trials of a product that are given within so many days. `None` means that there is no limit. A person
/// of an identity provider has one organization and therefore one trial in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialPolicy {
    /// The number of trials for one mailbox, in every spelling of its address and from every identity provider.
    pub mailbox: Option<u32>,
    /// The number of trials for all mailboxes of one domain, unless it is a public mail domain.
    pub domain: Option<u32>,
    /// The number of trials for one IPv4 address or one /64 network of IPv6.
    pub network: Option<u32>,
    /// The number of days for which a trial is counted after it was given.
    pub days: u32,
}

impl Default for TrialPolicy {
    fn default() -> Self {
        Self { mailbox: Some(1), domain: None, network: None, days: 365 }
    }
}

/// The kinds of limits on trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialLimit {
    /// The limit [`TrialPolicy::mailbox`].
    Mailbox,
    /// The limit [`TrialPolicy::domain`].
    Domain,
    /// The limit [`TrialPolicy::network`].
    Network,
}

impl std::str::FromStr for TrialLimit {
    type Err = super::id::InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mailbox" => Ok(Self::Mailbox),
            "domain" => Ok(Self::Domain),
            "network" => Ok(Self::Network),
            _ => Err(super::id::InvalidText("must be mailbox, domain or network")),
        }
    }
}

/// The large mail providers that give a mailbox to every person. The limit by domain does not apply to their domains,
/// because it would be a limit for all people together. People at smaller providers are refused when the limit of their
/// domain is reached; a vendor who sells to them raises the limit.
const PUBLIC_MAIL_DOMAINS: [&str; 20] = [
    "gmail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "msn.com",
    "yahoo.com",
    "ymail.com",
    "icloud.com",
    "me.com",
    "aol.com",
    "proton.me",
    "protonmail.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "mail.ru",
    "yandex.ru",
    "qq.com",
    "163.com",
    "zoho.com",
];

/// The local part and the domain of the mailbox to which an address delivers. The case of letters, the text after a
/// plus sign and, at Google, dots do not make another mailbox.
fn normalize_mailbox(address: &str) -> (String, String) {
    let address = email::small(address);
    let (local, domain) = address.rsplit_once('@').unwrap_or((&address, ""));
    // A domain has two spellings, with its letters and as `xn--…` (RFC 5890), and identity providers use both.
    let domain = domain.trim_end_matches('.');
    let ascii = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
    let domain = match ascii.as_str() {
        "googlemail.com" => "gmail.com",
        domain => domain,
    };
    let local = local.split('+').next().filter(|local| !local.is_empty()).unwrap_or(local);
    let local = if domain == "gmail.com" { local.replace('.', "") } else { local.to_owned() };
    (local, domain.to_owned())
}

/// The values by which a trial of this person is counted: for each kind of limit, the hashes of the mailbox, domain or
/// network under every accepted pepper, the current pepper first. `from` is the address of the request.
pub(crate) fn counted_hashes(email: &str, from: Option<IpAddr>, peppers: &KeyRing) -> Value {
    let hashes = |text: String| {
        let hash = |text: &str| peppers.all().map(|key| base64url(&key.sign(text.as_bytes()))).collect::<Vec<_>>();
        json!(hash(&format!("trial-v1 {text}")))
    };
    let (local, domain) = normalize_mailbox(email);
    let mut subjects = Map::new();
    subjects.insert("mailbox".into(), hashes(format!("mailbox {local}@{domain}")));
    if !domain.is_empty() && !PUBLIC_MAIL_DOMAINS.contains(&domain.as_str()) {
        subjects.insert("domain".into(), hashes(format!("domain {domain}")));
    }
    if let Some(from) = from {
        subjects.insert("network".into(), hashes(format!("network {}", network::client_bucket(from))));
    }
    subjects.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_one_however_it_is_written_and_no_other_is() {
        for same in
            ["ada@example.com", "ADA@Example.COM", "ada+1@example.com", " ada+x+y@example.com.\n", "ada+@example.com"]
        {
            assert_eq!(normalize_mailbox(same), ("ada".into(), "example.com".into()), "{same}");
        }
        for same in [
            "ada@müller.de",
            "ADA@MÜLLER.DE.",
            "ada@xn--mller-kva.de",
            "ada+x@XN--MLLER-KVA.de",
            "ada@mu\u{308}ller.de",
        ] {
            assert_eq!(normalize_mailbox(same), ("ada".into(), "xn--mller-kva.de".into()), "{same}");
        }
        for same in ["a.d.a@gmail.com", "ada@googlemail.com", "AD.A+x@GoogleMail.com"] {
            assert_eq!(normalize_mailbox(same), ("ada".into(), "gmail.com".into()), "{same}");
        }
        for other in
            ["a.da@example.com", "ada@example.org", "ada@sub.example.com", "+ada@example.com", "bda@example.com"]
        {
            assert_ne!(normalize_mailbox(other), ("ada".into(), "example.com".into()), "{other}");
        }
        // Addresses are compared by the rule of email.rs: two texts that are the same name after folding may be
        // different mailboxes or domains.
        for (one, other) in [
            ("straße@example.com", "strasse@example.com"),
            ("ada@straße.example", "ada@strasse.example"),
            ("νίκος@example.com", "νίκοσ@example.com"),
        ] {
            assert_ne!(normalize_mailbox(one), normalize_mailbox(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_kept_names_nobody_and_public_domains_are_not_counted() {
        let peppers = KeyRing::single(vec![2; 32]);
        let it = counted_hashes("ada@example.com", Some([203, 0, 113, 9].into()), &peppers);
        let text = it.to_string();
        assert!(!text.contains("ada") && !text.contains("example") && !text.contains("203"), "{text}");
        assert_eq!(it.as_object().unwrap().len(), 3);
        let public = counted_hashes("ada@gmail.com", None, &peppers);
        assert_eq!(public.as_object().unwrap().keys().collect::<Vec<_>>(), ["mailbox"]);
    }
}

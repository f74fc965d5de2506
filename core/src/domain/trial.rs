//! How many trials the vendor gives, and to whom they were given.

use super::{
    email, network,
    secret::{KeyRing, base64url},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// How many trials of a product are given within so many days. `None`: as many as are asked for. One person of an
/// identity provider has one organization and so one trial, whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialPolicy {
    /// To one mailbox, however its address is written and whoever vouches for it.
    pub mailbox: Option<u32>,
    /// To all mailboxes of one domain, unless it is one where everybody may have a mailbox.
    pub domain: Option<u32>,
    /// To one address of the internet; of IPv6, to one /64.
    pub network: Option<u32>,
    /// How long a trial that was given counts.
    pub days: u32,
}

impl Default for TrialPolicy {
    fn default() -> Self {
        Self { mailbox: Some(1), domain: None, network: None, days: 365 }
    }
}

/// What a trial is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialLimit {
    /// [`TrialPolicy::mailbox`].
    Mailbox,
    /// [`TrialPolicy::domain`].
    Domain,
    /// [`TrialPolicy::network`].
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

/// Where everybody may have a mailbox: a limit by domain would be one for all the world. The large ones; a vendor who
/// limits by domain and sells to people of others sees them refused, and raises the limit.
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

/// A mailbox by what is delivered to it: letters' case, what stands behind a plus and, at Google, dots make no other
/// one.
fn normalize_mailbox(address: &str) -> (String, String) {
    let address = email::small(address);
    let (local, domain) = address.rsplit_once('@').unwrap_or((&address, ""));
    // One domain has two spellings, with its letters and as `xn--…` (RFC 5890): providers say either.
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

/// By what a trial of this person is counted: for each limit the hashes under every accepted pepper, the current one
/// first.
pub(crate) fn subjects(email: &str, from: Option<IpAddr>, peppers: &KeyRing) -> Value {
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
        subjects.insert("network".into(), hashes(format!("network {}", network::bucket(from))));
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
        // By the one rule for addresses (email.rs): what folds alike as a name may be another mailbox, or another
        // domain.
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
        let it = subjects("ada@example.com", Some([203, 0, 113, 9].into()), &peppers);
        let text = it.to_string();
        assert!(!text.contains("ada") && !text.contains("example") && !text.contains("203"), "{text}");
        assert_eq!(it.as_object().unwrap().len(), 3);
        let public = subjects("ada@gmail.com", None, &peppers);
        assert_eq!(public.as_object().unwrap().keys().collect::<Vec<_>>(), ["mailbox"]);
    }
}

//! The addresses that webhooks may be sent to.

use super::is_public;
use std::fmt;
use url::{Host, ParseError, Url};

/// Which endpoints are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointRules {
    /// Only receivers on the internet: https, port 443, and a public address.
    Public,
    /// Receivers on this machine too: `localhost`, or a loopback address, with http or https and any port. This is only
    /// for a server that itself serves nobody but this machine, because a person who may add an endpoint reaches every
    /// service that listens on loopback.
    LoopbackToo,
}

/// The URL of an endpoint, as the HTTP client reads it (WHATWG URL, <https://url.spec.whatwg.org/>), after it was held
/// against the [`EndpointRules`].
///
/// Whether its host *name* has a public address is seen only when a request is sent
/// ([`crate::webhooks::WebhookSender`]). `Debug` shows the host alone, because a receiver's path is often a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

/// The reason for which a URL is refused as an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointRefusal {
    /// The text is not an absolute URL, or has a space or a control character in it.
    #[error("must be a URL such as https://example.com/webhooks, without spaces")]
    Malformed,
    /// The URL is longer than [`EndpointUrl::MAX_CHARACTERS`].
    #[error("must have at most {} characters", EndpointUrl::MAX_CHARACTERS)]
    TooLong,
    /// The scheme is not https.
    #[error("must begin with https://")]
    Scheme,
    /// A user name or a password stands before the host.
    #[error("must have no user name and no password; requests are signed instead")]
    Credentials,
    /// There is a part behind `#`, which no server would ever receive.
    #[error("must have no part behind #")]
    Fragment,
    /// The port is not 443.
    #[error("must have no port but 443")]
    Port,
    /// The host is missing, is no valid name, or is a name that only some network of its own knows, such as `localhost`
    /// or `server.internal`.
    #[error("must have a host that the whole internet knows")]
    Host,
    /// The host is an address that is not public ([`is_public`]).
    #[error("must have a public address")]
    PrivateAddress,
}

impl EndpointUrl {
    /// The length of the longest URL, in characters: in the text that is parsed, and in [`EndpointUrl::as_str`], where
    /// other letters than those of ASCII take several.
    pub const MAX_CHARACTERS: usize = 2000;

    /// Reads a URL and holds it against the rules.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str, rules: EndpointRules) -> Result<Self, EndpointRefusal> {
        if text.chars().count() > Self::MAX_CHARACTERS {
            return Err(EndpointRefusal::TooLong);
        }
        // The parser would drop some of these, so that another URL is stored than was written.
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(EndpointRefusal::Malformed);
        }
        let url = Self(Url::parse(text).map_err(unreadable)?);
        url.check(rules)?;
        Ok(url)
    }

    /// Holds the URL against rules, which may be others than it was parsed under.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, rules: EndpointRules) -> Result<(), EndpointRefusal> {
        let url = &self.0;
        let refuse = |is_wrong: bool, refusal| if is_wrong { Err(refusal) } else { Ok(()) };
        refuse(!matches!(url.scheme(), "https" | "http"), EndpointRefusal::Scheme)?;
        refuse(!url.username().is_empty() || url.password().is_some(), EndpointRefusal::Credentials)?;
        refuse(url.fragment().is_some(), EndpointRefusal::Fragment)?;
        refuse(url.as_str().len() > Self::MAX_CHARACTERS, EndpointRefusal::TooLong)?;
        let host = url.host().ok_or(EndpointRefusal::Host)?;
        if rules == EndpointRules::LoopbackToo && is_loopback(&host) {
            return Ok(());
        }
        refuse(url.scheme() != "https", EndpointRefusal::Scheme)?;
        // The parser leaves the port out where it is the scheme's own.
        refuse(url.port().is_some(), EndpointRefusal::Port)?;
        match host {
            Host::Domain(name) => refuse(!is_internet_name(name), EndpointRefusal::Host),
            Host::Ipv4(ip) => refuse(!is_public(ip.into()), EndpointRefusal::PrivateAddress),
            Host::Ipv6(ip) => refuse(!is_public(ip.into()), EndpointRefusal::PrivateAddress),
        }
    }

    /// The URL in the one spelling that the parser gives it: ASCII, at most [`EndpointUrl::MAX_CHARACTERS`] long. It
    /// stays the same when it is parsed again.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL for the HTTP client.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({})", self.0.host_str().unwrap_or_default())
    }
}

fn unreadable(error: ParseError) -> EndpointRefusal {
    match error {
        ParseError::InvalidPort => EndpointRefusal::Port,
        ParseError::EmptyHost
        | ParseError::IdnaError
        | ParseError::InvalidDomainCharacter
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address => EndpointRefusal::Host,
        _ => EndpointRefusal::Malformed,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// True for a name that may be known in the whole internet: parts of 1 to 63 letters, digits, `-` and `_` (RFC 1035
/// section 2.3.4), at least two, and 253 characters in all.
///
/// Names of one part are known in one network only, as are those under `localhost` (RFC 6761), `local` (RFC 6762) and
/// `internal` (ICANN, 2024). A full stop at the end would be another spelling of the same host.
fn is_internet_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_part = |part: &str| (1..=63).contains(&part.len()) && part.chars().all(is_letter);
    let is_public = |top: &str| !matches!(top, "localhost" | "local" | "internal");
    name.len() <= 253 && name.split('.').all(is_part) && name.rsplit_once('.').is_some_and(|(_, top)| is_public(top))
}

#[cfg(test)]
mod tests {
    use super::{EndpointRefusal::*, *};

    fn refusal(text: &str, rules: EndpointRules) -> Option<EndpointRefusal> {
        EndpointUrl::parse(text, rules).err()
    }

    #[test]
    fn an_endpoint_on_the_internet_is_accepted_and_spelled_in_one_way() {
        for (text, stored) in [
            ("https://example.com", "https://example.com/"),
            ("https://example.com:443/hook?a=b", "https://example.com/hook?a=b"),
            ("HTTPS://Hooks.EXAMPLE.com/A", "https://hooks.example.com/A"),
            ("https://müller.example/grüße", "https://xn--mller-kva.example/gr%C3%BC%C3%9Fe"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://134744072/", "https://8.8.8.8/"),
            ("https://[2606:4700:4700::1111]/", "https://[2606:4700:4700::1111]/"),
            ("https://local.example.com/", "https://local.example.com/"),
        ] {
            for rules in [EndpointRules::Public, EndpointRules::LoopbackToo] {
                let url = EndpointUrl::parse(text, rules).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
                assert_eq!(url.as_str(), stored);
                assert_eq!(EndpointUrl::parse(url.as_str(), rules), Ok(url));
            }
        }
    }

    #[test]
    fn what_is_no_endpoint_on_the_internet_is_refused_for_its_first_fault() {
        for (text, expected) in [
            ("", Malformed),
            ("example.com/hook", Malformed),
            ("//example.com", Malformed),
            (" https://example.com", Malformed),
            ("https://example.com/a b", Malformed),
            ("https://exam\nple.com", Malformed),
            ("https://example.com/\u{0}", Malformed),
            ("http://example.com", Scheme),
            ("ftp://example.com", Scheme),
            ("file:///etc/passwd", Scheme),
            ("data:text/plain,x", Scheme),
            ("https://user@example.com", Credentials),
            ("https://user:password@example.com", Credentials),
            ("https://example.com/#", Fragment),
            ("https://example.com/#part", Fragment),
            ("https://example.com:80", Port),
            ("https://example.com:8443", Port),
            ("https://example.com:99999", Port),
            ("https://", Host),
            ("https://exa%00mple.com", Host),
            ("https://1.2.3.4.5", Host),
            ("https://example.com.", Host),
            ("https://example..com", Host),
            ("https://*.example.com", Host),
            ("https://a+b.example.com", Host),
        ] {
            assert_eq!(refusal(text, EndpointRules::Public), Some(expected), "{text:?}");
            assert_eq!(refusal(text, EndpointRules::LoopbackToo), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn names_of_one_network_are_refused_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "%6cocalhost",
            "loc\u{ad}alhost",
            "ｌｏｃａｌｈｏｓｔ",
            "api.localhost",
            "printer.local",
            "metadata.google.internal",
            "metadata.google.internal.",
            "metadata",
            "postgres",
        ] {
            assert_eq!(refusal(&format!("https://{host}/"), EndpointRules::Public), Some(Host), "{host}");
        }
    }

    #[test]
    fn a_host_name_is_as_long_as_the_domain_name_system_allows() {
        let (part, longest) = (|count| "a".repeat(count), format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61)));
        for (host, accepted) in [
            (format!("{}.example.com", part(63)), true),
            (format!("{}.example.com", part(64)), false),
            (longest.clone(), true),
            (format!("{longest}a"), false),
        ] {
            let expected = (!accepted).then_some(Host);
            assert_eq!(refusal(&format!("https://{host}/"), EndpointRules::Public), expected, "{host}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_are_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "2130706433",
            "１２７.０.０.１",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "0",
            "10.0.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[fd00:ec2::254]",
            "[fe80::1]",
        ] {
            assert_eq!(refusal(&format!("https://{host}/"), EndpointRules::Public), Some(PrivateAddress), "{host}");
        }
    }

    #[test]
    fn a_server_on_loopback_also_accepts_receivers_on_loopback_and_nothing_else_besides() {
        for text in [
            "http://localhost:8080/hook",
            "http://127.0.0.1:3000",
            "https://127.9.9.9",
            "http://[::1]:1",
            "http://0x7f.1:8080",
        ] {
            assert_eq!(refusal(text, EndpointRules::LoopbackToo), None, "{text}");
            assert!(refusal(text, EndpointRules::Public).is_some(), "{text}");
        }
        for (text, expected) in [
            ("http://user@localhost", Credentials),
            ("http://localhost/#", Fragment),
            ("ftp://localhost", Scheme),
            ("http://api.localhost", Scheme),
            ("http://10.0.0.1", Scheme),
            ("https://10.0.0.1", PrivateAddress),
            ("https://[::ffff:127.0.0.1]", PrivateAddress),
            ("https://0.0.0.0", PrivateAddress),
            ("https://api.localhost", Host),
            ("https://localhost.", Host),
            ("http://localhost.example.com", Scheme),
        ] {
            assert_eq!(refusal(text, EndpointRules::LoopbackToo), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_url_has_at_most_2000_characters_in_either_spelling() {
        let path = |character: &str, count: usize| format!("https://example.com/{}", character.repeat(count));
        for (text, accepted) in
            [(path("a", 1980), true), (path("a", 1981), false), (path("ü", 330), true), (path("ü", 331), false)]
        {
            let expected = (!accepted).then_some(TooLong);
            assert_eq!(refusal(&text, EndpointRules::Public), expected, "{} characters", text.chars().count());
        }
    }

    #[test]
    fn debug_shows_the_host_alone() {
        let url = EndpointUrl::parse("https://example.com/a-secret?token=1", EndpointRules::Public).unwrap();
        assert_eq!(format!("{url:?}"), "EndpointUrl(example.com)");
    }
}

//! Host names, looked up so that the address that was checked is the address that is connected to.

use crate::domain::webhook::{EndpointRules, is_public};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;

/// A host name has an address that may not be sent to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host name has an address that is not public")]
pub(super) struct AddressNotPublic;

/// Looks names up at the operating system, and refuses those with an address that may not be sent to.
///
/// The HTTP client connects to what this returns and to nothing else. If the name were checked first and looked up
/// again for the connection, its owner could give another address the second time (DNS rebinding).
pub(super) struct CheckedNames {
    pub(super) rules: EndpointRules,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.rules;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let checked: Addrs = Box::new(checked(rules, name.as_str(), found)?.into_iter());
            Ok(checked)
        })
    }
}

/// The addresses of a name, if *each* of them may be sent to. A name that also has another one is not half trusted: no
/// receiver on the internet has such a name by intention.
pub(super) fn checked(
    rules: EndpointRules,
    name: &str,
    found: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, AddressNotPublic> {
    let is_own = rules == EndpointRules::LoopbackToo && name == "localhost";
    let allowed = |address: &SocketAddr| if is_own { address.ip().is_loopback() } else { is_public(address.ip()) };
    if found.iter().all(allowed) { Ok(found) } else { Err(AddressNotPublic) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rules: EndpointRules, name: &str, found: &[&str]) -> bool {
        let found: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        checked(rules, name, found.clone()).is_ok_and(|checked| checked == found)
    }

    #[test]
    fn a_name_is_refused_for_any_address_that_is_not_public() {
        for rules in [EndpointRules::Public, EndpointRules::LoopbackToo] {
            assert!(verdict(rules, "example.com", &["8.8.8.8", "2606:4700:4700::1111"]));
            for inside in ["169.254.169.254", "::1", "127.0.0.1", "10.0.0.1", "::ffff:169.254.169.254", "fd00:ec2::254"]
            {
                assert!(!verdict(rules, "example.com", &[inside]), "{inside}");
                assert!(!verdict(rules, "example.com", &["8.8.8.8", inside]), "{inside}");
                assert!(!verdict(rules, "example.com", &[inside, "8.8.8.8"]), "{inside}");
            }
        }
    }

    #[test]
    fn only_localhost_may_be_loopback_and_only_under_the_rules_for_it() {
        assert!(verdict(EndpointRules::LoopbackToo, "localhost", &["127.0.0.1", "::1"]));
        assert!(!verdict(EndpointRules::LoopbackToo, "localhost", &["127.0.0.1", "10.0.0.1"]));
        assert!(!verdict(EndpointRules::LoopbackToo, "localhost.example.com", &["127.0.0.1"]));
        assert!(!verdict(EndpointRules::Public, "localhost", &["127.0.0.1"]));
    }

    #[tokio::test]
    async fn a_name_that_this_machine_gives_a_loopback_address_is_refused() {
        let look_up = |rules| CheckedNames { rules }.resolve("localhost".parse().unwrap());
        let refusal = look_up(EndpointRules::Public).await.err().unwrap();
        assert!(refusal.is::<AddressNotPublic>(), "{refusal}");
        let found: Vec<SocketAddr> = look_up(EndpointRules::LoopbackToo).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
    }
}

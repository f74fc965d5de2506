//! Networks and addresses of the internet.
//!
//! [`IpNetwork`] is a network in CIDR notation (RFC 4632, RFC 4291 section 2.3); it lists where requests may come from.
//! [`canonical_address`] and [`client_bucket`] say which spellings and which addresses belong to the same client.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Returns the IPv4 address that an IPv6 address spells, and every other address unchanged.
///
/// An IPv6 address spells an IPv4 address if it is mapped (`::ffff:1.2.3.4`, RFC 4291), compatible (`::1.2.3.4`, RFC
/// 4291), translated (`::ffff:0:1.2.3.4`, RFC 2765) or of NAT64 (`64:ff9b::1.2.3.4`, RFC 6052).
pub fn canonical_address(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let ipv4 = embedded_ipv4(v6.octets());
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => ipv4.into(),
        // `::` and `::1` are addresses of their own. No host has an IPv4 address that begins with 0.
        [0, 0, 0, 0, 0, 0, ..] if ipv4.octets()[0] != 0 => ipv4.into(),
        _ => ip,
    }
}

/// The last four bytes of an IPv6 address as an IPv4 address.
fn embedded_ipv4(octets: [u8; 16]) -> Ipv4Addr {
    let [.., a, b, c, d] = octets;
    [a, b, c, d].into()
}

/// The name under which the requests of an address are counted: the IPv4 address, or the /64 network of an IPv6
/// address.
///
/// A machine usually has a whole /64 to itself and could use a new address for each request. 6to4 (RFC 3056) and Teredo
/// (RFC 4380) give whole IPv6 networks to one IPv4 address, so their addresses are counted as that IPv4 address.
pub fn client_bucket(ip: IpAddr) -> String {
    let IpAddr::V6(v6) = canonical_address(ip) else { return canonical_address(ip).to_string() };
    let octets = v6.octets();
    match octets {
        [0x20, 0x02, a, b, c, d, ..] => Ipv4Addr::from([a, b, c, d]).to_string(),
        [0x20, 0x01, 0, 0, ..] => Ipv4Addr::from(embedded_ipv4(octets).octets().map(|b| !b)).to_string(),
        _ => format!("{:x?}", &v6.segments()[..4]),
    }
}

/// A network: an address of which the first `length` bits count and all other bits are 0. An IPv4 network that was
/// spelled in IPv6 is stored as an IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IpNetwork {
    base: IpAddr,
    length: u8,
}

/// The reason for which a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// The text is not an address, or its length is not possible for an address of that kind.
    #[error("must be a network such as 192.0.2.0/24 or 2001:db8::/32, or one address")]
    Malformed,
    /// The address has bits beyond the length, so it is not clear which network is meant. The value is the network that
    /// contains the address.
    #[error("has bits beyond its length; write {0} if you mean the whole network, or the address without a length")]
    BitsBeyondLength(IpNetwork),
    /// The network is a part of IPv6 that spells more than one IPv4 address.
    #[error("spells IPv4 addresses in IPv6; write the network of IPv4 itself, as requests from there are taken for it")]
    Ipv4InIpv6,
}

impl IpNetwork {
    /// True if the address is in this network. All spellings of an IPv4 address count as the same address, and no IPv4
    /// address is in an IPv6 network.
    pub fn contains(self, ip: IpAddr) -> bool {
        match (self.base, canonical_address(ip)) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                network_bits(base.to_bits(), self.length) == network_bits(ip.to_bits(), self.length)
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                network_bits_v6(base, self.length) == network_bits_v6(ip, self.length)
            }
            _ => false,
        }
    }

    fn new(ip: IpAddr, length: u8) -> Result<Self, InvalidNetwork> {
        let base = match ip {
            IpAddr::V4(ip) => IpAddr::V4(network_bits(ip.to_bits(), length).into()),
            IpAddr::V6(ip) => IpAddr::V6(network_bits_v6(ip, length).into()),
        };
        let network = Self { base, length };
        if base == ip { Ok(network) } else { Err(InvalidNetwork::BitsBeyondLength(network)) }
    }
}

/// The first `length` bits of an IPv4 address, and 0 for the others.
pub(super) fn network_bits(bits: u32, length: u8) -> u32 {
    bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

/// The first `length` bits of an IPv6 address, and 0 for the others.
pub(super) fn network_bits_v6(ip: Ipv6Addr, length: u8) -> u128 {
    ip.to_bits() & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

impl FromStr for IpNetwork {
    type Err = InvalidNetwork;
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = text.trim().split_once('/').map_or((text.trim(), None), |(ip, n)| (ip, Some(n)));
        let ip: IpAddr = address.parse().map_err(|_| InvalidNetwork::Malformed)?;
        let full_length: u8 = if ip.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => full_length,
            Some(digits) => {
                // The standard library would also accept "+8" and "008" as numbers.
                let number = digits.parse().ok().filter(|n: &u8| *n <= full_length && n.to_string() == digits);
                number.ok_or(InvalidNetwork::Malformed)?
            }
        };
        let is_mapped = |ip: Ipv6Addr| ip.segments()[..6] == [0, 0, 0, 0, 0, 0xffff];
        match (ip, canonical_address(ip)) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if length == 128 => Self::new(canonical, 32),
            // Only in the mapped form does an IPv6 network mean exactly one IPv4 network.
            (IpAddr::V6(v6), IpAddr::V4(v4)) if is_mapped(v6) && length >= 96 => Self::new(v4.into(), length - 96),
            (IpAddr::V6(_), IpAddr::V4(_)) => Err(InvalidNetwork::Ipv4InIpv6),
            _ => Self::new(ip, length),
        }
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.length)
    }
}

impl TryFrom<String> for IpNetwork {
    type Error = InvalidNetwork;
    fn try_from(text: String) -> Result<Self, InvalidNetwork> {
        text.parse()
    }
}

impl From<IpNetwork> for String {
    fn from(network: IpNetwork) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNetwork {
        text.parse().unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    #[test]
    fn a_network_is_written_in_one_way_however_it_was_spelled() {
        for (text, canonical) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            (" 192.0.2.7 ", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::1", "::1/128"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:c000:0200/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("64:ff9b::192.0.2.7", "192.0.2.7/32"),
            ("::ffff:0:192.0.2.7", "192.0.2.7/32"),
            ("::192.0.2.7", "192.0.2.7/32"),
        ] {
            assert_eq!(network(text).to_string(), canonical, "{text}");
            assert_eq!(network(canonical), network(text));
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for text in [
            "",
            "/",
            "/24",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/+8",
            "192.0.2.0/024",
            "192.0.2.0/24/8",
            "192.0.2",
            "192.0.2.0/255.255.255.0",
            "192.0.2.*",
            "2001:db8::/129",
            "[2001:db8::]/32",
            "fe80::1%eth0",
            "example.com",
            "192.0.2.0 /24",
            "٣.0.2.0/24",
            "010.0.0.0/8",
        ] {
            assert_eq!(text.parse::<IpNetwork>(), Err(InvalidNetwork::Malformed), "{text:?}");
        }
        for (text, meant) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("1.2.3.4/0", "0.0.0.0/0"),
        ] {
            let problem = text.parse::<IpNetwork>().unwrap_err();
            assert_eq!(problem, InvalidNetwork::BitsBeyondLength(network(meant)));
            assert!(problem.to_string().contains(meant), "{problem}");
        }
        // Each of these would contain all of IPv4, or a part of it that the text does not show.
        for text in ["64:ff9b::/96", "64:ff9b::192.0.2.0/120", "::ffff:0:192.0.2.0/120", "::ffff:0.0.0.0/64"] {
            assert!(text.parse::<IpNetwork>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_inside_from_the_first_to_the_last_and_in_every_spelling() {
        let inside = |of: &str, ip: &str| network(of).contains(ip.parse().unwrap());
        for ip in
            ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "::192.0.2.9", "64:ff9b::192.0.2.9", "::ffff:0:192.0.2.9"]
        {
            assert!(inside("192.0.2.0/24", ip), "{ip}");
            assert!(inside("0.0.0.0/0", ip), "{ip}");
            assert!(!inside("::/0", ip), "{ip} is of IPv4");
        }
        for ip in ["192.0.1.255", "192.0.3.0", "::ffff:192.0.3.0", "2001:db8::c000:200", "::1"] {
            assert!(!inside("192.0.2.0/24", ip), "{ip}");
        }
        assert!(inside("2001:db8::/33", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
        assert!(!inside("2001:db8::/33", "2001:db8:8000::"));
        assert!(inside("192.0.2.7", "192.0.2.7") && !inside("192.0.2.7", "192.0.2.6"));
        assert!(inside("::1", "::1") && !inside("::1", "::2"));
    }
}

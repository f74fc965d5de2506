//! The addresses of the internet that belong to anybody's receiver, and not to the network that this server is in.

use crate::domain::network::{network_bits, network_bits_v6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 networks that are not public: everything in the registry below that is not globally reachable, and more
/// where said. Each is its first address and its length in bits.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry/>
const NOT_PUBLIC_V4: &[(Ipv4Addr, u8)] = &[
    // This network (RFC 791). Linux takes 0.0.0.0 for the machine itself.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private networks (RFC 1918), here and twice below.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared by the customers of a provider (RFC 6598). Some clouds have their metadata server here.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback (RFC 1122).
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Not in the registry: services of the platform for each machine of Azure.
    // https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Link-local (RFC 3927). 169.254.169.254 is the metadata server of most clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments (RFC 6890). The few anycast addresses in it that are reachable belong to no receiver.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation (RFC 5737), here and twice below.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4, which was given up (RFC 7526): they would carry a request on into IPv6.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks (RFC 2544).
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast (RFC 5771).
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved (RFC 1112), with the broadcast address (RFC 919).
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Only in this network are IPv6 addresses given to the public (RFC 4291 section 2.4). Outside of it are `::`, `::1`,
/// the IPv4 addresses in IPv6 (`::/96`, `::ffff:0:0/96`), NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), `100::/64`,
/// `5f00::/16`, unique local addresses (`fc00::/7`, with the metadata server `fd00:ec2::254` of AWS), link-local ones
/// (`fe80::/10`), site-local ones (`fec0::/10`) and multicast (`ff00::/8`).
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The networks within [`GLOBAL_V6`] that are not public all the same.
/// <https://www.iana.org/assignments/iana-ipv6-special-registry/>
const NOT_PUBLIC_V6: &[(Ipv6Addr, u8)] = &[
    // Protocol assignments (RFC 2928), with Teredo (RFC 4380), whose addresses spell an IPv4 address.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation (RFC 3849, RFC 9637).
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4 (RFC 3056), whose addresses spell an IPv4 address.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// True for an address that anybody on the internet can be reached at. False for an address of this machine, of a
/// private network or of the platform, and for an IPv6 address that spells an IPv4 address.
///
/// The lists follow the registries of special-purpose addresses at IANA, of IPv4
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry/>) and of IPv6
/// (<https://www.iana.org/assignments/iana-ipv6-special-registry/>), as RFC 6890 set them up.
pub fn is_public(ip: IpAddr) -> bool {
    let within = |ip: Ipv6Addr, (base, length): &(Ipv6Addr, u8)| network_bits_v6(ip, *length) == base.to_bits();
    match ip {
        IpAddr::V4(ip) => {
            !NOT_PUBLIC_V4.iter().any(|(base, length)| network_bits(ip.to_bits(), *length) == base.to_bits())
        }
        IpAddr::V6(ip) => within(ip, &GLOBAL_V6) && !NOT_PUBLIC_V6.iter().any(|network| within(ip, network)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(public: bool, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn no_ipv4_address_of_a_special_network_is_public_from_its_first_to_its_last() {
        for (before, first, last, after) in [
            ("223.255.255.255", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "239.255.255.255", "8.8.8.8"),
            ("223.255.255.255", "240.0.0.0", "255.255.255.255", "1.1.1.1"),
        ] {
            hold(true, &[before, after]);
            hold(false, &[first, last]);
        }
        hold(false, &["169.254.169.254", "192.0.0.192", "100.100.100.200", "127.0.0.1"]);
    }

    #[test]
    fn only_global_unicast_addresses_of_ipv6_are_public() {
        for (first, last) in
            [("2001::", "2001:1ff"), ("2001:db8::", "2001:db8"), ("2002::", "2002"), ("3fff::", "3fff:fff")]
        {
            let rest = ":ffff".repeat(8 - last.split(':').count());
            hold(false, &[first, &format!("{last}{rest}")]);
        }
        for (before, after) in
            [("2000", "2001:200::"), ("2001:db7", "2001:db9::"), ("2001:ffff", "2003::"), ("3ffe", "3fff:1000::")]
        {
            let rest = ":ffff".repeat(8 - before.split(':').count());
            hold(true, &[&format!("{before}{rest}"), after]);
        }
        hold(true, &["2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2606:4700:4700::1111", "2a00:1450:4001::1"]);
        hold(
            false,
            &[
                "::",
                "::1",
                "::2",
                "::8.8.8.8",
                "::ffff:8.8.8.8",
                "::ffff:169.254.169.254",
                "::ffff:0:8.8.8.8",
                "64:ff9b::8.8.8.8",
                "64:ff9b:1::1",
                "100::1",
                "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                "2002:7f00:1::1",
                "4000::",
                "5f00::1",
                "fc00::",
                "fd00:ec2::254",
                "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "fe80::1",
                "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "fec0::1",
                "ff02::1",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            ],
        );
    }
}

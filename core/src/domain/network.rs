//! Which addresses of the internet are one client's, however they are written.

use std::net::{IpAddr, Ipv4Addr};

/// The address itself, where IPv6 only spells an IPv4 one: mapped (`::ffff:1.2.3.4`, RFC 4291), compatible (`::1.2.3.4`, the same),
/// translated (`::ffff:0:1.2.3.4`, RFC 2765) or of NAT64 (`64:ff9b::1.2.3.4`, RFC 6052).
pub fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let spelled = last_four(v6.octets());
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => spelled.into(),
        // `::` and `::1` are addresses of their own; nobody's IPv4 address begins with 0.
        [0, 0, 0, 0, 0, 0, ..] if spelled.octets()[0] != 0 => spelled.into(),
        _ => ip,
    }
}

fn last_four(octets: [u8; 16]) -> Ipv4Addr {
    let [.., a, b, c, d] = octets;
    [a, b, c, d].into()
}

/// Whose requests are counted together: an IPv4 address, or a /64 of IPv6, since a machine has all of that to itself and could draw a new
/// address for each request. 6to4 (RFC 3056) and Teredo (RFC 4380) give whole networks to one IPv4 address, and count as it.
pub fn bucket(ip: IpAddr) -> String {
    let IpAddr::V6(v6) = plain(ip) else { return plain(ip).to_string() };
    let octets = v6.octets();
    match octets {
        [0x20, 0x02, a, b, c, d, ..] => Ipv4Addr::from([a, b, c, d]).to_string(),
        [0x20, 0x01, 0, 0, ..] => Ipv4Addr::from(last_four(octets).octets().map(|b| !b)).to_string(),
        _ => format!("{:x?}", &v6.segments()[..4]),
    }
}

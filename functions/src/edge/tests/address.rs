use super::{client_bucket, of};
use axum::extract::ConnectInfo;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The proxy that connects.
const PEER: &str = "10.0.0.1";

fn asked_by(peer: &str, lines: &[(&str, &str)], proxies: u8) -> Option<String> {
    let mut request = http::Request::builder();
    for (name, line) in lines {
        request = request.header(*name, http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
    of(&parts, proxies).map(|ip| ip.to_string())
}

fn with(name: &str, lines: &[&str], proxies: u8) -> String {
    let lines: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
    asked_by(PEER, &lines, proxies).unwrap()
}

fn xff(lines: &[&str], proxies: u8) -> String {
    with("x-forwarded-for", lines, proxies)
}

fn forwarded(lines: &[&str], proxies: u8) -> String {
    with("forwarded", lines, proxies)
}

#[test]
fn a_forwarded_address_is_believed_only_as_far_as_our_own_proxies_wrote_it() {
    assert_eq!(xff(&["1.1.1.1"], 0), PEER);
    assert_eq!(xff(&["9.9.9.9, 1.1.1.1"], 1), "1.1.1.1");
    assert_eq!(xff(&["9.9.9.9", "1.1.1.1, 10.0.0.2"], 2), "1.1.1.1");
    assert_eq!(xff(&["2001:db8::1"], 1), "2001:db8::1");
    assert_eq!(forwarded(&["for=1.1.1.1"], 0), PEER);
    assert_eq!(forwarded(&["for=9.9.9.9, for=1.1.1.1"], 1), "1.1.1.1");
    assert_eq!(forwarded(&["for=9.9.9.9", "for=1.1.1.1;proto=https, for=10.0.0.2"], 2), "1.1.1.1");
}

#[test]
fn an_entry_is_read_in_every_form_in_which_proxies_write_it() {
    for entry in [
        "203.0.113.9",
        "203.0.113.9:51234",
        "203.0.113.9:",
        " 203.0.113.9 ",
        "\t203.0.113.9:1\t",
        "\"203.0.113.9\"",
        "\"203.0.113.9:51234\"",
        "\" 203.0.113.9 \"",
        "[203.0.113.9]:443",
        "203.0.113.9:_hidden",
        "::ffff:203.0.113.9",
        "::FFFF:203.0.113.9",
        "::ffff:cb00:7109",
        "[::ffff:203.0.113.9]",
        "[::ffff:203.0.113.9]:443",
        "::ffff:203.0.113.9:443",
        "0:0:0:0:0:ffff:203.0.113.9",
        "0000:0000:0000:0000:0000:FFFF:CB00:7109",
        "::203.0.113.9",
        "::cb00:7109",
        "::ffff:0:203.0.113.9",
        "64:ff9b::203.0.113.9",
        "[64:FF9B::CB00:7109]:80",
        "::ffff:203.0.113.9%eth0",
        "[::ffff:203.0.113.9%eth0]:443",
    ] {
        assert_eq!(xff(&[entry], 1), "203.0.113.9", "{entry:?}");
        assert_eq!(xff(&[&format!("9.9.9.9 ,{entry},10.0.0.2:80")], 2), "203.0.113.9", "{entry:?}");
    }
    for entry in [
        "2001:db8::9",
        "2001:DB8::9",
        "2001:0db8:0000:0:0:0:0:0009",
        "[2001:db8::9]",
        "[2001:db8::9]:443",
        "[2001:DB8::9]:",
        "\"[2001:db8::9]:443\"",
        "2001:db8::9%eth0",
        "[2001:db8::9%25eth0]:443",
        "2001:db8::9%eth0:443",
        "2001:db8:0:0:0:0:0:9:443",
    ] {
        assert_eq!(xff(&[entry], 1), "2001:db8::9", "{entry:?}");
    }
    for own in ["::1", "::", "fe80::1", "2002:cb00:7109::1"] {
        assert_eq!(xff(&[own], 1), own);
    }
}

#[test]
fn forwarded_is_read_as_rfc_7239_has_it() {
    for element in [
        "for=203.0.113.9",
        "For=203.0.113.9",
        "FOR=\"203.0.113.9:47011\"",
        "for=203.0.113.9:47011",
        "for = 203.0.113.9",
        "proto=http;by=203.0.113.43;for=203.0.113.9",
        ";;for=203.0.113.9; ;proto=https;",
        "for=\"[::ffff:203.0.113.9]:80\"",
        "for=\"\\203.0.113.9\"",
        "host=\"a,b;for=9.9.9.9\";for=203.0.113.9",
        "for=203.0.113.9;host=\"\\\",for=9.9.9.9\"",
    ] {
        assert_eq!(forwarded(&[element], 1), "203.0.113.9", "{element}");
        assert_eq!(forwarded(&["for=9.9.9.9", &format!("{element}, for=10.0.0.2")], 2), "203.0.113.9", "{element}");
    }
    assert_eq!(forwarded(&["for=\"[2001:db8:cafe::17]:4711\""], 1), "2001:db8:cafe::17");
    for none in ["proto=https", "for", "for=", "for=unknown", "for=_hidden", "for=1.1.1.1;for=2.2.2.2", "by=1.1.1.1"] {
        assert_eq!(forwarded(&[none], 1), PEER, "{none}");
    }
}

#[test]
fn where_the_proxy_named_nobody_it_is_the_proxy_and_never_what_a_client_wrote_before() {
    for entry in [
        "unknown",
        "UNKNOWN",
        "_hidden",
        "nonsense",
        "-",
        "\"\"",
        "\"",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "010.0.0.1",
        "1.1.1.1:x",
        "1.1.1.1:123456",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]x",
        "[]",
        "[]:80",
        ":80",
        "1.1.1.1 2.2.2.2",
        "unix:",
        "example.com",
        "%eth0",
    ] {
        assert_eq!(xff(&[&format!("9.9.9.9, {entry}")], 1), PEER, "{entry:?}");
        assert_eq!(xff(&["9.9.9.9", &format!("{entry}, 10.0.0.2")], 2), PEER, "{entry:?}");
    }
    assert_eq!(xff(&[], 1), PEER);
    assert_eq!(xff(&["1.1.1.1"], 2), PEER, "it did not come through both");
    assert_eq!(xff(&["", " ", ",,"], 1), PEER);
}

#[test]
fn empty_entries_and_lines_do_not_count() {
    for lines in [
        &["203.0.113.9,"][..],
        &[",203.0.113.9"],
        &["203.0.113.9, ,"],
        &["9.9.9.9,,203.0.113.9"],
        &["", "203.0.113.9", ""],
        &["9.9.9.9", "", " , 203.0.113.9"],
    ] {
        assert_eq!(xff(lines, 1), "203.0.113.9", "{lines:?}");
    }
    assert_eq!(xff(&["203.0.113.9,,10.0.0.2"], 2), "203.0.113.9");
    assert_eq!(forwarded(&["", ",for=203.0.113.9,"], 1), "203.0.113.9");
}

#[test]
fn the_header_that_proxies_write_wins_over_the_one_they_pass_on() {
    let both = [("forwarded", "for=9.9.9.9"), ("x-forwarded-for", "203.0.113.9")];
    assert_eq!(asked_by(PEER, &both, 1).unwrap(), "203.0.113.9");
    let hidden = [("forwarded", "for=9.9.9.9"), ("x-forwarded-for", "unknown")];
    assert_eq!(asked_by(PEER, &hidden, 1).unwrap(), PEER);
    let short = [("forwarded", "for=9.9.9.9, for=10.0.0.2"), ("x-forwarded-for", "203.0.113.9")];
    assert_eq!(asked_by(PEER, &short, 2).unwrap(), PEER);
}

#[test]
fn the_connections_own_address_is_as_plain() {
    assert_eq!(asked_by("::ffff:203.0.113.9", &[], 0).unwrap(), "203.0.113.9");
    assert_eq!(asked_by("::ffff:203.0.113.9", &[], 1).unwrap(), "203.0.113.9");
    assert_eq!(asked_by("2001:db8::9", &[("x-forwarded-for", "1.1.1.1")], 0).unwrap(), "2001:db8::9");
}

fn counted(text: &str) -> String {
    client_bucket(text.parse().unwrap())
}

#[test]
fn one_client_is_one_bucket() {
    for form in
        ["::ffff:203.0.113.9", "::203.0.113.9", "64:ff9b::cb00:7109", "2002:cb00:7109::1", "2002:cb00:7109:ffff::2"]
    {
        assert_eq!(counted(form), counted("203.0.113.9"), "{form}");
    }
    // Teredo has the client's address with every bit turned (RFC 4380, section 4).
    assert_eq!(counted("2001:0:4136:e378:8000:63bf:34ff:8ef6"), counted("203.0.113.9"));
    assert_eq!(counted("2001:db8::1"), counted("2001:db8::ffff:ffff:ffff:ffff"));
    assert_ne!(counted("2001:db8::1"), counted("2001:db8:0:1::1"));
    assert_ne!(counted("::1"), counted("64:ff9c::1"));
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    (1..=255u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d))
}

/// Every way in which a proxy may write an IPv4 address: as such or spelled by IPv6, with and without port, brackets,
/// quotes, blanks, upper case.
fn written() -> impl Strategy<Value = (Ipv4Addr, String)> {
    let port = proptest::option::of(any::<u16>());
    (ipv4(), 0..6u8, port, any::<[bool; 4]>()).prop_map(|(ip, form, port, [brackets, quotes, blanks, upper])| {
        let high: [u128; 6] = [0, 0xffff << 32, 0xffff << 48, 0x0064_ff9b << 96, 0, 0];
        let v6 = Ipv6Addr::from(high[usize::from(form)] | u128::from(ip.to_bits()));
        let bare = form >= 4;
        let host = if bare { ip.to_string() } else { v6.to_string() };
        let host = if upper { host.to_uppercase() } else { host };
        let host = if !bare && (brackets || port.is_some()) { format!("[{host}]") } else { host };
        let node = port.map_or(host.clone(), |port| format!("{host}:{port}"));
        let node = if quotes { format!("\"{node}\"") } else { node };
        (ip, if blanks { format!(" {node}\t") } else { node })
    })
}

proptest! {
    #[test]
    fn however_it_is_written_it_is_the_same_client((ip, entry) in written(), before in "[ -~]{0,40}") {
        let line = format!("{before},{entry}");
        prop_assert_eq!(xff(&[&line], 1), ip.to_string());
        let quoted = if entry.contains('"') { entry.trim().to_owned() } else { format!("\"{}\"", entry.trim()) };
        let line = format!("{before},proto=https;for={quoted};host=\"x\"");
        prop_assert_eq!(forwarded(&[&line], 1), ip.to_string());
    }

    #[test]
    fn nothing_a_client_writes_before_our_proxies_changes_anything(
        before in proptest::collection::vec("[ -~]{0,60}", 0..3),
        proxies in 1..4u8,
    ) {
        let ours: Vec<String> = (1..=proxies).map(|n| format!("203.0.113.{n}")).collect();
        let mut lines: Vec<&str> = before.iter().map(String::as_str).collect();
        let own = ours.join(", ");
        lines.push(&own);
        prop_assert_eq!(xff(&lines, proxies), "203.0.113.1");
        let own = ours.iter().map(|ip| format!("for={ip}")).collect::<Vec<_>>().join(",");
        *lines.last_mut().unwrap() = &own;
        prop_assert_eq!(forwarded(&lines, proxies), "203.0.113.1");
    }

    #[test]
    fn every_address_is_in_one_bucket_of_its_own_network(bits in any::<u128>(), host in any::<u64>()) {
        let (a, b) = (Ipv6Addr::from(bits), Ipv6Addr::from(bits & !u128::from(u64::MAX) | u128::from(host)));
        prop_assume!(a.segments()[0] != 0 && a.segments()[..2] != [0x2001, 0]);
        prop_assert_eq!(client_bucket(IpAddr::V6(a)), client_bucket(IpAddr::V6(b)));
    }
}

//! From where a request comes, and which addresses are one client's.

use super::rare_warning::RareWarning;
use axum::extract::ConnectInfo;
use http::{HeaderMap, header::FORWARDED, request::Parts};
use license_core::domain::network::canonical_address;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

pub use license_core::domain::network::client_bucket;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address, an IPv4 one as such however it was written.
///
/// Behind `proxies` proxies of ours the last so many entries of `X-Forwarded-For` were written by them, each naming
/// whom it heard from; everything before was written by whoever asks and is not believed. `Forwarded` (RFC 7239) is
/// read the same way where there is no `X-Forwarded-For` at all: proxies that write the older header pass on what a
/// client wrote into the newer one.
///
/// Where no address stands in the entry that counts, it is that of the connection, which is the proxy's: a log line
/// says so, since all its clients are then taken for one. `None`: the connection is none of TCP.
pub fn of(parts: &Parts, proxies: u8) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| canonical_address(info.0.ip()));
    if proxies == 0 {
        return peer;
    }
    match client_address(&parts.headers, proxies) {
        Ok(client) => Some(client),
        Err(why) => {
            static SAID: RareWarning = RareWarning::new();
            if SAID.due(Instant::now()) {
                tracing::warn!(
                    why,
                    proxies,
                    "a client's address is not known: all clients of its proxy share their limits"
                );
            }
            peer
        }
    }
}

/// What the proxies say, or why that is no address.
fn client_address(headers: &HeaderMap, proxies: u8) -> Result<IpAddr, &'static str> {
    let (name, forwarded) = if headers.contains_key(X_FORWARDED_FOR) {
        (X_FORWARDED_FOR, false)
    } else if headers.contains_key(FORWARDED) {
        (FORWARDED.as_str(), true)
    } else {
        return Err("the request has neither X-Forwarded-For nor Forwarded");
    };
    // Several lines are one list (RFC 9110, section 5.3). What a client wrote before our proxies need not even be text.
    let lines: Vec<_> = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let list = lines.join(",");
    let entry = from_the_end(&list, b',').nth(usize::from(proxies) - 1);
    let entry =
        entry.ok_or("there are fewer entries than TRUSTED_PROXIES: the request did not come through all of them")?;
    let node = if forwarded { node(entry).ok_or("the entry of Forwarded does not say for whom")? } else { entry };
    address(node).ok_or("the proxy wrote no address: unknown, hidden or unreadable")
}

/// The parts of a list, the last one first. Empty ones do not count (RFC 9110, section 5.6.1), and a separator within
/// quotes parts nothing. Read from its end, so that a quote which a client opens and never closes swallows nothing that
/// a proxy wrote behind it.
fn from_the_end(list: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(list);
    let parts = std::iter::from_fn(move || {
        let list = rest?;
        let at = last_separator(list, separator);
        rest = at.map(|at| &list[..at]);
        Some(list[at.map_or(0, |at| at + 1)..].trim())
    });
    parts.filter(|part| !part.is_empty())
}

fn last_separator(list: &str, separator: u8) -> Option<usize> {
    let bytes = list.as_bytes();
    let mut quoted = false;
    for (at, &byte) in bytes.iter().enumerate().rev() {
        match byte {
            b'"' if quoted => {
                // A quote behind an odd number of backslashes is one of the text.
                let slashes = bytes[..at].iter().rev().take_while(|b| **b == b'\\').count();
                quoted = slashes % 2 == 1;
            }
            b'"' => quoted = true,
            byte if byte == separator && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The value of `for` in an element of `Forwarded`, which says it once.
fn node(element: &str) -> Option<&str> {
    let pairs = from_the_end(element, b';').filter_map(|pair| pair.split_once('='));
    let mut nodes = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (Some((_, node)), None) = (nodes.next(), nodes.next()) else { return None };
    Some(node.trim())
}

/// The address in an entry: bare or in quotes, IPv6 in brackets or not, with a port or a zone behind it or without.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = unquoted(entry);
    let entry = entry.trim();
    if let Some(rest) = entry.strip_prefix('[') {
        let (host, behind) = rest.split_once(']')?;
        return host_address(host).filter(|_| behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port));
    }
    let without_port = || entry.rsplit_once(':').filter(|(_, port)| is_port(port));
    host_address(entry).or_else(|| host_address(without_port()?.0))
}

fn host_address(host: &str) -> Option<IpAddr> {
    // A zone (RFC 4007, section 11) says through which card of the proxy's machine it was heard.
    host.split('%').next()?.trim().parse().ok().map(canonical_address)
}

/// Digits, or a hidden one (RFC 7239, section 6.2); some write the colon alone.
fn is_port(text: &str) -> bool {
    text.starts_with('_') || (text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()))
}

/// A quoted text (RFC 9110, section 5.6.4) without its quotes; any other as it is.
fn unquoted(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return text.into() };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        plain.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    plain.into()
}

#[cfg(test)]
#[path = "tests/address.rs"]
mod tests;

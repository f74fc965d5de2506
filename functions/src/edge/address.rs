//! From where a request comes.

use axum::extract::ConnectInfo;
use http::request::Parts;
use std::net::{IpAddr, SocketAddr};

/// The client's address. Behind `proxies` proxies of ours the last so many entries of `X-Forwarded-For` were written by them, each naming
/// whom it heard from; everything before was written by whoever asks and is not believed. `None`: the connection is none of TCP.
pub fn of(parts: &Parts, proxies: u8) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    if proxies == 0 {
        return peer;
    }
    let lines = parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let entries: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    // Fewer entries than proxies: the request did not come through all of them.
    let entry = entries.len().checked_sub(proxies.into()).and_then(|at| entries.get(at));
    entry.and_then(|entry| entry.parse().ok()).or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(peer: &str, forwarded: &[&str], proxies: u8) -> Option<String> {
        let mut request = http::Request::builder();
        for line in forwarded {
            request = request.header("x-forwarded-for", *line);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1)));
        of(&parts, proxies).map(|ip| ip.to_string())
    }

    #[test]
    fn a_forwarded_address_is_believed_only_as_far_as_our_own_proxies_wrote_it() {
        let is = |address: &str| Some(address.to_owned());
        assert_eq!(asked("10.0.0.1", &["1.1.1.1"], 0), is("10.0.0.1"));
        assert_eq!(asked("10.0.0.1", &["9.9.9.9, 1.1.1.1"], 1), is("1.1.1.1"));
        assert_eq!(asked("10.0.0.1", &["9.9.9.9", "1.1.1.1, 10.0.0.2"], 2), is("1.1.1.1"));
        assert_eq!(asked("10.0.0.1", &[], 1), is("10.0.0.1"));
        assert_eq!(asked("10.0.0.1", &["nonsense"], 1), is("10.0.0.1"));
        assert_eq!(asked("10.0.0.1", &["1.1.1.1"], 2), is("10.0.0.1"));
        assert_eq!(asked("10.0.0.1", &["2001:db8::1"], 1), is("2001:db8::1"));
    }
}

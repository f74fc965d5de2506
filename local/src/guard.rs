//! Guards everything while the demo identity provider exists: it makes a token for every caller, so only this machine
//! itself may call.
//!
//! Listening on the loopback interface alone keeps other machines out, but not web pages. The name of a page's host may
//! lead to 127.0.0.1 a second after the page was loaded (DNS rebinding), and then the browser treats our answers as the
//! page's own; such a request names the host of the page. A page of another host may send a POST without reading the
//! answer; such a request names its origin.

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header, uri::Authority};
use serde_json::json;
use std::net::IpAddr;

/// A router that answers only requests to a loopback name that no web page of another host has sent.
pub(crate) fn guarded(router: Router) -> Router {
    router.layer(middleware::from_fn(guard))
}

async fn guard(request: Request, next: Next) -> Response {
    match refused(request.uri(), request.headers()) {
        None => next.run(request).await,
        Some((status, title, detail)) => {
            let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
        }
    }
}

type GuardRefusal = (StatusCode, &'static str, &'static str);

const ANOTHER_HOST: GuardRefusal = (
    StatusCode::MISDIRECTED_REQUEST,
    "Another host",
    "With the demo identity provider this server is for its own machine: \
     the Host must be localhost or a loopback address. For any other name set IDENTITY_ISSUER to a real provider.",
);
const ANOTHER_ORIGIN: GuardRefusal = (
    StatusCode::FORBIDDEN,
    "Another origin",
    "With the demo identity provider this server answers no web pages but those of its own machine: \
     the Origin must be of localhost or a loopback address.",
);

fn refused(uri: &Uri, headers: &HeaderMap) -> Option<GuardRefusal> {
    // The authority of the request line counts before Host (RFC 9112, section 3.2.2). Both are checked, because another
    // reader of the request may use either.
    let named = uri.authority().is_none_or(|authority| is_this_machine(authority.as_str()));
    if !named || !one(headers, &header::HOST).is_some_and(is_this_machine) {
        return Some(ANOTHER_HOST);
    }
    let own = !headers.contains_key(header::ORIGIN) || one(headers, &header::ORIGIN).is_some_and(is_own_origin);
    (!own).then_some(ANOTHER_ORIGIN)
}

/// The value of a header that the request has exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// `null`, which a page in a frame or a file has, is not.
fn is_own_origin(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    rest.is_some_and(is_this_machine)
}

/// True for `localhost`, the names below it (RFC 6761, section 6.3) and loopback addresses, with a port or without.
pub(crate) fn is_this_machine(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    // What follows the name must be a port: a reader that takes another part of the text for the name must not find
    // another name.
    let is_port = |port: &str| port.is_empty() || (port.parse::<u16>().is_ok() && !port.starts_with('+'));
    let behind = authority.as_str().strip_prefix(authority.host());
    if !behind.is_some_and(|behind| behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port)) {
        return false;
    }
    let name = authority.host().to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let loopback = address.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    !authority.as_str().contains('@') && (loopback || name == "localhost" || name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        refused(&target.parse().unwrap(), &map).map(|refusal| refusal.0)
    }

    #[test]
    fn only_this_machine_s_names_are_its_names() {
        for name in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "licenses.localhost:1",
            "127.0.0.1",
            "127.0.0.1:8080",
            "127.8.9.10",
            "[::1]:8080",
            "[::1]",
        ] {
            assert_eq!(asked("/token", &[("host", name)]), None, "{name}");
        }
        for name in [
            "",
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evillocalhost",
            "localhost@evil.example",
            "evil.example@localhost",
            "0.0.0.0:8080",
            "[::]:8080",
            "10.0.0.1",
            "192.168.1.7:8080",
            "[fe80::1]",
            "127.0.0.1, evil.example",
            "127.1",
            "2130706433",
            "localhost..",
            ".",
            // No port, so that a reader who takes it for a name has another one.
            "localhost:8080.evil.example",
            "127.0.0.1:80.evil.example:80",
            "[::1]:8080.evil.example",
            "localhost:abc",
            "localhost:65536",
            "localhost:+80",
            "[::1]evil.example",
        ] {
            assert_eq!(asked("/token", &[("host", name)]), Some(StatusCode::MISDIRECTED_REQUEST), "{name}");
        }
    }

    #[test]
    fn a_request_names_its_host_once_and_everywhere_the_same() {
        let (here, there) = (("host", "localhost"), ("host", "evil.example"));
        assert_eq!(asked("/", &[]), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(asked("/", &[here, there]), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(asked("/", &[there, here]), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(asked("http://evil.example/", &[here]), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(asked("http://localhost/", &[there]), Some(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(asked("http://localhost/", &[here]), None);
    }

    #[test]
    fn pages_of_this_machine_may_ask_and_others_may_not() {
        let from = |origin: &str| asked("/token", &[("host", "127.0.0.1:8087"), ("origin", origin)]);
        for origin in ["http://127.0.0.1:8080", "http://localhost:3000", "https://localhost", "http://[::1]:80"] {
            assert_eq!(from(origin), None, "{origin}");
        }
        for origin in [
            "http://evil.example",
            "https://evil.example:8080",
            "null",
            "",
            "file://",
            "chrome-extension://abcdef",
            "http://localhost.evil.example",
            "http://localhost@evil.example",
            "http://localhost:80.evil.example",
            "localhost",
        ] {
            assert_eq!(from(origin), Some(StatusCode::FORBIDDEN), "{origin}");
        }
        let both = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert_eq!(asked("/token", &both), Some(StatusCode::FORBIDDEN));
    }
}

//! Which mail server: the URL of a configuration.

use crate::domain::secret::Secret;
use std::{net::IpAddr, path::PathBuf};
use url::Url;

/// Where mails go.
#[derive(Clone, Debug)]
pub enum MailServer {
    /// To a mail server.
    Smtp(SmtpServer),
    /// Into files in this directory.
    Directory(PathBuf),
}

/// A mail server, and how to reach it.
#[derive(Clone, Debug)]
pub struct SmtpServer {
    /// Its name, which its certificate must have, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: MailTls,
    /// Name and password, if it wants any.
    pub login: Option<Secret<(String, String)>>,
    /// By which name this side introduces itself; `None`: by the literal of 127.0.0.1.
    pub hello: Option<String>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// From its first byte on (`smtps:`).
    Wrapped,
    /// From STARTTLS on, without which nothing is said (`smtp:` with `tls=required`).
    Required,
    /// Not at all, which is for a server on this machine.
    None,
}

/// Why a URL names no mail server. It does not repeat the URL, which may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMailUrl {
    /// Another form.
    #[error(
        "must be smtps://user:password@host:port, smtp://user:password@host:port?tls=required, or file:///a/directory"
    )]
    Form,
    /// Mails and the password would be readable on their way.
    #[error("must be smtps: or end with ?tls=required: only a mail server on this machine may be without TLS")]
    Plain,
    /// A name without a password, or the other way round.
    #[error("must have both a user and a password, or neither")]
    Login,
}

impl MailServer {
    /// Reads the URL of a mail server: `smtps://…` (port 465), `smtp://…?tls=required` (port 587), `smtp://` and a name
    /// of this machine (port 25), or `file:///…`. A path is the name by which this side introduces itself.
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidMailUrl> {
        let url = Url::parse(text).map_err(|_| InvalidMailUrl::Form)?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| InvalidMailUrl::Form)?;
            return Ok(Self::Directory(path));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidMailUrl::Form)?;
        let host = decoded(host)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        if url.fragment().is_some() || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(InvalidMailUrl::Form);
        }
        let (tls, port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (MailTls::Wrapped, 465),
            ("smtp", Some("tls=required")) => (MailTls::Required, 587),
            ("smtp", None) if is_this_machine(&host) => (MailTls::None, 25),
            ("smtp", None | Some("tls=opportunistic")) => return Err(InvalidMailUrl::Plain),
            _ => return Err(InvalidMailUrl::Form),
        };
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => Some(Secret::new((decoded(user)?, decoded(password)?))),
            _ => return Err(InvalidMailUrl::Login),
        };
        let hello = decoded(url.path().trim_matches('/'))?;
        if !hello.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) {
            return Err(InvalidMailUrl::Form);
        }
        let hello = (!hello.is_empty()).then_some(hello);
        Ok(Self::Smtp(SmtpServer { host, port: url.port().unwrap_or(port), tls, login, hello }))
    }
}

fn is_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A part of a URL without its percent signs.
fn decoded(part: &str) -> Result<String, InvalidMailUrl> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(InvalidMailUrl::Form);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).map_err(|_| InvalidMailUrl::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(text: &str) -> SmtpServer {
        match MailServer::parse(text) {
            Ok(MailServer::Smtp(server)) => server,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_url_says_how_a_server_is_reached() {
        for (text, host, port, tls) in [
            ("smtps://mail.example.com", "mail.example.com", 465, MailTls::Wrapped),
            ("smtps://mail.example.com:2465/", "mail.example.com", 2465, MailTls::Wrapped),
            ("smtp://mail.example.com?tls=required", "mail.example.com", 587, MailTls::Required),
            ("smtp://localhost:2525", "localhost", 2525, MailTls::None),
            ("smtp://127.0.0.1", "127.0.0.1", 25, MailTls::None),
            ("smtp://[::1]:25", "::1", 25, MailTls::None),
        ] {
            let server = smtp(text);
            assert_eq!((server.host.as_str(), server.port, server.tls), (host, port, tls), "{text}");
            assert!(server.login.is_none() && server.hello.is_none(), "{text}");
        }
        let server = smtp("smtps://me%40example.com:p%3Ass%25@mail.example.com/license.example.com");
        assert_eq!(server.login.as_ref().unwrap().reveal(), &("me@example.com".to_owned(), "p:ss%".to_owned()));
        assert_eq!(server.hello.as_deref(), Some("license.example.com"));
        assert!(!format!("{server:?}").contains("p:ss"));
        assert!(
            matches!(MailServer::parse("file:///var/mail%20s"), Ok(MailServer::Directory(it)) if it == *"/var/mail s")
        );
    }

    #[test]
    fn nothing_goes_over_a_network_in_the_clear() {
        for text in [
            "smtp://mail.example.com",
            "smtp://mail.example.com?tls=opportunistic",
            "smtp://localhost.example.com",
            "smtp://10.0.0.7",
            "smtp://user:secret@mail.example.com",
        ] {
            assert_eq!(MailServer::parse(text).err(), Some(InvalidMailUrl::Plain), "{text}");
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for text in [
            "",
            "mail.example.com",
            "https://mail.example.com",
            "smtps://",
            "smtps://a.example?tls=none",
            "smtp://localhost?x=1",
            "smtps://a.example#b",
            "smtps://a.example/a%0D%0Ab",
            "smtps://a.example/a b",
            "smtps://a%0d.example",
        ] {
            assert_eq!(MailServer::parse(text).err(), Some(InvalidMailUrl::Form), "{text}");
        }
        for text in ["smtps://user@a.example", "smtps://:password@a.example"] {
            assert_eq!(MailServer::parse(text).err(), Some(InvalidMailUrl::Login), "{text}");
        }
    }
}

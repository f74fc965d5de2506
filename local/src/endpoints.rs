//! The addresses of everything that runs: the ports, and the two files and the lines that name them.

use crate::{data::DataDirectory, options::CommandLine, secrets};
use license_core::error::ErrorContext;
use license_functions::SERVICES;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};
use tokio::net::TcpListener;
use uuid::Uuid;

/// All ports, already taken, so that no other program takes one before the first request.
pub(crate) struct Listeners {
    pub(crate) front: TcpListener,
    /// In the order of [`SERVICES`].
    pub(crate) functions: Vec<TcpListener>,
    pub(crate) issuer: TcpListener,
}

impl Listeners {
    /// Takes the front's port as asked, and for everything else the next free ones. Port 0 lets the system choose each.
    ///
    /// # Errors
    /// With a sentence that says what to do.
    pub(crate) async fn take(options: &CommandLine) -> Result<Self, ErrorContext> {
        let front = TcpListener::bind((options.bind, options.port)).await.map_err(|error| {
            let CommandLine { port, bind, .. } = options;
            ErrorContext::new(format!("port {port} of {bind} cannot be had; name another with --port"), error)
        })?;
        let mut next = NextPort(options.port);
        // Before the services, so that a new one, at the end of their table, moves no other port.
        let issuer = next.free(LOOPBACK).await?;
        let mut functions = Vec::new();
        for service in &SERVICES {
            let address = if service.is_for_the_bus_alone() { LOOPBACK } else { options.bind };
            functions.push(next.free(address).await?);
        }
        Ok(Self { front, functions, issuer })
    }

    pub(crate) fn endpoints(&self, people: bool) -> io::Result<Endpoints> {
        let functions =
            SERVICES.iter().zip(&self.functions).map(|(service, listener)| Ok((service.name, url(listener)?)));
        Ok(Endpoints {
            front: url(&self.front)?,
            functions: functions.collect::<io::Result<_>>()?,
            issuer: url(&self.issuer)?,
            people,
            mail: false,
        })
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct NextPort(u16);

impl NextPort {
    async fn free(&mut self, address: IpAddr) -> Result<TcpListener, ErrorContext> {
        // So many ports are tried, because other programs may listen on some of them.
        for _ in 0..200 {
            self.0 = if self.0 == 0 { 0 } else { self.0.checked_add(1).unwrap_or(1024) };
            match TcpListener::bind((address, self.0)).await {
                Ok(listener) => return Ok(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(ErrorContext::new(format!("port {} of {address} cannot be had", self.0), error));
                }
            }
        }
        Err(format!("no free port was found up to {}; name another with --port", self.0).into())
    }
}

/// How this machine itself reaches what listens there.
fn url(listener: &TcpListener) -> io::Result<String> {
    let address = listener.local_addr()?;
    let here = if address.ip().is_unspecified() { LOOPBACK } else { address.ip() };
    Ok(format!("http://{}", SocketAddr::new(here, address.port())))
}

/// The addresses of a running machine.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) front: String,
    pub(crate) functions: BTreeMap<&'static str, String>,
    pub(crate) issuer: String,
    /// Whether the demo issuer makes tokens for people.
    people: bool,
    /// Whether mails are read at the issuer's address.
    mail: bool,
}

impl Endpoints {
    /// The same, where mails are kept in files if `kept`: beside the demo issuer, there are pages to read them.
    pub(crate) fn with_mail(self, kept: bool) -> Self {
        Self { mail: kept && self.people, ..self }
    }

    /// What `.local/endpoints.json` says.
    pub(crate) fn json(&self, license_key: &str) -> Value {
        let mut all: Map<String, Value> =
            self.functions.iter().map(|(name, url)| ((*name).to_owned(), url.as_str().into())).collect();
        all.insert("front".into(), self.front.as_str().into());
        if self.people {
            all.insert("issuer".into(), self.issuer.as_str().into());
        }
        all.insert("license_key".into(), license_key.into());
        Value::Object(all)
    }

    /// The address at which the demo identity provider makes tokens for trying `register`, if it makes any. Tokens of
    /// staff demand the secret in the file `staff`.
    pub(crate) fn more(&self, staff: &Path) -> Option<String> {
        let url = &self.issuer;
        let secret = quoted(&staff.display().to_string());
        self.people.then(|| {
            let person = r#"{"email":"staff@example.com","staff":true}"#;
            let mail = if self.mail { format!("\n  mail           {url}/mail") } else { String::new() };
            format!(
                r#"issuer         {url}  POST /token {{"email","name","provider"}}
  staff          curl -s {url}/token -H "Authorization: Bearer $(cat {secret})" --json '{person}'{mail}"#
            )
        })
    }

    /// Writes `endpoints.json` and `env`, whole and readable by their owner alone: both hold keys.
    ///
    /// # Errors
    /// With the file's path.
    pub(crate) fn write(
        &self,
        data: &DataDirectory,
        license_key: &str,
        env: &BTreeMap<String, String>,
    ) -> io::Result<()> {
        let json = serde_json::to_string_pretty(&self.json(license_key)).map_err(io::Error::other)?;
        secrets::write(&data.path("env"), &shell(env))?;
        secrets::write(&data.path("endpoints.json"), &format!("{json}\n"))
    }

    /// The three lines that take a seat, keep it and give it back; they work as printed, one after the other, in one
    /// shell.
    pub(crate) fn lines(&self, license_key: &str) -> [String; 3] {
        let licenses = format!("{}/api/v1/licenses", self.front);
        let json = "-H 'Content-Type: application/json'";
        let attempt = Uuid::new_v4();
        let machine =
            format!(r#"{{"license_key":"{license_key}","hardware_id":"my-laptop-0001","attempt":"{attempt}"}}"#);
        let handle = r#"sed -n 's/.*"session":"\([^"]*\)".*/\1/p'"#;
        let bearer = r#"-H "Authorization: Bearer $SESSION""#;
        [
            format!(
                "ANSWER=$(curl -s {licenses}/acquire {json} -d '{machine}'); \
                 SESSION=$(echo \"$ANSWER\" | {handle}); echo \"$ANSWER\""
            ),
            format!("curl -s -w '\\n' {licenses}/heartbeat {bearer} {json} -d '{{}}'"),
            format!("curl -s -w '\\n' {licenses}/release {bearer} -X POST"),
        ]
    }
}

/// Variables as a file that a shell can read (`set -a; . .local/env`).
fn shell(env: &BTreeMap<String, String>) -> String {
    let mut text = String::from(
        "# Written by license-local at every start. With these, any function's binary runs beside it:\n\
         #   (set -a; . .local/env; PORT=9001 target/debug/acquire)\n",
    );
    for (name, value) in env {
        let _ = writeln!(text, "{name}={}", quoted(value));
    }
    text
}

/// A word for a shell. Single quotes keep everything but a single quote.
pub(crate) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn options(port: u16) -> CommandLine {
        CommandLine { port, data: ".local".into(), clean: false, once: false, bind: LOOPBACK }
    }

    #[tokio::test]
    async fn every_function_has_a_port_of_its_own_after_the_fronts() {
        let free = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap().port();
        let listeners = Listeners::take(&options(free)).await.unwrap();
        let json = listeners.endpoints(true).unwrap().json("CODI-…");
        assert_eq!(json["front"], format!("http://127.0.0.1:{free}"));
        let all = json.as_object().unwrap();
        let names: BTreeSet<_> = all.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            BTreeSet::from_iter(
                ["front", "issuer", "license_key"].into_iter().chain(SERVICES.iter().map(|it| it.name))
            )
        );
        let urls: BTreeSet<_> = all.values().map(|url| url.as_str().unwrap()).collect();
        assert_eq!(urls.len(), names.len(), "no two share an address");
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_what_to_do() {
        let taken = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let Err(error) = Listeners::take(&options(port)).await else { panic!("taken") };
        let text = error.to_string();
        assert!(text.contains(&port.to_string()) && text.contains("--port"), "{text}");
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        let value = r#"it's "quoted" $HOME `id` \ %2F"#;
        let text = shell(&[("A".to_owned(), value.to_owned())].into());
        let script = format!("{text}printf %s \"$A\"");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
    }
}

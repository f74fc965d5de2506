//! README and OPERATING name the ports at which `license-local` serves: its own first, then one for each service in the
//! order of the table of services, then the identity provider's.

use super::{facts, hold, read};
use license_functions::SERVICES;
use regex::Regex;
use std::collections::BTreeMap;

/// The port of each line that the program prints, if no port was asked for and none is taken.
fn ports() -> BTreeMap<String, u16> {
    let options = read("local/src/options.rs");
    let first = Regex::new(r"(?m)^ +port: ([0-9]+),$").unwrap();
    let first: u16 = first.captures(&options).expect("a default port")[1].parse().unwrap();
    let services = SERVICES.iter().map(|service| service.name);
    let names = ["all functions"].into_iter().chain(services).chain(["issuer"]);
    names.map(str::to_owned).zip(first..).collect()
}

/// Whether every port on the page is the one of what is asked there.
fn wrong_ports(text: &str) -> Vec<String> {
    let ports = ports();
    let (front, issuer) = (ports["all functions"], ports["issuer"]);
    let address = Regex::new(r"http://127\.0\.0\.1:(80[0-9]{2})(/[a-z]*)?").unwrap();
    let line_of = Regex::new(r"^  ([a-z][a-z ]*[a-z])  +http://127\.0\.0\.1:([0-9]+)(?:  |$)").unwrap();
    let mut wrong = Vec::new();
    for line in text.lines() {
        let named = line_of.captures(line);
        for found in address.captures_iter(line) {
            let expected = match (&named, found.get(2).map(|path| path.as_str())) {
                (Some(named), None) => ports.get(&named[1]).copied(),
                (_, Some("/token")) => Some(issuer),
                _ => Some(front),
            };
            if expected.map(|port| port.to_string()).as_deref() != Some(&found[1]) {
                wrong.push(format!("{line}: {} is not the port of that", &found[1]));
            }
        }
    }
    wrong
}

/// The lines that README shows of a start: each service has one.
fn shown_at_start(text: &str) -> Vec<String> {
    let line_of = Regex::new(r"(?m)^  ([a-z][a-z ]*[a-z])  +http://127\.0\.0\.1:[0-9]+(?:  .*)?$").unwrap();
    let shown: Vec<&str> = line_of.captures_iter(text).map(|found| found.get(1).unwrap().as_str()).collect();
    let mut expected: Vec<&str> = vec!["all functions"];
    expected.extend(SERVICES.iter().map(|service| service.name));
    expected.push("issuer");
    if shown == expected { wrong_ports(text) } else { vec![format!("{shown:?} is shown, and not {expected:?}")] }
}

#[test]
fn readme_shows_each_service_with_the_port_that_it_has() {
    assert_eq!(ports().len(), facts::services().len() + 2);
    hold(
        "README.md",
        shown_at_start,
        &[
            ("admin          http://127.0.0.1:8085", "admin          http://127.0.0.1:8086"),
            ("  release        http://127.0.0.1:8083\n", ""),
            ("  staff          curl -s http://127.0.0.1:8087", "  staff          curl -s http://127.0.0.1:8088"),
            ("token() { curl -s http://127.0.0.1:8087/token", "token() { curl -s http://127.0.0.1:8086/token"),
            ("LOCAL=http://127.0.0.1:8080", "LOCAL=http://127.0.0.1:8081"),
            ("ANSWER=$(curl -s http://127.0.0.1:8080/", "ANSWER=$(curl -s http://127.0.0.1:8081/"),
            ("issuer         http://127.0.0.1:8087", "issuer         http://127.0.0.1:8088"),
            ("the API, read  http://127.0.0.1:8080/docs", "the API, read  http://127.0.0.1:8085/docs"),
        ],
    );
}

#[test]
fn operating_names_the_port_of_the_demo_identity_provider() {
    hold("docs/OPERATING.md", wrong_ports, &[("http://127.0.0.1:8087/token", "http://127.0.0.1:8086/token")]);
}

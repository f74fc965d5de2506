//! Which services there are, in words, in a diagram, and by the ports at which `license-local` serves: its own first,
//! then the identity provider's, then one for each service in the order of the table of services.

use super::{differences, facts, hold, read};
use license_functions::SERVICES;
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};

/// The port of each line that the program prints, if no port was asked for and none is taken.
fn ports() -> BTreeMap<String, u16> {
    let options = read("local/src/options.rs");
    let first = Regex::new(r"(?m)^ +port: ([0-9]+),$").unwrap();
    let first: u16 = first.captures(&options).expect("a default port")[1].parse().unwrap();
    let services = SERVICES.iter().map(|service| service.name);
    let names = ["all functions", "issuer"].into_iter().chain(services);
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
                (_, Some("/token" | "/mail")) => Some(issuer),
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
            ("admin          http://127.0.0.1:8086", "admin          http://127.0.0.1:8085"),
            ("  release        http://127.0.0.1:8084\n", ""),
            ("  staff          curl -s http://127.0.0.1:8081", "  staff          curl -s http://127.0.0.1:8087"),
            ("token() { curl -s http://127.0.0.1:8081/token", "token() { curl -s http://127.0.0.1:8086/token"),
            ("LOCAL=http://127.0.0.1:8080", "LOCAL=http://127.0.0.1:8081"),
            ("ANSWER=$(curl -s http://127.0.0.1:8080/", "ANSWER=$(curl -s http://127.0.0.1:8081/"),
            ("issuer         http://127.0.0.1:8081", "issuer         http://127.0.0.1:8087"),
            ("the API, read  http://127.0.0.1:8080/docs", "the API, read  http://127.0.0.1:8085/docs"),
        ],
    );
}

#[test]
fn operating_names_the_port_of_the_demo_identity_provider() {
    hold("docs/OPERATING.md", wrong_ports, &[("http://127.0.0.1:8081/token", "http://127.0.0.1:8086/token")]);
}

/// The services that a text lists between two of its words: `a, b and c`.
fn listed(text: &str, from: &str, to: &str) -> BTreeSet<String> {
    let start = text.find(from).unwrap_or_else(|| panic!("no text {from:?}")) + from.len();
    let list = &text[start..start + text[start..].find(to).unwrap_or_else(|| panic!("no text {to:?}"))];
    list.replace(" and ", ", ").split(", ").map(str::to_owned).collect()
}

#[test]
fn where_the_services_are_listed_in_words_all_are_named() {
    let all = |from: &'static str, to: &'static str| {
        move |text: &str| differences("the service", &listed(text, from, to), &facts::services())
    };
    hold("README.md", all("the services: ", ", and what"), &[("the services: acquire, ", "the services: ")]);
    hold(
        "docs/GLOSSARY.md",
        all("One of the server programs: ", "."),
        &[("server programs: acquire, ", "server programs: ")],
    );
    hold("functions/Cargo.toml", all("The services: ", "."), &[("The services: acquire,", "The services: janitor,")]);
}

/// The services in the diagram of the programs.
fn drawn(text: &str) -> Vec<String> {
    let start = text.find("subgraph services[").expect("the diagram of the programs");
    let diagram = &text[start..start + text[start..].find("\n  end").expect("its end")];
    let node = Regex::new(r#"(?m)^    ([a-z]+)\[""#).unwrap();
    let nodes = node.captures_iter(diagram).map(|found| found[1].to_owned()).collect();
    differences("the service", &nodes, &facts::services())
}

#[test]
fn the_diagram_of_the_programs_has_every_service() {
    let release = "    release[\"release\"]\n";
    hold("docs/ARCHITECTURE.md", drawn, &[(release, ""), (release, "    releases[\"release\"]\n")]);
}

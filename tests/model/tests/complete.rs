//! No protection without a scenario, and no scenario without its line in docs/MODEL.md.

use license_model::rules::Rule;

const SCENARIOS: [&str; 8] = [
    include_str!("tickets.rs"),
    include_str!("copies.rs"),
    include_str!("clocks.rs"),
    include_str!("sessions.rs"),
    include_str!("room.rs"),
    include_str!("holes.rs"),
    include_str!("rebuilds.rs"),
    include_str!("lengths.rs"),
];
const PAGE: &str = include_str!("../../../docs/MODEL.md");

/// The name of the test that follows `#[test]` and calls this on its first line.
fn scenario_of(rule: Rule) -> Option<&'static str> {
    SCENARIOS.iter().flat_map(|file| file.split("#[test]\nfn ").skip(1)).find_map(|test| {
        let (name, body) = test.split_once("()")?;
        let guards = ["guards", "guards_alone", "guards_what_people_do"].map(|by| format!(" {by}(Rule::{rule},"));
        guards.iter().any(|call| body.contains(call)).then_some(name)
    })
}

#[test]
fn every_protection_has_a_scenario_and_a_line_in_the_page() {
    for rule in Rule::ALL {
        let scenario = scenario_of(*rule).unwrap_or_else(|| panic!("{rule} has no scenario"));
        let line = format!("| {rule} | `{scenario}` |");
        assert!(PAGE.contains(&line), "docs/MODEL.md lacks {line}");
    }
}

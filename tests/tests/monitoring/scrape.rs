//! A scrape in the `OpenMetrics` text format, and what an expression or a table asks of it that it does not have.

use super::expressions::{Expression, Selector};
use promql_parser::label::MatchOp;
use std::collections::{BTreeMap, BTreeSet};

type Labels = BTreeMap<String, String>;

/// What a scrape has.
pub(crate) struct Scrape {
    /// The type of each metric, by its name; of a counter with the end that its samples have.
    types: BTreeMap<String, String>,
    /// Name, labels and value of each sample.
    samples: Vec<(String, Labels, f64)>,
}

/// Labels that Prometheus adds to whatever it scrapes.
const ADDED: [&str; 2] = ["instance", "job"];

impl Scrape {
    pub(crate) fn read(text: &str) -> Self {
        assert!(text.ends_with("# EOF\n"), "the whole text came");
        let (mut types, mut samples) = (BTreeMap::new(), Vec::new());
        for line in text.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                let (name, kind) = told.split_once(' ').unwrap();
                // As people ask for it.
                let end = if kind == "counter" { "_total" } else { "" };
                types.insert(format!("{name}{end}"), kind.to_owned());
            } else if !line.starts_with('#') {
                samples.push(sample(line));
            }
        }
        assert!(types.len() > 10 && samples.len() > 30, "{} families, {} samples", types.len(), samples.len());
        Self { types, samples }
    }

    /// The value of the one sample with these labels, others aside.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |found: &Labels| labels.iter().all(|(key, value)| found.get(*key).is_some_and(|it| it == value));
        let mut fitting = self.samples.iter().filter(|(found, of, _)| found == name && has(of));
        let first = fitting.next().map(|(.., value)| *value);
        assert!(fitting.next().is_none(), "{name} {labels:?} is one series");
        first
    }

    fn labels_of(&self, name: &str) -> BTreeSet<String> {
        self.samples
            .iter()
            .filter(|(found, ..)| found == name)
            .flat_map(|(_, labels, _)| labels.keys().cloned())
            .collect()
    }

    /// What an expression asks for that is not here: a metric, a label, or a value of one.
    pub(crate) fn faults(&self, expression: &Expression) -> Option<String> {
        let selectors = match &expression.parsed {
            Ok(selectors) => selectors,
            Err(error) => return Some(format!("{}: {error}", expression.text)),
        };
        let fault = selectors.iter().find_map(|selector| self.fault_of_selector(selector));
        let labels: BTreeSet<String> = selectors.iter().flat_map(|selector| self.labels_of(&selector.metric)).collect();
        let unknown = |label: &&String| !labels.contains(*label) && !ADDED.contains(&label.as_str());
        let fault = fault.or_else(|| expression.grouped.iter().find(unknown).map(|label| format!("no label {label}")));
        fault.map(|fault| format!("{}: {fault}", expression.text))
    }

    fn fault_of_selector(&self, Selector { metric, matchers }: &Selector) -> Option<String> {
        let series: Vec<&Labels> =
            self.samples.iter().filter(|(name, ..)| name == metric).map(|(_, labels, _)| labels).collect();
        if series.is_empty() {
            return Some(format!("no metric {metric}"));
        }
        // Nothing failed while this was scraped.
        let may_be_missing = |value: &str| value == "5..";
        matchers.iter().filter(|matcher| !ADDED.contains(&matcher.name.as_str())).find_map(|matcher| {
            let mut values = series.iter().filter_map(|labels| labels.get(&matcher.name)).peekable();
            if values.peek().is_none() {
                return Some(format!("{metric} has no label {}", matcher.name));
            }
            let asks_for = matches!(matcher.op, MatchOp::Equal | MatchOp::Re(_)) && !may_be_missing(&matcher.value);
            let found = !asks_for || values.any(|value| matcher.is_match(value));
            (!found).then(|| format!("no {metric} has {} {}", matcher.name, matcher.value))
        })
    }

    /// Where the table of the page and the scrape differ: in a metric, its type or its labels.
    pub(crate) fn undocumented(&self, page: &str) -> Vec<String> {
        let table = page.split_once("| Metric | Type | Labels | Unit | Meaning |\n").expect("the page has the table").1;
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
        let told: BTreeMap<String, (String, BTreeSet<String>)> = cells
            .map(|cells| {
                let labels =
                    cells[2].split(", ").filter(|label| *label != "–").map(|label| label.trim_matches('`').to_owned());
                (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels.collect()))
            })
            .collect();
        let mut wrong = Vec::new();
        for name in told.keys().chain(self.types.keys()).collect::<BTreeSet<_>>() {
            match (told.get(name), self.types.get(name)) {
                (None, _) => wrong.push(format!("{name} is not in the table")),
                (_, None) => wrong.push(format!("{name} is in no scrape")),
                (Some((kind, labels)), Some(found)) => {
                    let has = self.labels_of_family(name);
                    if kind != found || *labels != has {
                        wrong.push(format!("{name} is a {found} with {has:?}, and not a {kind} with {labels:?}"));
                    }
                }
            }
        }
        wrong
    }

    /// The labels of all samples of a family but `le`, which every histogram has.
    fn labels_of_family(&self, family: &str) -> BTreeSet<String> {
        let ends = ["", "_bucket", "_sum", "_count"].map(|end| format!("{family}{end}"));
        let labels = ends.iter().flat_map(|name| self.labels_of(name));
        labels.filter(|label| label != "le").collect()
    }
}

/// `name{label="value",…} value`.
fn sample(line: &str) -> (String, Labels, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    let Some((name, labels)) = series.split_once('{') else { return (series.to_owned(), Labels::new(), value) };
    // No value of ours has a quote or a comma in it.
    let pairs = labels.strip_suffix('}').unwrap().split(',').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap();
        (key.to_owned(), value.trim_matches('"').to_owned())
    });
    (name.to_owned(), pairs.collect(), value)
}

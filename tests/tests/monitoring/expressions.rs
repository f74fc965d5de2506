//! The expressions of the alert rules and of the dashboard, taken apart by a parser of `PromQL`.

use promql_parser::{
    label::Matcher,
    parser::{self, Expr, LabelModifier},
};
use serde_json::Value;
use yaml_rust2::YamlLoader;

/// An expression, as far as it speaks of metrics.
pub(crate) struct Expression {
    pub(crate) text: String,
    /// What it selects, or why it is no `PromQL`.
    pub(crate) parsed: Result<Vec<Selector>, String>,
    /// The labels that it groups or joins by.
    pub(crate) grouped: Vec<String>,
}

/// A metric that is selected, and by which labels.
pub(crate) struct Selector {
    pub(crate) metric: String,
    pub(crate) matchers: Vec<Matcher>,
}

impl Expression {
    fn new(text: &str) -> Self {
        let (mut selectors, mut grouped) = (Vec::new(), Vec::new());
        // The one of Grafana's own variables that stands outside of a text.
        let parsed = parser::parse(&text.replace("$__rate_interval", "5m"));
        let parsed = parsed.map(|parsed| take_apart(&parsed, &mut selectors, &mut grouped));
        Self { text: text.trim().to_owned(), parsed: parsed.map(|()| selectors), grouped }
    }
}

fn take_apart(expression: &Expr, selectors: &mut Vec<Selector>, grouped: &mut Vec<String>) {
    let mut by = |modifier: &Option<LabelModifier>| {
        grouped.extend(modifier.iter().flat_map(|modifier| modifier.labels().labels.clone()));
    };
    let selected = match expression {
        Expr::Aggregate(it) => {
            by(&it.modifier);
            return take_apart(&it.expr, selectors, grouped);
        }
        Expr::Binary(it) => {
            by(&it.modifier.as_ref().and_then(|modifier| modifier.matching.clone()));
            take_apart(&it.lhs, selectors, grouped);
            return take_apart(&it.rhs, selectors, grouped);
        }
        Expr::Unary(it) => return take_apart(&it.expr, selectors, grouped),
        Expr::Paren(it) => return take_apart(&it.expr, selectors, grouped),
        Expr::Subquery(it) => return take_apart(&it.expr, selectors, grouped),
        Expr::Call(it) => return it.args.args.iter().for_each(|argument| take_apart(argument, selectors, grouped)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => return,
        Expr::VectorSelector(it) => it,
        Expr::MatrixSelector(it) => &it.vs,
        Expr::Extension(_) => panic!("the parser makes none"),
    };
    assert!(selected.matchers.or_matchers.is_empty(), "one way to say which");
    let metric = selected.name.clone().expect("each selector names its metric");
    selectors.push(Selector { metric, matchers: selected.matchers.matchers.clone() });
}

/// Those of the file of alert rules.
pub(crate) fn of_rules(yaml: &str) -> Vec<Expression> {
    let documents = YamlLoader::load_from_str(yaml).expect("the rules are YAML");
    let groups = documents[0]["groups"].as_vec().expect("groups");
    let rules = groups.iter().flat_map(|group| group["rules"].as_vec().expect("rules"));
    let expression = |rule: &yaml_rust2::Yaml| {
        let name = rule["alert"].as_str().expect("each rule is an alert");
        for key in ["summary", "description"] {
            assert!(rule["annotations"][key].as_str().is_some_and(|text| text.ends_with('.')), "{name}: {key}");
        }
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap_or_default()), "{name}");
        Expression::new(rule["expr"].as_str().unwrap_or_else(|| panic!("{name} has an expression")))
    };
    rules.map(expression).collect()
}

/// Those of the panels of the dashboard, and the metric that its variable is read from.
pub(crate) fn of_dashboard(json: &str) -> Vec<Expression> {
    let dashboard: Value = serde_json::from_str(json).expect("the dashboard is JSON");
    let mut texts = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            texts.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"]["query"].as_str().unwrap_or_default();
        if let Some(read) = query.strip_prefix("label_values(") {
            texts.push(read.split_once(',').unwrap().0.to_owned());
        }
    }
    texts.iter().map(|text| Expression::new(text)).collect()
}

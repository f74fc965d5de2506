//! What Prometheus is told, what it is asked, and which log lines belong together: a `license-local` as a person starts
//! it, beside docs/monitoring and docs/OPERATING.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests; clippy.toml's exception does not reach helpers")]

mod expressions;
mod scrape;
mod seats;
mod traces;

use license_tests::local::Local;
use reqwest::{Client, RequestBuilder};
use scrape::Scrape;
use serde_json::{Value, json};
use std::{fs, path::Path};
use uuid::Uuid;

/// A server with seats that were asked for, refused, kept and given back, and its clients' HTTP client.
struct Watched {
    local: Local,
    client: Client,
    front: String,
}

impl Watched {
    fn start(variables: &[(&str, &str)]) -> Self {
        license_functions::edge::serve::install_tls();
        let local = Local::start(&license_tests::process::binary("license-local"), variables);
        let front = local.endpoint("front");
        let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { local, client, front }
    }

    async fn post(&self, path: &str, session: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.client.post(format!("{}/api/v1/licenses/{path}", self.front)).json(body);
        if let Some(session) = session {
            request = request.bearer_auth(session);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks for a seat for a machine.
    async fn acquire(&self, machine: usize) -> (u16, Value) {
        let key = self.local.endpoint("license_key");
        let hardware = format!("machine-{machine:04}-of-the-monitoring-test");
        self.post("acquire", None, &json!({ "license_key": key, "hardware_id": hardware, "attempt": Uuid::new_v4() }))
            .await
    }

    /// Fills the demo license, is refused, keeps one seat and gives one back.
    async fn use_seats(&self) {
        let mut sessions = Vec::new();
        for machine in 0..5 {
            let (status, answer) = self.acquire(machine).await;
            assert_eq!(status, 201, "{answer}");
            sessions.push(answer["session"].as_str().unwrap().to_owned());
        }
        let (status, answer) = self.acquire(5).await;
        assert_eq!((status, &answer["code"]), (409, &"no_seats_available".into()), "{answer}");
        assert_eq!(self.post("heartbeat", Some(&sessions[0]), &json!({})).await.0, 200);
        assert_eq!(self.post("release", Some(&sessions[1]), &json!({})).await.0, 200);
    }

    fn scrape(&self) -> RequestBuilder {
        self.client.get(format!("{}/metrics", self.front))
    }
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)).unwrap()
}

const TOKEN: &str = "a-token-of-the-monitoring-test";

#[tokio::test]
async fn every_alert_and_every_panel_asks_for_what_a_scrape_has_and_every_metric_is_documented() {
    let watched = Watched::start(&[("METRICS_TOKEN", TOKEN)]);
    watched.use_seats().await;
    assert_eq!(watched.scrape().send().await.unwrap().status(), 401, "the token is demanded");
    assert_eq!(watched.scrape().bearer_auth("a-token-of-somebody-else").send().await.unwrap().status(), 401);
    let answer = watched.scrape().bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let scrape = Scrape::read(&answer.text().await.unwrap());

    // What was done is what is counted.
    let number = watched.local.endpoint("license_key").replace('-', "")[4..17].to_owned();
    let pool =
        |state| scrape.value("license_pool_seats", &[("license", &number), ("pool", "default"), ("state", state)]);
    assert_eq!([pool("total"), pool("used"), pool("silent")], [Some(5.0), Some(4.0), Some(0.0)]);
    assert_eq!(scrape.value("license_seats", &[("state", "used")]), Some(4.0));
    assert_eq!(scrape.value("license_seats", &[("state", "total")]), Some(5.0));
    let answered = |path: &str, outcome: &str| {
        let route = format!("/api/v1/licenses/{path}");
        scrape.value("http_server_request_duration_seconds_count", &[("http_route", &route), ("outcome", outcome)])
    };
    assert_eq!(answered("acquire", "granted"), Some(5.0));
    assert_eq!(answered("acquire", "no_seats_available"), Some(1.0));
    assert_eq!((answered("heartbeat", "ok"), answered("release", "ok")), (Some(1.0), Some(1.0)));
    assert_eq!(scrape.value("license_rebuilds_total", &[("outcome", "rebuilt")]), Some(1.0), "the first acquire's");
    assert_eq!(scrape.value("license_scrape_errors_total", &[("store", "records")]), Some(0.0));

    // The rules, the dashboard and the page are held against it, and so are lies: what cannot fail is no test.
    let dashboard = page("docs/monitoring/grafana.json");
    let rules = page("docs/monitoring/prometheus-rules.yaml");
    let operating = page("docs/OPERATING.md");
    let faults = |rules: &str, dashboard: &str, operating: &str| {
        let (mut all, mut asked) = (expressions::of_rules(rules), expressions::of_dashboard(dashboard));
        assert!(all.len() > 10 && asked.len() > 20, "{} and {} expressions are read", all.len(), asked.len());
        all.append(&mut asked);
        let mut faults: Vec<String> = all.iter().flat_map(|expression| scrape.faults(expression)).collect();
        faults.extend(scrape.undocumented(operating));
        faults
    };
    assert_eq!(faults(&rules, &dashboard, &operating), Vec::<String>::new());
    let lies = [
        ("license_outbox_oldest_seconds > 300", "license_outbox_age_seconds > 300"),
        ("license_redis_away) > 0", "license_redis_away{host=\"a\"}) > 0"),
        ("state=\"silent\"}) > 20", "state=\"quiet\"}) > 20"),
        ("outcome=~\"begun|idle\"", "outcome=~\"sent\""),
        ("on (license, pool)", "on (licence, pool)"),
        ("max(license_redis_away", "max(license_redis_away("),
    ];
    for (truth, lie) in lies {
        assert!(rules.contains(truth), "{truth}");
        assert_eq!(faults(&rules.replacen(truth, lie, 1), &dashboard, &operating).len(), 1, "{lie}");
    }
    assert_eq!(
        faults(&rules, &dashboard.replacen("license_sweeps_total", "license_sweep_total", 1), &operating).len(),
        1
    );
    let row = "| `license_redis_away` | gauge |";
    assert!(operating.contains(row));
    assert_eq!(faults(&rules, &dashboard, &operating.replace(row, "| `license_redis_gone` | gauge |")).len(), 2);
    assert_eq!(faults(&rules, &dashboard, &operating.replace(row, "| `license_redis_away` | counter |")).len(), 1);
    assert_eq!(
        faults(&rules, &dashboard, &operating.replace("`license`, `pool`, `state`", "`license`, `pool`")).len(),
        1
    );
}

#[tokio::test]
async fn on_this_machine_alone_no_token_is_needed_and_only_the_address_of_all_functions_has_the_page() {
    let watched = Watched::start(&[]);
    let elsewhere = |request: RequestBuilder| request.header("host", "metrics.example.com");
    assert_eq!(watched.scrape().send().await.unwrap().status(), 200);
    assert_eq!(elsewhere(watched.scrape()).send().await.unwrap().status(), 421, "by no name but this machine's");
    for service in ["acquire", "reaper", "notify"] {
        let own = watched.client.get(format!("{}/metrics", watched.local.endpoint(service)));
        assert_eq!(own.send().await.unwrap().status(), 404, "{service}");
    }
}

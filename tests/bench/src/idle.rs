//! What everything on one machine costs while no client asks for anything: `license-local` with its PostgreSQL and
//! Redis, with default settings.

use crate::{Part, Size, cpu, stage::Stage};
use license_local::stores::clean;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The default settings, and a tick every two seconds as tests have it.
const SETTINGS: [(&str, Option<(&str, &str)>); 2] =
    [("default settings", None), ("`REAPER_PERIOD_SECONDS=2`", Some(("REAPER_PERIOD_SECONDS", "2")))];
/// From the first answer to the beginning of the span: the first tick and the events of the start are over.
const SETTLED: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(stage: &Stage, size: &Size) -> Part {
    let mut text = String::from(
        "| an idle `license-local` | span, s | CPU seconds per hour: all | license-local | PostgreSQL | Redis | requests per hour |\n|---|---|---|---|---|---|---|\n",
    );
    let mut all = Vec::new();
    for (name, variable) in SETTINGS {
        let local = Local::start(&stage.target, variable).await;
        tokio::time::sleep(SETTLED).await;
        let (before, requests, began) = (cpu::of_tree(local.child.id()), local.requests(), Instant::now());
        tokio::time::sleep(size.idle).await;
        let (after, asked, span) = (cpu::of_tree(local.child.id()), local.requests() - requests, began.elapsed());
        local.end().await;
        let hour = 3600.0 / span.as_secs_f64();
        let spent = before.zip(after).map(|(before, after)| spent(&before, &after, hour));
        let cell = |program: &str| {
            spent.as_ref().map_or_else(|| "–".to_owned(), |spent| format!("{:.1}", spent.get(program).unwrap_or(&0.0)))
        };
        let total =
            spent.as_ref().map_or_else(|| "–".to_owned(), |spent| format!("{:.1}", spent.values().sum::<f64>()));
        let requests = asked as f64 * hour;
        let _ = writeln!(
            text,
            "| {name} | {:.0} | {total} | {} | {} | {} | {requests:.0} |",
            span.as_secs_f64(),
            cell("license-local"),
            cell("postgres"),
            cell("redis-server"),
        );
        all.push(json!({ "settings": name, "span_s": span.as_secs_f64(), "cpu_s_per_hour": spent, "requests_per_hour": requests }));
    }
    text += "\nCPU is told in hundredths of a second for each process. A request is one that some function answered.\n";
    Part { text, json: json!(all) }
}

/// CPU seconds of each program, as if the span had been an hour. The shells that keep the stores wait.
fn spent(before: &BTreeMap<String, Duration>, after: &BTreeMap<String, Duration>, hour: f64) -> BTreeMap<String, f64> {
    let since = |(program, cpu): (&String, &Duration)| {
        let before = before.get(program).copied().unwrap_or_default();
        (program.clone(), cpu.saturating_sub(before).as_secs_f64() * hour)
    };
    after.iter().map(since).collect()
}

/// A `license-local` on data of its own.
struct Local {
    child: Child,
    dir: PathBuf,
}

impl Local {
    async fn start(target: &Path, variable: Option<(&str, &str)>) -> Self {
        let dir = target.join("bench/idle");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        let said = File::create(dir.join("said")).unwrap();
        let child = Command::new(target.join("dist/license-local"))
            .args(["--clean", "--port", "0", "--data"])
            .arg(dir.join("data"))
            // Each request leaves a line, by which requests are counted.
            .envs([("LOG_LEVEL", "info"), ("LOG_FORMAT", "json")])
            .envs(variable)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap_or_else(|error| panic!("license-local: {error}"));
        let local = Self { child, dir };
        let until = Instant::now() + PATIENCE;
        while !local.dir.join("data/endpoints.json").exists() {
            assert!(Instant::now() < until, "license-local does not serve: {}", local.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        local
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("said")).unwrap()
    }

    /// Requests that were answered, by their lines in the log.
    fn requests(&self) -> usize {
        self.said().lines().filter(|line| line.contains("\"httpRequest\"")).count()
    }

    /// Stops it and leaves nothing behind.
    async fn end(mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        for store in ["postgres", "redis"] {
            let _ = clean(&self.dir.join("data").join(store)).await;
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

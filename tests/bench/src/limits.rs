//! The machine, and what its disk takes for one commit.

use crate::{Part, Size, cpu, stage::Stage};
use license_core::Clock;
use serde_json::json;
use std::{fs::File, io::Write, path::Path, process::Command, time::Instant};
use time::format_description::well_known::Rfc3339;

/// Milliseconds the disk below `dir` takes to keep a page, in rising order.
pub(crate) fn fsyncs(dir: &Path, times: usize) -> Vec<f64> {
    let path = dir.join("fsync");
    let mut file = File::create(&path).unwrap();
    let mut all: Vec<f64> = (0..times)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 8192]).unwrap();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let _ = std::fs::remove_file(path);
    all.sort_by(f64::total_cmp);
    all
}

/// Which machine, which versions, which day.
pub(crate) async fn machine(stage: &mut Stage, _: &Size) -> Part {
    let postgres: String = sqlx::query_scalar("show server_version").fetch_one(&mut stage.sql).await.unwrap();
    let redis = stage.info("redis_version").await;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let date = Clock::system().now().format(&Rfc3339).unwrap_or_default();
    let load = cpu::load_average();
    let [system, processor] = [kernel(), processor()];
    // On the disk PostgreSQL writes on.
    let syncs = fsyncs(stage.postgres.dir(), 200);
    let (median, worst) = (syncs[100], syncs[197]);
    let load_shown = load.map_or_else(|| "unknown".into(), |load| format!("{load:.2}"));
    let text = format!(
        "{date} · {processor}, {cores} cores · {system} · load average {load_shown} before the run · PostgreSQL {postgres}, Redis {redis}, \
         Unix sockets, commits durable · one page and fsync: {median:.2} ms (p99 {worst:.2})\n"
    );
    let json = json!({
        "date": date, "processor": processor, "cores": cores, "system": system, "load_average": load,
        "postgres": postgres, "redis": redis, "fsync_ms": { "median": median, "p99": worst },
        "version": env!("CARGO_PKG_VERSION"),
    });
    Part { text, json }
}

fn kernel() -> String {
    let said = Command::new("uname").arg("-srm").output();
    said.map_or_else(|_| "unknown system".into(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim()));
    name.unwrap_or("unknown processor").to_owned()
}

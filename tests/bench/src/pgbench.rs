//! The limit of PostgreSQL: the same functions with the same arguments, from its own load generator.

use license_local::stores::PostgresServer;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// What pgbench is run with.
pub(crate) struct Run<'a> {
    pub(crate) clients: usize,
    pub(crate) time: Duration,
    /// SQL of one turn, with pgbench's variables.
    pub(crate) script: &'a str,
    /// Where the script may be written.
    pub(crate) dir: &'a Path,
}

/// Turns a second; `None` where pgbench is not installed. As the serving role, statements prepared, as the functions do it.
pub(crate) fn turns_per_second(postgres: &PostgresServer, run: &Run<'_>) -> Option<f64> {
    let path = run.dir.join("pgbench.sql");
    fs::write(&path, run.script).ok()?;
    let options = postgres.superuser();
    let socket = options.get_socket()?.display().to_string();
    let threads = run.clients.min(2);
    let output = Command::new(program())
        // As the functions' connections (core/src/records/connect.rs): a limit with other plans, or made anew each time, would be no limit.
        .env("PGOPTIONS", "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off")
        .args(["-n", "-M", "prepared", "-h", &socket, "-p", "5432", "-U", "service"])
        .args([
            "-c",
            &run.clients.to_string(),
            "-j",
            &threads.to_string(),
            "-T",
            &run.time.as_secs().max(1).to_string(),
        ])
        .args(["-D", "i=0", "-f"])
        .arg(&path)
        .arg(license_local::stores::DATABASE)
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "pgbench: {said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

fn program() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("bin/pgbench")).filter(|p| p.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| "pgbench".into())
}

//! The command `migrate`: brings a database to this build's schema, says what is applied, grants the roles, and does
//! what a restore of the database needs.
//!
//! It is a job, no service: it listens nowhere and ends.
//!
//! Each thing that was done is one line of JSON on standard output, as Cloud Logging reads them; the last one says how it
//! ended.

mod exit;

use crate::{
    edge::{
        config::{ConfigError, Environment, MigrateConfig, RestoreConfig},
        serve::install_tls,
    },
    wiring,
};
use exit::{Exit, Failure};
use license_core::{
    Clock,
    access_token::AccessTokens,
    records::{GrantReport, RoleGrant, SchemaConnection, SchemaErrorKind, SchemaStatus},
    seat_store::SeatStore,
};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::ExitCode,
    time::{Duration, Instant},
};
use time::format_description::well_known::Rfc3339;

/// How long another `migrate` is waited for.
const OTHERS: Duration = Duration::from_secs(60);
/// Between two tries to reach Redis.
const PAUSE: Duration = Duration::from_millis(250);

const HELP: &str = "\
migrate: schema, roles and rights of the license server's database

  migrate up              makes the roles, applies the migrations that the database lacks, grants the roles that
                          DATABASE_GRANTS names. Harmless to repeat; a second one waits for the first
  migrate status          says what is applied and what is not, and which logins have which role
  migrate grants          grants alone
  migrate after-restore   after the database was restored to an earlier point, with every service stopped: empties
                          Redis, and has every free seat wait until nobody can believe in it. Stop them first: one that
                          nobody asked lately has no connection and is not seen
    --force               also while services seem to be connected
  migrate --help          this text

It reads DATABASE_URL, DATABASE_GRANTS (user=role, commas between them; a login that is not named loses the roles
service, reaper, notify and admin; unset, grants stay as they are) and START_PATIENCE_SECONDS; after-restore also REDIS_URL,
SEAT_TTL_SECONDS and SEAT_DRAIN_SECONDS, which must be those of the services. Each line of its output is JSON.

Exit codes:
";

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Up,
    Status,
    Grants,
    AfterRestore { force: bool },
}

/// Does what the command line asks: what the binary's `main` calls.
pub fn run() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let verb = match words[..] {
        ["up"] => Verb::Up,
        ["status"] => Verb::Status,
        ["grants"] => Verb::Grants,
        ["after-restore"] => Verb::AfterRestore { force: false },
        ["after-restore", "--force"] => Verb::AfterRestore { force: true },
        ["--help" | "-h" | "help"] => {
            println(&help());
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!(
                "migrate: one of up, status, grants and after-restore is needed, and not {words:?}\n\n{}",
                help()
            );
            return ExitCode::from(Exit::Usage.code());
        }
    };
    let name = words[0].to_owned();
    ExitCode::from(done(&name, verb).code())
}

fn help() -> String {
    let codes: Vec<String> = Exit::ALL.iter().map(|(_, code, means)| format!("  {code:>2}  {means}")).collect();
    format!("{HELP}{}\n", codes.join("\n"))
}

#[tokio::main(flavor = "current_thread")]
async fn done(name: &str, verb: Verb) -> Exit {
    install_tls();
    let report = Report { verb: name.to_owned(), clock: Clock::system(), started: Instant::now() };
    let ended = match verb {
        Verb::Up => up(&report).await,
        Verb::Status => status(&report).await,
        Verb::Grants => grants(&report).await,
        Verb::AfterRestore { force } => after_restore(&report, force).await,
    };
    match ended {
        Ok(exit) => exit,
        Err(failure) => {
            let code = failure.exit.code();
            report.line("ERROR", &failure.message(), json!({ "exit_code": code, "ms": report.ms() }));
            failure.exit
        }
    }
}

/// Where the lines go.
struct Report {
    verb: String,
    clock: Clock,
    started: Instant,
}

impl Report {
    fn ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn info(&self, message: &str, fields: Value) {
        self.line("INFO", message, fields);
    }

    fn line(&self, severity: &str, message: &str, fields: Value) {
        let time = self.clock.now().format(&Rfc3339).unwrap_or_default();
        let mut line = json!({ "time": time, "severity": severity, "verb": self.verb, "message": message });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        println(&line.to_string());
    }
}

/// Where standard output is gone nobody can be told; the exit code still is.
fn println(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

fn config<T>(read: Result<T, ConfigError>) -> Result<T, Failure> {
    read.map_err(|error| Failure::new(Exit::Usage, error))
}

/// What every verb is configured with, of the project that this runs in.
fn read(env: &Environment) -> Result<MigrateConfig, Failure> {
    let read = config(MigrateConfig::from_env(env))?;
    let wrong = |error| Failure::new(Exit::Schema(SchemaErrorKind::WrongDatabase), error);
    read.is_of_this_project(env).map(|()| read).map_err(wrong)
}

async fn connect(config: &MigrateConfig) -> Result<SchemaConnection, Failure> {
    let tokens = AccessTokens::new(&config.token_source, Clock::system());
    let address = self::config(wiring::records_address(&config.records, &tokens))?;
    Ok(SchemaConnection::connect(&address, config.patience).await?)
}

async fn lock(report: &Report, schema: &mut SchemaConnection) -> Result<(), Failure> {
    let waiting = || report.info("another migrate is at work; waiting for it", json!({}));
    Ok(schema.lock(OTHERS, waiting).await?)
}

async fn up(report: &Report) -> Result<Exit, Failure> {
    let config = read(&Environment::process())?;
    let mut schema = connect(&config).await?;
    lock(report, &mut schema).await?;
    // Before anything is changed: whether this is ours at all.
    schema.status().await?;
    schema.make_roles().await?;
    let mut applied = 0;
    while let Some((name, took)) = schema.apply_next().await? {
        applied += 1;
        let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        report.info(&format!("applied {name}"), json!({ "migration": name, "ms": took }));
    }
    let newer = schema.status().await?.newer;
    grant(report, &mut schema, config.grants.as_deref()).await?;
    schema.close().await?;
    let message = if newer.is_empty() { "the schema is this build's" } else { "the schema is a later build's" };
    report.info(message, json!({ "applied": applied, "newer": newer, "ms": report.ms() }));
    Ok(Exit::Done)
}

async fn status(report: &Report) -> Result<Exit, Failure> {
    let config = read(&Environment::process())?;
    let mut schema = connect(&config).await?;
    let SchemaStatus { applied, pending, newer } = schema.status().await?;
    let grants = pairs(&schema.grants().await?);
    schema.close().await?;
    let message = if pending.is_empty() { "nothing is to do" } else { "migrations are not applied yet: migrate up" };
    let newest = newer.last().or(applied.last());
    report.info(
        message,
        json!({ "applied": applied.len(), "newest": newest, "pending": pending, "newer": newer, "grants": grants,
            "ms": report.ms() }),
    );
    Ok(if pending.is_empty() { Exit::Done } else { Exit::Pending })
}

async fn grants(report: &Report) -> Result<Exit, Failure> {
    let config = read(&Environment::process())?;
    let Some(wanted) = config.grants.as_deref() else {
        return Err(Failure::new(Exit::Usage, "DATABASE_GRANTS is not set; it must be user=role,user=role"));
    };
    let mut schema = connect(&config).await?;
    lock(report, &mut schema).await?;
    grant(report, &mut schema, Some(wanted)).await?;
    schema.close().await?;
    Ok(Exit::Done)
}

async fn grant(report: &Report, schema: &mut SchemaConnection, wanted: Option<&[RoleGrant]>) -> Result<(), Failure> {
    let Some(wanted) = wanted else { return Ok(()) };
    let GrantReport { granted, revoked, kept } = schema.grant(wanted).await?;
    report.info(
        "the roles are those of DATABASE_GRANTS",
        json!({ "granted": pairs(&granted), "revoked": pairs(&revoked), "kept": pairs(&kept) }),
    );
    Ok(())
}

fn pairs(grants: &[RoleGrant]) -> Vec<String> {
    grants.iter().map(|RoleGrant { user, role }| format!("{user}={role}")).collect()
}

async fn after_restore(report: &Report, force: bool) -> Result<Exit, Failure> {
    let env = Environment::process();
    let config = read(&env)?;
    let RestoreConfig { redis, timing } = self::config(RestoreConfig::from_env(&env))?;
    let tokens = AccessTokens::new(&config.token_source, Clock::system());
    let seats = self::config(wiring::seats(&redis, timing, &tokens, Clock::system()))?;
    let mut schema = connect(&config).await?;
    lock(report, &mut schema).await?;
    if !force {
        schema.no_service_is_connected().await?;
    }
    // A database that is none of ours must not cost Redis its copies.
    schema.require_schema().await?;
    // From here to the end of the transaction no service gives a seat, not one either that has no connection now.
    schema.hold_pools().await?;
    emptied(&seats, config.patience).await?;
    report.info("Redis is empty", json!({ "ms": report.ms() }));
    let lease = Duration::from_millis(timing.rebuild_lease_ms().unsigned_abs());
    let pools = schema.after_restore(lease).await?;
    schema.close().await?;
    let wait = lease.as_secs();
    report.info(
        &format!(
            "every epoch is raised and every free seat waits; nobody is given a seat for {wait} s. A service without a \
             connection was not seen: none may have run between the restore and now"
        ),
        json!({ "pools": pools, "wait_seconds": wait, "ms": report.ms() }),
    );
    Ok(Exit::Done)
}

async fn emptied(seats: &SeatStore, patience: Duration) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match seats.empty().await {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() >= patience => return Err(Failure::new(Exit::SeatStore, error)),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

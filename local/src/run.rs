//! `license-local` from its first line to its last.

use crate::{
    bus as door,
    data::DataDirectory,
    demo,
    endpoints::{Endpoints, Listeners, quoted},
    environment,
    guard::guarded,
    issuer::DemoIssuer,
    mail,
    options::{self, AskedCommand, CommandLine},
    rotate, scheduler, serve,
    stores::{PostgresServer, PostgresSettings, RedisServer, RedisSettings},
    supervise::{MachineStores, asked_to_stop},
    trial,
};
use http::StatusCode;
use license_core::{Clock, error::chain, records, signer::local::LocalRoot};
use license_functions::{
    SERVICES,
    edge::{
        config::{self, Environment},
        connection_limit::ConnectionSlots,
        layers::LayerSettings,
        pages,
        serve::{Service, StartError, app, install_tls, serve as serve_app},
        telemetry,
    },
};
use license_pubsub::{
    Topic,
    bus::{LocalBus, Subscription},
};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tower_http::timeout::TimeoutLayer;

/// How often Redis does its own background work in a second: once and not ten times, because on an idle machine that
/// was more than half of all work. Scripts and leases use the time itself, and keys that have expired are gone for
/// every reader.
const UNHURRIED: [&str; 2] = ["--hz", "1"];
/// How long `--once` waits for the first sweep.
const SWEEP: Duration = Duration::from_secs(10);

/// The page for newcomers: what its blocks do on this machine is tested.
const START: &str = include_str!("../../docs/START.md");
/// How long the issuer and the bus wait for a body.
const SLOW: Duration = Duration::from_secs(10);

/// Does what the command line asks and tells how it went: 0 well, 1 not, 2 for a command line that is wrong.
#[tokio::main]
pub async fn main() -> ExitCode {
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(AskedCommand::Run(options)) => options,
        Ok(AskedCommand::Rotate(wish)) => {
            return match rotate::rotate(&wish).await {
                Ok(done) => {
                    say(&done);
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("license-local: {}", chain(error.as_ref()));
                    ExitCode::FAILURE
                }
            };
        }
        Ok(AskedCommand::Help) => {
            say(options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("license-local: {}\n\n{}", chain(&error), options::HELP);
            return ExitCode::from(2);
        }
    };
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("license-local: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &CommandLine) -> Result<(), StartError> {
    install_tls();
    let process = Environment::process();
    let logging = config::LogConfig::from_env(&Environment::map(environment::logging(&process)))?;
    telemetry::init(&logging, Clock::system());
    let stop = listen_for_stop();
    let machine = tokio::select! {
        machine = Machine::start(options, &process, &logging) => machine?,
        () = stopped(stop.clone()) => return Ok(()),
    };
    machine.serve(options, stop).await
}

type StopCause = watch::Receiver<bool>;

fn listen_for_stop() -> StopCause {
    let (ask, stop) = watch::channel(false);
    tokio::spawn(async move {
        match asked_to_stop().await {
            Ok(why) => eprintln!("{why}: stopping (once more: at once)"),
            Err(error) => eprintln!("signals cannot be received ({}): stopping", chain(&error)),
        }
        ask.send_replace(true);
        // Kept open: a closed channel would read as a second wish.
        std::future::pending::<()>().await;
    });
    stop
}

async fn stopped(mut stop: StopCause) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// Everything that runs, ready to serve.
struct Machine {
    data: DataDirectory,
    stores: MachineStores,
    /// Each listener with the router that answers on it.
    apps: Vec<(TcpListener, axum::Router)>,
    endpoints: Endpoints,
    license_key: String,
    bus: LocalBus,
    period: Duration,
    slots: Arc<ConnectionSlots>,
}

impl Machine {
    async fn start(
        options: &CommandLine,
        process: &Environment,
        logging: &config::LogConfig,
    ) -> Result<Self, StartError> {
        // What can be wrong at once is looked at before what takes long. Of what the driver reads by itself this alone
        // is not said by the addresses of this machine's own server.
        config::unmoved_by_the_driver(process, &["PGOPTIONS"])?;
        let demo = environment::demo_issuer(process, options)?;
        let period = environment::reaper_period(process)?;
        let mut layers = config::LayersConfig::from_env(process)?;
        let slots = ConnectionSlots::of_process(config::proxies(process)?);
        let data = DataDirectory::open(&options.data, options.clean).await?;
        let listeners = Listeners::take(options).await?;
        let endpoints = listeners.endpoints(demo)?.with_mail(environment::sends_to_files(process));
        if options.private() {
            layers.reached_at(&endpoints.front);
        }
        let layers = LayerSettings::new(&layers, logging).with_start_page(START);
        // Nobody but this machine reaches it where the demo issuer is; anybody else needs the token.
        let metrics = layers.metrics().clone();
        let layers = layers.with_metrics(if demo { metrics.open_unless_told() } else { metrics });
        let stores = start_stores(&data).await?;
        records::migrate(&stores.postgres.superuser()).await?;
        let issuer = DemoIssuer::open(&data.path("issuer.key"), Clock::system())?;
        let variables = environment::variables(process, &data, &stores, &endpoints, demo)?;
        let env = Environment::map(variables.clone());
        let license_key = demo::license_key(&data, &stores.postgres, &config::peppers(&env)?).await?;
        let bus = bus(&endpoints, issuer.clone())?;
        let functions = serve::functions(&env, &Clock::system(), &bus, environment::endpoint_rules(demo)).await?;
        let staff = if demo { Some(data.staff_secret()?) } else { None };
        let issuer = issuer.router(staff).merge(door::router(bus.clone(), data.bus_token()?));
        let issuer = if demo && environment::sends_to_files(process) {
            issuer.merge(mail::router(mail::directory(&data)?))
        } else {
            issuer
        };
        // The last of the files: a program that waits for it finds the others too.
        endpoints.write(&data, &license_key, &variables)?;
        // Only this machine reaches it; a client that never ends its body is not waited for here either.
        let issuer = issuer.merge(pages::router(&layers.pages().without_health()));
        let issuer = guarded(issuer.layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, SLOW)));
        // One page for the whole process, at the address of all functions.
        let own = layers.clone().with_metrics(layers.metrics().clone().elsewhere());
        let app = |service, is_front: bool| {
            let app = app(service, if is_front { &layers } else { &own });
            if demo { guarded(app) } else { app }
        };
        let apps = apps(listeners, functions, issuer, app);
        Ok(Self { data, stores, apps, endpoints, license_key, bus, period, slots })
    }

    /// Serves until a person asks to stop, `--once` is done, or the stores cannot be kept running. Then it stops
    /// everything in order: it accepts no new requests, answers those that are under way, delivers the messages, and
    /// stops the stores.
    async fn serve(mut self, options: &CommandLine, stop: StopCause) -> Result<(), StartError> {
        let (close, closed) = watch::channel(false);
        let mut servers = JoinSet::new();
        for (listener, app) in std::mem::take(&mut self.apps) {
            servers.spawn(serve_app(listener, app, Arc::clone(&self.slots), stopped(closed.clone())));
        }
        if !options.once {
            let terminal = std::io::stdout().is_terminal();
            say(&banner(&self.data, &self.endpoints, &self.license_key, terminal));
        }
        let done = tokio::select! {
            () = stopped(stop) => Ok(()),
            why = self.stores.keep() => match why { Err(why) => Err(why.into()), Ok(never) => match never {} },
            tried = trial::run(&self.endpoints.front, &self.license_key), if options.once => {
                tried.map_err(StartError::from)
            }
            never = scheduler::tick(&self.bus, self.period) => match never {},
        };
        if options.once && done.is_ok() {
            // The first sweep is part of the self-check; on a slow machine it may not be finished yet.
            let _ = tokio::time::timeout(SWEEP, self.bus.idle()).await;
        }
        close.send_replace(true);
        while servers.join_next().await.is_some() {}
        self.bus.shutdown().await;
        self.stores.stop().await;
        if options.once && done.is_ok() {
            say("A seat was taken, kept and given back: everything works.\n");
        }
        done
    }
}

/// Each listener with what answers on it; `app` puts around a service what stands around every one, and is told whether
/// it is all of them together.
fn apps(
    listeners: Listeners,
    functions: Vec<Service>,
    issuer: axum::Router,
    app: impl Fn(Service, bool) -> axum::Router,
) -> Vec<(TcpListener, axum::Router)> {
    let mut apps = vec![(listeners.front, app(serve::front(&functions), true)), (listeners.issuer, issuer)];
    apps.extend(listeners.functions.into_iter().zip(functions.into_iter().map(|function| app(function, false))));
    apps
}

async fn start_stores(data: &DataDirectory) -> Result<MachineStores, StartError> {
    let root = data.path("root.pem");
    let first = if root.exists() { "" } else { "; drawing the root key (RSA-4096, a few seconds, once)" };
    eprintln!("Starting PostgreSQL and Redis in {}{first}", data.path("").display());
    let (postgres_dir, redis_dir) = (data.postgres(), data.redis());
    let (postgres, redis, root) = tokio::join!(
        PostgresServer::start(&postgres_dir, PostgresSettings::default()),
        RedisServer::start(
            &redis_dir,
            RedisSettings { more: UNHURRIED.map(String::from).into(), ..RedisSettings::default() }
        ),
        LocalRoot::open(root),
    );
    root?;
    Ok(MachineStores { postgres: postgres?, redis: redis? })
}

fn bus(endpoints: &Endpoints, issuer: DemoIssuer) -> Result<LocalBus, StartError> {
    let to = |topic, service: &str, path: &str| {
        let address = endpoints.functions.get(service).map_or("", String::as_str);
        Subscription { topic, push_url: format!("{address}{path}") }
    };
    let subscriptions = vec![
        to(Topic::Tick, "reaper", "/tick"),
        to(Topic::Tick, "notify", "/due"),
        to(Topic::Reap, "reaper", "/reap"),
        to(Topic::Events, "notify", "/events"),
    ];
    // A token that cannot be signed is none, and the push is refused and sent again.
    let token = move || issuer.push_token(environment::PUSH_AUDIENCE).unwrap_or_default();
    Ok(LocalBus::new(subscriptions, Arc::new(token))?)
}

/// The text that people read after the start. If the output is no terminal, it may be kept in a log that others can
/// read; then the license key is left in its file.
fn banner(data: &DataDirectory, endpoints: &Endpoints, license_key: &str, terminal: bool) -> String {
    let mut text = format!(
        "\nlicense-local is running; Ctrl-C stops it, the data stays in {}\n\n\
        \x20 all functions  {front}\n\
        \x20 the API, read  {front}/docs\n\
        \x20 start here     {front}/start  a seat in Python, in two minutes\n",
        data.path("").display(),
        front = endpoints.front
    );
    for name in SERVICES.iter().map(|service| service.name) {
        text += &format!("  {name:<13}  {}\n", endpoints.functions[name]);
    }
    let more = endpoints.more(&data.path("staff.secret")).map(|line| format!("  {line}\n")).unwrap_or_default();
    let file = data.path("license-key");
    let (shown, key) = if terminal {
        (license_key.to_owned(), license_key.to_owned())
    } else {
        // Within the single quotes of the JSON: they end, the shell reads the file, and they begin again.
        (format!("in {}", file.display()), format!(r#"'"$(cat {})"'"#, quoted(&file.display().to_string())))
    };
    let [acquire, heartbeat, release] = endpoints.lines(&key);
    text += &format!(
        "{more}\n  license key    {shown} (5 seats)\n\n\
         Take a seat, keep it, give it back:\n\n{acquire}\n\n{heartbeat}\n\n{release}\n\n"
    );
    text
}

/// Prints a text for people. If the output is closed, the program goes on.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    #[tokio::test]
    async fn the_key_is_printed_on_a_terminal_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(&dir.path().join("it's mine"), false).await.unwrap();
        let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let options = CommandLine { port: 0, data: data.path(""), clean: false, once: false, bind };
        let endpoints = Listeners::take(&options).await.unwrap().endpoints(true).unwrap();
        assert!(banner(&data, &endpoints, "CODI-KEY", true).contains("license key    CODI-KEY"));
        std::fs::write(data.path("license-key"), "CODI-KEY\n").unwrap();
        let text = banner(&data, &endpoints, "CODI-KEY", false);
        assert!(!text.contains("CODI-KEY"), "{text}");
        // What is printed instead works as it stands.
        let line = text.lines().find(|line| line.contains("/acquire ")).unwrap();
        let body = line.split(" -d ").nth(1).unwrap().split("); ").next().unwrap();
        let output = std::process::Command::new("sh").args(["-c", &format!("printf %s {body}")]).output().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(body["license_key"], "CODI-KEY");
    }
}

//! The variables that every service reads on this machine: those of `.env.sample`, with the values of this machine.

use crate::{
    bus, data::DataDirectory, endpoints::Endpoints, guard::is_this_machine, issuer, mail, options::CommandLine, rotate,
    supervise::MachineStores,
};
use http::Uri;
use license_core::{domain::webhook::EndpointRules, records::DatabaseRole};
use license_functions::edge::config::{ConfigError, Environment};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// The audience of the bus's push tokens. It is a name and no address, so that it is the same whatever the reaper's port
/// is.
pub(crate) const PUSH_AUDIENCE: &str = "license-local";

/// The variables that are taken over from the environment if they are set. All others are not, because the address of
/// another database, for example, may be set there for other programs.
const HONOURED: [&str; 35] = [
    "SEAT_TTL_SECONDS",
    "SEAT_DRAIN_SECONDS",
    "HEARTBEAT_SECONDS",
    "DATABASE_POOL_SIZE",
    "REDIS_REPLID_SOURCE",
    "RUST_LOG",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "GOOGLE_CLOUD_PROJECT",
    "START_PATIENCE_SECONDS",
    "METRICS_TOKEN",
    "DOCS_URL",
    "PUBLIC_URL",
    "TOKEN_ISSUER",
    "TRUSTED_PROXIES",
    "RATE_ACQUIRE",
    "RATE_LICENSE",
    "RATE_HEARTBEAT",
    "RATE_REGISTER",
    "RATE_UNKNOWN_KEYS",
    "RATE_CREDENTIALS",
    "RATE_ADMIN",
    "RATE_VENDOR",
    "RATE_PEOPLE",
    "SECURITY_CONTACT",
    "SECURITY_POLICY",
    "STAFF_ALLOWED_NETWORKS",
    "STAFF_STEP_UP_MAX_AGE_SECONDS",
    "STAFF_STEP_UP_ACR_VALUES",
    "API_TOKEN_DAYS",
    "WEBHOOK_PROXY",
    "MAIL_URL",
    "MAIL_FROM",
    "MAIL_CA",
    "CONSOLE_URL",
];
const IDENTITY: [&str; 8] = [
    "IDENTITY_ISSUER",
    "IDENTITY_AUDIENCE",
    "IDENTITY_JWKS_URL",
    "IDENTITY_TOKEN_SECONDS",
    "STAFF_IDENTITY_ISSUER",
    "STAFF_IDENTITY_AUDIENCE",
    "STAFF_IDENTITY_JWKS_URL",
    "STAFF_IDENTITY_TOKEN_SECONDS",
];

/// The log that people read while it runs: warnings as text, unless the environment says otherwise.
pub(crate) fn logging(process: &Environment) -> BTreeMap<String, String> {
    let mut values = taken(process, &["RUST_LOG", "LOG_LEVEL", "LOG_FORMAT", "GOOGLE_CLOUD_PROJECT", "DOCS_URL"]);
    values.entry("LOG_FORMAT".into()).or_insert_with(|| "text".into());
    values.entry("LOG_LEVEL".into()).or_insert_with(|| "warn".into());
    values
}

fn taken(process: &Environment, names: &[&str]) -> BTreeMap<String, String> {
    names.iter().filter_map(|name| Some(((*name).to_owned(), process.get(name)?))).collect()
}

/// Whether the demo issuer stands in for a real identity provider.
///
/// # Errors
/// If none is configured and other machines reach this one, or something that belongs to a real one is.
pub(crate) fn demo_issuer(process: &Environment, options: &CommandLine) -> Result<bool, ConfigError> {
    if process.get("IDENTITY_ISSUER").is_some() {
        return Ok(false);
    }
    let elsewhere = |url: String| {
        !url.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some_and(|at| is_this_machine(at.as_str())))
    };
    let because = if !options.private() {
        "--bind lets other machines in"
    } else if process.get("PUBLIC_URL").is_some_and(elsewhere) {
        "PUBLIC_URL is an address for other machines"
    } else if process.get("TRUSTED_PROXIES").is_some_and(|number| number != "0") {
        "TRUSTED_PROXIES says that proxies bring the requests of others"
    } else if process.on_cloud_run() {
        "this is Cloud Run"
    } else if let Some(name) = IDENTITY.into_iter().find(|name| process.get(name).is_some()) {
        return Err(wanting(format!(
            "{name} is set and belongs to a real identity provider, for customers and staff alike"
        )));
    } else {
        return Ok(true);
    };
    Err(wanting(format!("{because}, and the demo identity provider vouches for whoever asks")))
}

/// Where webhooks may be. Whoever registers one has this machine send requests there, so programs on it are receivers
/// only where the demo issuer is: it is refused wherever others reach the services, by their own address or through a
/// proxy.
pub(crate) fn endpoint_rules(demo: bool) -> EndpointRules {
    if demo { EndpointRules::LoopbackToo } else { EndpointRules::Public }
}

fn wanting(because: String) -> ConfigError {
    let problem = format!(
        "is not set; {because}. Name a real provider (IDENTITY_ISSUER, IDENTITY_AUDIENCE, IDENTITY_JWKS_URL), \
         or unset what says otherwise"
    );
    ConfigError { variable: "IDENTITY_ISSUER", problem }
}

/// The variables for every function.
///
/// # Errors
/// If a key of this machine cannot be read or made.
pub(crate) fn variables(
    process: &Environment,
    data: &DataDirectory,
    stores: &MachineStores,
    endpoints: &Endpoints,
    demo: bool,
) -> io::Result<BTreeMap<String, String>> {
    let mut values = taken(process, &HONOURED);
    // Every function replaces the user by its own role.
    values.extend(named([
        ("DATABASE_URL", stores.postgres.url(DatabaseRole::Service.name())),
        ("REDIS_URL", stores.redis.url()),
    ]));
    values.extend(keys(data)?);
    values.extend(messages(data, endpoints)?);
    values.extend(if demo { demo_identity(endpoints) } else { taken(process, &IDENTITY) });
    if !values.contains_key("TOKEN_ISSUER") && !values.contains_key("PUBLIC_URL") {
        values.insert("TOKEN_ISSUER".into(), endpoints.front.clone());
    }
    if sends_to_files(process) {
        values.insert("MAIL_URL".into(), file_url(&mail::directory(data)?)?);
        values.entry("MAIL_FROM".into()).or_insert_with(|| mail::FROM.into());
    }
    if demo {
        // The links in mails lead to where this machine itself reaches the API.
        values.entry("PUBLIC_URL".into()).or_insert_with(|| endpoints.front.clone());
    }
    Ok(values)
}

/// Whether mails are kept in the data directory, because no mail server is named.
pub(crate) fn sends_to_files(process: &Environment) -> bool {
    process.get("MAIL_URL").is_none()
}

fn file_url(path: &Path) -> io::Result<String> {
    let url =
        Url::from_file_path(path).map_err(|()| io::Error::other("the directory of mails has no absolute path"))?;
    Ok(url.into())
}

fn named<const N: usize>(values: [(&str, String); N]) -> BTreeMap<String, String> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The keys that services seal and sign with: those of the data directory, including the ones that are being replaced.
fn keys(data: &DataDirectory) -> io::Result<BTreeMap<String, String>> {
    let (handles, peppers) = (data.service_keys("handle.key")?, data.service_keys("pepper.key")?);
    let webhooks = data.service_keys("webhook.key")?;
    let root = |path: PathBuf| format!("local:{}", path.display());
    let mut values = named([
        ("HANDLE_KEY", handles.current.reveal().clone()),
        ("LICENSE_PEPPER", peppers.current.reveal().clone()),
        ("WEBHOOK_KEY", webhooks.current.reveal().clone()),
        ("ROOT_KEY", root(data.path("root.pem"))),
    ]);
    let others = [
        ("HANDLE_KEY_PREVIOUS", handles.previous.map(|key| key.reveal().clone())),
        ("LICENSE_PEPPER_PREVIOUS", peppers.previous.map(|key| key.reveal().clone())),
        ("WEBHOOK_KEY_PREVIOUS", webhooks.previous.map(|key| key.reveal().clone())),
        ("ROOT_KEY_NEXT", rotate::other_root(data).map(root)),
    ];
    values.extend(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(values)
}

/// The bus of this machine: services publish to it, and the reaper and notify accept pushes from it alone.
fn messages(data: &DataDirectory, endpoints: &Endpoints) -> io::Result<BTreeMap<String, String>> {
    Ok(named([
        ("PUSH_ISSUER", issuer::PUSH_ISSUER.into()),
        ("PUSH_AUDIENCE", PUSH_AUDIENCE.into()),
        ("PUSH_EMAIL", issuer::PUSH_EMAIL.into()),
        ("PUSH_JWKS_URL", jwks_url(endpoints)),
        ("PUBSUB_PROJECT", bus::PROJECT.into()),
        ("PUBSUB_BUS_URL", endpoints.issuer.clone()),
        ("PUBSUB_BUS_TOKEN", data.bus_token()?.reveal().clone()),
    ]))
}

/// The demo issuer as identity provider of customers and of staff.
fn demo_identity(endpoints: &Endpoints) -> BTreeMap<String, String> {
    named([
        ("IDENTITY_ISSUER", issuer::ISSUER.into()),
        ("IDENTITY_AUDIENCE", issuer::AUDIENCE.into()),
        ("IDENTITY_JWKS_URL", jwks_url(endpoints)),
        ("STAFF_IDENTITY_ISSUER", issuer::ISSUER.into()),
        ("STAFF_IDENTITY_AUDIENCE", issuer::STAFF_AUDIENCE.into()),
        ("STAFF_IDENTITY_JWKS_URL", jwks_url(endpoints)),
    ])
}

/// Where the public keys of the demo issuer are read.
fn jwks_url(endpoints: &Endpoints) -> String {
    format!("{}/.well-known/jwks.json", endpoints.issuer)
}

/// `REAPER_PERIOD_SECONDS`: how often the reaper and notify are asked to look, 60 unless set.
///
/// # Errors
/// If it is no whole number from 1 to 3600.
pub(crate) fn reaper_period(process: &Environment) -> Result<Duration, ConfigError> {
    let Some(text) = process.get("REAPER_PERIOD_SECONDS") else { return Ok(Duration::from_secs(60)) };
    let problem = || format!("must be a whole number of seconds from 1 to 3600, and is {text:?}");
    let seconds = text.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
    let seconds = seconds.ok_or_else(|| ConfigError { variable: "REAPER_PERIOD_SECONDS", problem: problem() })?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(values: &[(&str, &str)]) -> Environment {
        Environment::map(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn options(bind: &str) -> CommandLine {
        CommandLine { port: 0, data: ".local".into(), clean: false, once: false, bind: bind.parse().unwrap() }
    }

    #[test]
    fn the_demo_issuer_exists_on_the_machine_itself_only_and_yields_to_a_real_one() {
        assert_eq!(demo_issuer(&env(&[]), &options("127.0.0.1")), Ok(true));
        assert!(demo_issuer(&env(&[]), &options("0.0.0.0")).is_err());
        let real = [("IDENTITY_ISSUER", "https://securetoken.google.com/p")];
        assert_eq!(demo_issuer(&env(&real), &options("0.0.0.0")), Ok(false));
        assert_eq!(demo_issuer(&env(&real), &options("127.0.0.1")), Ok(false));
    }

    #[test]
    fn where_others_reach_the_server_it_does_not_start_with_the_demo_issuer() {
        let blamed = |values: &[(&str, &str)]| {
            demo_issuer(&env(values), &options("127.0.0.1")).err().map(|error| (error.variable, error.problem))
        };
        for (name, value) in [
            ("PUBLIC_URL", "https://licenses.example.com"),
            ("PUBLIC_URL", "http://10.0.0.7:8080"),
            ("PUBLIC_URL", "https://localhost.example.com"),
            ("PUBLIC_URL", "licenses.example.com"),
            ("TRUSTED_PROXIES", "1"),
            ("TRUSTED_PROXIES", "many"),
            ("STAFF_IDENTITY_AUDIENCE", "staff"),
            ("IDENTITY_AUDIENCE", "p"),
            ("IDENTITY_JWKS_URL", "https://id.example.com/keys"),
            ("IDENTITY_TOKEN_SECONDS", "3600"),
        ] {
            let (variable, problem) = blamed(&[(name, value)]).expect("refused");
            assert_eq!(variable, "IDENTITY_ISSUER", "{name}={value}");
            assert!(problem.contains(name), "{problem}");
            assert_eq!(blamed(&[(name, value), ("IDENTITY_ISSUER", "https://id.example.com")]), None);
        }
        assert!(blamed(&[("K_SERVICE", "local")]).is_some());
        for bind in ["0.0.0.0", "::", "192.168.1.7"] {
            assert!(demo_issuer(&env(&[]), &options(bind)).is_err(), "{bind}");
        }
        for (name, value) in [
            ("PUBLIC_URL", "http://localhost:8080"),
            ("PUBLIC_URL", ""),
            ("TRUSTED_PROXIES", "0"),
            ("IDENTITY_ISSUER", " "),
        ] {
            assert_eq!(blamed(&[(name, value)]), None, "{name}={value}");
        }
    }

    #[test]
    fn the_reapers_period_is_a_minute_unless_said_and_never_zero() {
        assert_eq!(reaper_period(&env(&[])), Ok(Duration::from_secs(60)));
        assert_eq!(reaper_period(&env(&[("REAPER_PERIOD_SECONDS", "1")])), Ok(Duration::from_secs(1)));
        assert!(reaper_period(&env(&[("REAPER_PERIOD_SECONDS", "0")])).is_err());
        assert!(reaper_period(&env(&[("REAPER_PERIOD_SECONDS", "soon")])).is_err());
    }

    #[test]
    fn a_database_in_the_environment_does_not_leak_in() {
        let process = env(&[("DATABASE_URL", "postgres://prod"), ("SEAT_TTL_SECONDS", "6")]);
        let values = taken(&process, &HONOURED);
        assert_eq!(values.keys().collect::<Vec<_>>(), ["SEAT_TTL_SECONDS"]);
    }
}

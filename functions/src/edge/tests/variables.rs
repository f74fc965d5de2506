//! The table of variables beside what the services really ask for, and beside what holds without them.

use crate::{
    SERVICES,
    edge::{
        config::{self, DefaultValue, Environment, VARIABLES, Variable, VariableReaders},
        serve::install_tls,
    },
    services::{ServiceEntry, ServiceInputs},
};
use license_core::Clock;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex},
};

/// Values with which every service starts, and with which it asks for everything it ever asks for.
const EVERYTHING: [(&str, &str); 19] = [
    ("REDIS_URL", "redis://127.0.0.1:1"),
    ("DATABASE_URL", "postgres://127.0.0.1:1/license"),
    ("HANDLE_KEY", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
    ("LICENSE_PEPPER", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
    ("WEBHOOK_KEY", "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
    ("ROOT_KEY", "kms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"),
    ("TOKEN_ISSUER", "https://licenses.example.com"),
    ("IDENTITY_ISSUER", "https://id.example.com"),
    ("IDENTITY_AUDIENCE", "project"),
    ("IDENTITY_JWKS_URL", "https://id.example.com/keys"),
    ("STAFF_IDENTITY_ISSUER", "https://id.example.com"),
    ("STAFF_IDENTITY_AUDIENCE", "staff"),
    ("STAFF_IDENTITY_JWKS_URL", "https://id.example.com/keys"),
    ("PUSH_AUDIENCE", "push"),
    ("PUSH_EMAIL", "push@example.com"),
    ("PUBSUB_PROJECT", "project"),
    ("PUBSUB_BUS_URL", "http://127.0.0.1:1"),
    ("PUBSUB_BUS_TOKEN", "token"),
    ("SECURITY_CONTACT", "mailto:security@example.com"),
];

fn values() -> BTreeMap<String, String> {
    EVERYTHING.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Set by Cloud Run, or read by the driver of PostgreSQL and refused.
fn is_of_others(name: &str) -> bool {
    ["K_SERVICE", "CLOUD_RUN_JOB"].contains(&name) || config::REFUSED_VARIABLES.contains(&name)
}

/// What a service asks for while it starts: what every binary reads, and what its own configuration is read from.
async fn asked_for(service: &ServiceEntry) -> BTreeSet<String> {
    let (values, asked) = (values(), Arc::new(Mutex::new(BTreeSet::new())));
    let names = asked.clone();
    let env = Environment::looked_up(move |name| {
        names.lock().unwrap().insert(name.to_owned());
        values.get(name).cloned()
    });
    config::ProcessConfig::from_env(&env).unwrap();
    let inputs = ServiceInputs::new(&env, Clock::system());
    if let Err(error) = service.build(inputs).await {
        panic!("{} does not start: {error}", service.name);
    }
    let mut asked = asked.lock().unwrap().clone();
    asked.retain(|name| !is_of_others(name));
    asked
}

#[tokio::test]
async fn each_service_asks_for_the_variables_that_the_table_gives_it_and_for_no_other() {
    install_tls();
    for service in &SERVICES {
        let table = VARIABLES.iter().filter(|variable| variable.is_read_by(service.name));
        let table: BTreeSet<String> = table.map(|variable| variable.name.to_owned()).collect();
        assert_eq!(asked_for(service).await, table, "{}", service.name);
    }
}

#[test]
fn a_variable_is_in_the_table_once_and_its_readers_are_services() {
    let names: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(names.len(), VARIABLES.len());
    for Variable { name, readers, .. } in VARIABLES {
        let VariableReaders::Only(readers) = readers else { continue };
        let known = |it: &&&str| **it == "migrate" || SERVICES.iter().any(|service| service.name == **it);
        let unknown: Vec<_> = readers.iter().filter(|it| !known(it)).collect();
        assert!(!readers.is_empty() && unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn the_job_of_the_schema_asks_for_the_variables_that_its_list_gives_it_and_for_no_other() {
    let (values, asked) = (values(), Arc::new(Mutex::new(BTreeSet::new())));
    let names = asked.clone();
    let env = Environment::looked_up(move |name| {
        names.lock().unwrap().insert(name.to_owned());
        values.get(name).cloned()
    });
    config::MigrateConfig::from_env(&env).unwrap().is_of_this_project(&env).unwrap();
    config::RestoreConfig::from_env(&env).unwrap();
    let mut asked = asked.lock().unwrap().clone();
    asked.retain(|name| !is_of_others(name));
    assert_eq!(asked, config::MIGRATE_VARIABLES.iter().map(|&name| name.to_owned()).collect());
    let own = VARIABLES
        .iter()
        .filter(|variable| variable.is_read_by("migrate") && matches!(variable.readers, VariableReaders::Only(_)));
    for Variable { name, .. } in own {
        assert!(config::MIGRATE_VARIABLES.contains(name), "{name}");
    }
}

#[tokio::test]
async fn no_service_starts_without_a_variable_that_is_required() {
    install_tls();
    for variable in VARIABLES.iter().filter(|variable| variable.default == DefaultValue::Required) {
        for service in SERVICES.iter().filter(|service| variable.is_read_by(service.name)) {
            let mut values = values();
            values.remove(variable.name);
            let env = Environment::map(values);
            let inputs = ServiceInputs::new(&env, Clock::system());
            let error = service.build(inputs).await.err().map(|error| error.to_string());
            let error = error.unwrap_or_else(|| panic!("{} starts without {}", service.name, variable.name));
            assert!(error.contains(variable.name), "{error}");
        }
    }
}

#[tokio::test]
async fn no_service_and_no_job_starts_where_the_driver_would_read_more_than_the_configuration() {
    install_tls();
    for name in config::REFUSED_VARIABLES {
        // The driver takes an empty one for a value: an empty PGSSLCERT is a file without a name.
        for value in ["disable", ""] {
            let mut values = values();
            values.insert((*name).to_owned(), value.to_owned());
            let env = Environment::map(values);
            let unset = format!("{name} is set, and would change how PostgreSQL is connected to");
            for service in SERVICES.iter().filter(|service| service.stores.has_records()) {
                let inputs = ServiceInputs::new(&env, Clock::system());
                let error = service.build(inputs).await.err().map(|error| error.to_string()).unwrap_or_default();
                assert!(error.starts_with(&unset), "{} with {name}={value}: {error:?}", service.name);
            }
            let error = config::MigrateConfig::from_env(&env).unwrap_err().to_string();
            assert!(error.starts_with(&unset), "{error}");
        }
    }
}

#[test]
fn what_is_refused_was_read_in_the_drivers_version_that_is_used() {
    let lock = include_str!("../../../../Cargo.lock");
    assert!(
        lock.contains("name = \"sqlx-postgres\"\nversion = \"0.9.0\"\n"),
        "sqlx is another version: see which variables its src/options/mod.rs and pgpass.rs read, mend \
         REFUSED_VARIABLES, then this test"
    );
}

/// Everything that is read, as text.
fn read(env: &Environment) -> Vec<String> {
    fn text<T: Debug, E: Debug>(value: Result<T, E>) -> String {
        format!("{:?}", value.expect("it can be read"))
    }
    vec![
        text(config::ProcessConfig::from_env(env)),
        text(config::AcquireConfig::from_env(env)),
        text(config::HeartbeatConfig::from_env(env)),
        text(config::ReleaseConfig::from_env(env)),
        text(config::RegisterConfig::from_env(env)),
        text(config::AdminConfig::from_env(env)),
        text(config::ReaperConfig::from_env(env)),
        text(config::NotifyConfig::from_env(env)),
    ]
}

#[test]
fn what_holds_without_a_variable_is_what_the_table_says() {
    let without = read(&Environment::map(values()));
    for Variable { name, default, .. } in VARIABLES {
        let DefaultValue::Value(value) = default else { continue };
        let mut values = values();
        values.insert((*name).to_owned(), (*value).to_owned());
        assert_eq!(read(&Environment::map(values)), without, "{name}={value} changes something");
    }
}

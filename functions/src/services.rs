//! What the table of services says of each ([`crate::SERVICES`]), and how one is built from its row.

use crate::{
    SERVICES,
    edge::{
        config::{Environment, Variable, VariableReaders},
        serve::{Service, StartError},
    },
};
use license_core::{Clock, domain::webhook::EndpointRules, records::DatabaseRole};
use license_pubsub::Publisher;
use std::{future::Future, pin::Pin, sync::Arc};
use utoipa::openapi::OpenApi as Document;

/// What a service is built from.
pub struct ServiceInputs<'a> {
    /// Where its variables come from.
    pub env: &'a Environment,
    /// What it takes the time from.
    pub clock: Clock,
    /// Where it publishes messages, in place of the publisher that its variables name. Services that publish nothing do
    /// not look at it.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// Where webhooks may be: on the internet alone, unless nobody but this machine reaches the services. Services that
    /// have nothing to do with webhooks do not look at it.
    pub endpoints: EndpointRules,
}

impl<'a> ServiceInputs<'a> {
    /// What a service is built from where its variables say everything, as in the cloud.
    pub fn new(env: &'a Environment, clock: Clock) -> Self {
        Self { env, clock, publisher: None, endpoints: EndpointRules::Public }
    }
}

/// Which stores a service connects to, and so whose variables it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStores {
    /// PostgreSQL and Redis.
    Both,
    /// PostgreSQL alone.
    Records,
    /// Neither.
    None,
}

impl ServiceStores {
    /// Whether Redis is among them.
    pub fn has_seats(self) -> bool {
        self == Self::Both
    }

    /// Whether PostgreSQL is among them.
    pub fn has_records(self) -> bool {
        self != Self::None
    }
}

/// A service that is being built; the error is a sentence that names the variable that is wrong.
pub type ServiceFuture<'a> = Pin<Box<dyn Future<Output = Result<Service, StartError>> + Send + 'a>>;

/// One service: a row of the table that `license-local`, the OpenAPI document, the benchmark and the tests iterate
/// over.
pub struct ServiceEntry {
    /// The name of its module, of its binary and of its port in `license-local`.
    pub name: &'static str,
    /// The PostgreSQL role that it connects as.
    pub role: DatabaseRole,
    /// Which stores it connects to.
    pub stores: ServiceStores,
    pub(crate) operations: Option<fn() -> Document>,
    pub(crate) build: for<'a> fn(ServiceInputs<'a>) -> ServiceFuture<'a>,
}

impl ServiceEntry {
    /// What the service's handlers say of themselves; `None` where clients and people have no business with it, because
    /// the message bus alone calls it.
    pub fn operations(&self) -> Option<Document> {
        self.operations.map(|operations| operations())
    }

    /// Whether the message bus alone calls it, so that no other machine needs to reach its own port.
    pub const fn is_for_the_bus_alone(&self) -> bool {
        self.operations.is_none()
    }

    /// The service from configuration. It does not wait for any store.
    ///
    /// # Errors
    /// A sentence that names the variable that is wrong.
    pub fn build<'a>(&self, inputs: ServiceInputs<'a>) -> ServiceFuture<'a> {
        (self.build)(inputs)
    }
}

impl Variable {
    /// Whether a service reads it, by its name.
    pub fn is_read_by(&self, service: &str) -> bool {
        // What is in the table of services not at all is the job of the schema.
        let all =
            |has: fn(ServiceStores) -> bool| SERVICES.iter().all(|entry| entry.name != service || has(entry.stores));
        match self.readers {
            VariableReaders::Every => true,
            VariableReaders::WithSeats => all(ServiceStores::has_seats),
            VariableReaders::WithRecords => all(ServiceStores::has_records),
            VariableReaders::Only(services) => services.contains(&service),
            VariableReaders::LocalMachine => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::SERVICES;
    use std::{collections::BTreeSet, fs, path::Path};

    #[test]
    fn every_service_of_the_table_has_a_binary_of_its_name_and_every_binary_a_row() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
        // The job of the schema is no service: it ends.
        let jobs = BTreeSet::from(["migrate".to_owned()]);
        let binaries: BTreeSet<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let services: BTreeSet<String> = SERVICES.iter().map(|service| service.name.to_owned()).collect();
        assert_eq!(binaries, &services | &jobs);
        for service in &SERVICES {
            let text = fs::read_to_string(folder.join(service.name).with_extension("rs")).unwrap();
            let built = format!("run(license_functions::{}::service)", service.name);
            assert!(text.contains(&built), "the binary {} runs {built}", service.name);
        }
    }

    #[test]
    fn no_operation_is_served_by_two_services() {
        let mut paths = BTreeSet::new();
        for document in SERVICES.iter().filter_map(super::ServiceEntry::operations) {
            assert!(!document.paths.paths.is_empty());
            for path in document.paths.paths.into_keys() {
                assert!(paths.insert(path.clone()), "{path} is served twice");
            }
        }
    }

    #[test]
    fn every_operation_is_counted_by_a_metric_of_its_service() {
        for service in &SERVICES {
            let paths = service.operations().map(|document| document.paths.paths).unwrap_or_default();
            for path in paths.keys() {
                let metric = crate::edge::telemetry::MetricName::of_path(Some(path)).as_str();
                let own = format!("{}/", service.name);
                assert!(metric.starts_with(&own), "{path} is counted as {metric}; edge/telemetry.rs has the metrics");
            }
        }
    }
}

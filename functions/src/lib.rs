//! The services, one file each, and [`edge`], what all of them share.
//!
//! A handler parses the request, calls one method of `license-core` and forms the answer. It contains no rule of its
//! own. Each service has a struct with the handles that it may use, `operations` and a `router` of its paths (without
//! layers and health, so that several services can be served behind one address), and `service`, which builds it from
//! configuration for the binary of the same name.

pub mod acquire;
pub mod admin;
pub mod document;
pub mod edge;
pub mod heartbeat;
pub mod migrate;
pub mod notify;
pub mod reaper;
pub mod register;
pub mod release;
pub mod services;

mod answer;
mod received;
mod refusals;
mod wiring;

use services::{ServiceEntry, ServiceStores};

/// Every service, in the order of their ports in `license-local`. A new one is its module, its row here and its binary.
pub static SERVICES: [ServiceEntry; 7] = [
    ServiceEntry {
        name: "acquire",
        role: acquire::ROLE,
        stores: ServiceStores::Both,
        operations: Some(|| acquire::operations().into_openapi()),
        build: |inputs| Box::pin(acquire::service(inputs.env, inputs.clock)),
    },
    ServiceEntry {
        name: "heartbeat",
        role: heartbeat::ROLE,
        stores: ServiceStores::Both,
        operations: Some(|| heartbeat::operations().into_openapi()),
        build: |inputs| Box::pin(heartbeat::service(inputs.env, inputs.clock)),
    },
    ServiceEntry {
        name: "release",
        role: release::ROLE,
        stores: ServiceStores::Both,
        operations: Some(|| release::operations().into_openapi()),
        build: |inputs| Box::pin(release::service(inputs.env, inputs.clock)),
    },
    ServiceEntry {
        name: "register",
        role: register::ROLE,
        stores: ServiceStores::Both,
        operations: Some(|| register::operations().into_openapi()),
        build: |inputs| Box::pin(register::service(inputs.env, inputs.clock)),
    },
    ServiceEntry {
        name: "admin",
        role: admin::ROLE,
        stores: ServiceStores::Both,
        operations: Some(|| admin::operations().into_openapi()),
        build: |inputs| Box::pin(admin::service_from(inputs)),
    },
    // The bus pushes to it; clients and people have no business with it.
    ServiceEntry {
        name: "reaper",
        role: reaper::ROLE,
        stores: ServiceStores::Both,
        operations: None,
        build: |inputs| Box::pin(reaper::service_from(inputs)),
    },
    // As the reaper.
    ServiceEntry {
        name: "notify",
        role: notify::ROLE,
        stores: ServiceStores::Records,
        operations: None,
        build: |inputs| Box::pin(notify::service_from(inputs)),
    },
];

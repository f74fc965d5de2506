//! What the modules of `functions`, `local` and `pubsub` may use: of their own package, of the others of this workspace,
//! and of the packages that reach the outside.

use crate::{below, code, declared, files, packages};

/// A module, and what it may use. What a list lacks is an outward arrow.
struct OuterModule {
    /// A folder or files, from the root of the repository.
    paths: &'static [&'static str],
    /// Names below `crate`.
    own: &'static [&'static str],
    /// Names below `license_core`, besides [`COMMON`].
    core: &'static [&'static str],
    /// Names below `license_pubsub` and `license_functions`.
    others: &'static [&'static str],
    /// Those of [`OUTSIDE`].
    packages: &'static [&'static str],
}

/// Of core, every module may speak of errors, the clock and the domain.
const COMMON: [&str; 7] = ["domain", "clock", "error", "Clock", "Error", "Result", "ProblemCode"];

/// Packages with which a module reaches the network, a store, a child process or the system. The others compute.
const OUTSIDE: [&str; 14] = [
    "axum",
    "google_cloud_auth",
    "google_cloud_gax",
    "google_cloud_pubsub",
    "hyper",
    "hyper_util",
    "lexopt",
    "redis",
    "reqwest",
    "rustix",
    "sqlx",
    "tokio",
    "tower",
    "tower_http",
];

const OUTER_MODULES: [OuterModule; 23] = [
    // What every service shares knows none of them, and nothing of what people may do.
    OuterModule {
        paths: &["functions/src/edge"],
        own: &["edge"],
        core: &["identity", "mail", "protocol", "records", "seat_store", "signer"],
        others: &["TopicNames"],
        packages: &["axum", "hyper", "hyper_util", "rustix", "tokio", "tower", "tower_http"],
    },
    OuterModule {
        paths: &["functions/src/wiring.rs"],
        own: &["edge"],
        core: &["access_token", "protocol", "records", "seat_store", "signer"],
        others: &[],
        packages: &[],
    },
    // The management API changes nothing but by `management`, and never asks Redis itself.
    OuterModule {
        paths: &["functions/src/admin"],
        own: &["edge", "refusals", "services", "wiring", "admin"],
        core: &["identity", "management", "records"],
        others: &[],
        packages: &["axum"],
    },
    // It is made of what handlers say of themselves, and runs none of them.
    OuterModule {
        paths: &["functions/src/document"],
        own: &["SERVICES", "admin", "answer", "edge", "services"],
        // Their words.
        core: &["records"],
        others: &[],
        packages: &[],
    },
    OuterModule {
        paths: &["functions/src/migrate"],
        own: &["edge", "wiring"],
        core: &["access_token", "records", "seat_store"],
        others: &[],
        packages: &["tokio"],
    },
    OuterModule {
        paths: &["functions/src/acquire", "functions/src/heartbeat.rs", "functions/src/release.rs"],
        own: &["answer", "edge", "heartbeat", "wiring"],
        core: &["protocol", "records", "seat_store"],
        others: &[],
        packages: &["axum"],
    },
    OuterModule {
        paths: &["functions/src/register.rs"],
        own: &["admin", "edge", "wiring"],
        core: &["identity", "management", "records", "refusal"],
        others: &[],
        packages: &["axum"],
    },
    // The one service that publishes.
    OuterModule {
        paths: &["functions/src/reaper.rs"],
        own: &["edge", "received", "services", "wiring"],
        core: &["identity", "protocol", "records"],
        others: &["Message", "Publisher", "Topic", "cloud", "push", "rest"],
        packages: &["axum"],
    },
    // The one service that sends requests to addresses of customers. It has no seat store.
    OuterModule {
        paths: &["functions/src/notify"],
        own: &["edge", "received", "services", "wiring"],
        core: &["identity", "mail", "records", "webhooks"],
        others: &["push"],
        packages: &["axum", "tokio"],
    },
    OuterModule {
        paths: &["functions/src/received.rs"],
        own: &["edge"],
        core: &[],
        others: &["push"],
        packages: &["axum"],
    },
    OuterModule {
        paths: &["functions/src/answer.rs"],
        own: &["edge"],
        core: &["protocol", "seat_store"],
        others: &[],
        packages: &[],
    },
    OuterModule {
        paths: &["functions/src/refusals.rs"],
        own: &["edge"],
        core: &["refusal"],
        others: &[],
        packages: &[],
    },
    OuterModule {
        paths: &["functions/src/services.rs"],
        own: &["edge", "SERVICES"],
        core: &["records"],
        others: &["Publisher"],
        packages: &[],
    },
    // Messages are words; who publishes them and who takes them does not know each other.
    OuterModule {
        paths: &["pubsub/src/message.rs", "pubsub/src/publisher.rs"],
        own: &["Message", "Topic"],
        core: &[],
        others: &[],
        packages: &[],
    },
    OuterModule {
        paths: &["pubsub/src/cloud.rs", "pubsub/src/rest.rs"],
        own: &["Message", "PublishError", "PublishFuture", "Publisher", "Topic", "TopicNames"],
        core: &[],
        others: &[],
        packages: &["google_cloud_auth", "google_cloud_gax", "google_cloud_pubsub", "reqwest", "tokio"],
    },
    OuterModule {
        paths: &["pubsub/src/bus.rs"],
        own: &["Message", "PublishError", "PublishFuture", "Publisher", "Topic", "push"],
        core: &[],
        others: &[],
        packages: &["reqwest", "tokio"],
    },
    OuterModule {
        paths: &["pubsub/src/envelope.rs"],
        own: &["Message", "Topic"],
        core: &[],
        others: &[],
        packages: &[],
    },
    OuterModule { paths: &["pubsub/src/push.rs"], own: &["envelope"], core: &["identity"], others: &[], packages: &[] },
    // Child processes and their folders: they know nothing of licenses.
    OuterModule {
        paths: &["local/src/stores", "local/src/supervise.rs"],
        own: &["stores"],
        core: &[],
        others: &[],
        packages: &["redis", "rustix", "sqlx", "tokio"],
    },
    // The demo license is made as people make one. Nothing else here changes records.
    OuterModule {
        paths: &["local/src/demo.rs"],
        own: &["data", "issuer", "secrets", "stores"],
        core: &["management", "records", "refusal"],
        others: &["edge"],
        packages: &["sqlx"],
    },
    OuterModule {
        paths: &["local/src/issuer.rs", "local/src/guard.rs", "local/src/scheduler.rs", "local/src/bus.rs"],
        own: &["secrets"],
        core: &[],
        others: &["Message", "Publisher", "Topic", "TopicNames", "bus", "rest"],
        packages: &["axum", "tokio"],
    },
    OuterModule {
        paths: &["local/src/mail.rs"],
        own: &["data"],
        core: &["mail"],
        others: &["edge"],
        packages: &["axum", "tokio"],
    },
    // The services are reached by their table, and core by what starts or replaces something: no rule is here.
    OuterModule {
        paths: &[
            "local/src/data.rs",
            "local/src/endpoints.rs",
            "local/src/environment.rs",
            "local/src/options.rs",
            "local/src/rotate.rs",
            "local/src/run.rs",
            "local/src/secrets.rs",
            "local/src/serve.rs",
            "local/src/trial.rs",
        ],
        own: &[
            "bus",
            "data",
            "demo",
            "endpoints",
            "environment",
            "guard",
            "issuer",
            "mail",
            "options",
            "rotate",
            "scheduler",
            "secrets",
            "serve",
            "stores",
            "supervise",
            "trial",
        ],
        core: &["records", "signer"],
        others: &["SERVICES", "edge", "services", "Topic", "bus"],
        packages: &["axum", "lexopt", "reqwest", "rustix", "sqlx", "tokio", "tower_http"],
    },
];

/// What a file uses that its module may not. Unit tests are left out.
fn outward(module: &OuterModule, name: &str, text: &str, known: &[String]) -> Vec<String> {
    let code = code(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
    let mut wrong = Vec::new();
    let lists = [
        ("crate", module.own.to_vec()),
        ("license_core", [module.core, &COMMON[..]].concat()),
        ("license_pubsub", module.others.to_vec()),
        ("license_functions", module.others.to_vec()),
    ];
    for (root, allowed) in lists {
        let used = below(&code, root).into_iter().filter(|used| !allowed.contains(&used.as_str()));
        wrong.extend(used.map(|used| format!("{name} uses {root}::{used}")));
    }
    let outside = packages(&code, known).into_iter().filter(|package| OUTSIDE.contains(&package.as_str()));
    let outside = outside.filter(|package| !module.packages.contains(&package.as_str()));
    wrong.extend(outside.map(|package| format!("{name} uses {package}")));
    wrong
}

/// Whether a file must have a row above: production code of one of the packages, and neither their root nor a `main`.
fn needs_a_row(name: &str) -> bool {
    let is_root = ["lib.rs", "main.rs"].iter().any(|root| name.ends_with(&format!("src/{root}")));
    !is_root && !name.contains("/tests/") && !name.ends_with("/tests.rs") && !name.starts_with("functions/src/bin/")
}

fn module_of(name: &str) -> Option<&'static OuterModule> {
    let is_below = |path: &&str| name == *path || name.starts_with(&format!("{path}/"));
    OUTER_MODULES.iter().find(|module| module.paths.iter().any(is_below))
}

#[test]
fn functions_local_and_pubsub_have_no_outward_arrow() {
    let known = declared("Cargo.toml", "workspace.dependencies");
    let mut wrong = Vec::new();
    for folder in ["functions/src", "local/src", "pubsub/src"] {
        for (name, text) in files(folder, &["rs"]).into_iter().filter(|(name, _)| needs_a_row(name)) {
            match module_of(&name) {
                Some(module) => wrong.extend(outward(module, &name, &text, &known)),
                None => wrong.push(format!("{name} has no row here")),
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn an_outward_arrow_of_each_outer_module_is_seen() {
    let known = declared("Cargo.toml", "workspace.dependencies");
    let cases = [
        ("functions/src/edge/x.rs", "use crate::admin::AdminService;"),
        ("functions/src/edge/x.rs", "use license_core::management::Management;"),
        ("functions/src/wiring.rs", "use crate::acquire;"),
        ("functions/src/wiring.rs", "use license_core::{Clock, management::Management};"),
        ("functions/src/admin/x.rs", "use license_core::{\n    domain::id::TenantId,\n    seat_store::SeatStore,\n};"),
        ("functions/src/admin/x.rs", "fn f() { license_core::protocol::reap::sweep() }"),
        ("functions/src/admin/x.rs", "use crate::acquire::AcquireService;"),
        ("functions/src/document/x.rs", "use license_core::management::Management;"),
        ("functions/src/document/x.rs", "use axum::Router;"),
        ("functions/src/migrate/x.rs", "use license_core::management::Management;"),
        ("functions/src/acquire/x.rs", "use license_core::management::Management;"),
        ("functions/src/register.rs", "use license_core::protocol::SeatProtocol;"),
        ("functions/src/reaper.rs", "use license_core::management::Management;"),
        ("functions/src/notify/x.rs", "use license_core::seat_store::SeatStore;"),
        ("functions/src/received.rs", "use license_core::records::Records;"),
        ("functions/src/answer.rs", "use license_core::records::Records;"),
        ("functions/src/refusals.rs", "use license_core::records::Records;"),
        ("functions/src/services.rs", "use crate::admin;"),
        ("pubsub/src/message.rs", "use crate::bus::LocalBus;"),
        ("pubsub/src/cloud.rs", "use license_core::identity::IdentityVerifier;"),
        ("pubsub/src/bus.rs", "use license_core::identity::IdentityVerifier;"),
        ("pubsub/src/envelope.rs", "use crate::push::PushCheck;"),
        ("pubsub/src/push.rs", "use license_core::records::Records;"),
        ("local/src/stores/x.rs", "use crate::data::DataFolder;"),
        ("local/src/stores/x.rs", "use license_core::records::Records;"),
        ("local/src/demo.rs", "use license_core::seat_store::SeatStore;"),
        ("local/src/issuer.rs", "use license_core::records::Records;"),
        ("local/src/mail.rs", "use license_core::records::Records;"),
        ("local/src/run.rs", "use license_core::management::Management;"),
        ("local/src/run.rs", "use license_functions::{SERVICES, admin};"),
        ("local/src/options.rs", "use redis::Client;"),
    ];
    for (name, text) in cases {
        let module = module_of(name).unwrap_or_else(|| panic!("{name} has a row"));
        assert_eq!(outward(module, name, text, &known).len(), 1, "{name}: {text}");
    }
    for module in &OUTER_MODULES {
        let tried = cases.iter().any(|(name, _)| module_of(name).is_some_and(|found| std::ptr::eq(found, module)));
        assert!(tried, "no arrow of {:?} was ever seen", module.paths);
    }
    assert!(module_of("functions/src/billing.rs").is_none(), "a new file needs a row");
}

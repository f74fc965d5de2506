//! admin: what people of an organization, their scripts and the vendor's staff manage.
//!
//! `access.rs`: who may do what · `gate.rs`: who asks · `answer.rs`: versions, pages, refusals · `pages.rs`: the document and its
//! page · one file for each kind of thing that is managed.

pub mod access;
mod answer;
mod gate;
mod organizations;
mod pages;
mod people;

use crate::{
    edge::{
        config::{self, Env},
        rate::Limit,
        serve::{Check, Service, StartError},
    },
    rooms,
};
use axum::{Router, middleware};
use license_core::{
    Clock,
    domain::{rate::Rate, secret::KeyRing},
    identity::Verifier,
    moves::manage::Manage,
    records::{Records, Role},
};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What admin may touch: no signing key.
#[derive(Clone)]
pub struct State {
    /// As [`Role::Admin`].
    pub records: Records,
    /// Changes that Redis must hear of too.
    pub manage: Manage,
    /// Knows who signed customers in.
    pub people: Verifier,
    /// Knows who signed staff in; `None`: staff is refused.
    pub staff: Option<Verifier>,
    /// Under which license keys are hashed.
    pub peppers: Arc<KeyRing>,
    /// How many proxies of ours stand in front.
    pub proxies: u8,
    /// For each principal.
    pub limit: Limit,
}

/// Every operation with its handler; the document is made of the same list.
pub(crate) fn operations() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(organizations::read_me))
        .routes(routes!(organizations::read_organization, organizations::rename_organization))
        .routes(routes!(people::list_people))
        .routes(routes!(people::read_person, people::edit_person, people::remove_person))
}

/// The management API: everything below `/api/v1/me`, `/api/v1/organizations`, `/api/v1/plans` and `/api/v1/staff`, and its description.
pub fn router(state: State) -> Router {
    let (router, _) = operations().split_for_parts();
    let gated = router.route_layer(middleware::from_fn_with_state(state.clone(), gate::gate));
    gated.with_state(state).merge(pages::router())
}

/// The service from configuration.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Env, clock: Clock) -> Result<Service, StartError> {
    let records = rooms::records(env, Role::Admin)?;
    let seats = rooms::seats(env, config::timing(env)?, clock.clone())?;
    let state = State {
        manage: Manage::new(seats.clone(), records.clone()),
        people: Verifier::new(config::identity(env)?, clock.clone()),
        staff: config::staff(env)?.map(|settings| Verifier::new(settings, clock)),
        peppers: Arc::new(config::peppers(env)?),
        proxies: config::proxies(env)?,
        limit: Limit::new("admin", config::rate(env, "RATE_ADMIN", Rate::per_minute(60))?, seats.clone()),
        records: records.clone(),
    };
    let checks = vec![
        Check::new("seats", move || {
            let seats = seats.clone();
            async move { seats.ready().await }
        }),
        Check::new("records", move || {
            let records = records.clone();
            async move { records.ready().await }
        }),
    ];
    Ok(Service { router: router(state), checks })
}

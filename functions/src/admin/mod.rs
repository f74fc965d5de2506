//! admin: what people of an organization, their scripts and the vendor's staff manage.
//!
//! `access.rs`: who may do what · `gate.rs`: who asks · `answer.rs`: versions, pages, refusals · `document.rs`: the OpenAPI description ·
//! one file for each kind of thing that is managed.

pub mod access;
mod answer;
mod audit;
pub mod document;
mod gate;
mod invitations;
mod organizations;
mod people;
mod tokens;

use crate::{
    edge::{
        config::{self, Env},
        serve::{Check, Service, StartError},
    },
    rooms,
};
use axum::{Router, middleware};
use license_core::{
    Clock,
    domain::secret::KeyRing,
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
}

/// Every operation with its handler; the document is made of the same list.
fn operations() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(organizations::read_me))
        .routes(routes!(organizations::read_organization, organizations::rename_organization))
        .routes(routes!(people::list_people))
        .routes(routes!(people::read_person, people::edit_person, people::remove_person))
        .routes(routes!(invitations::list_invitations, invitations::invite_person))
        .routes(routes!(invitations::read_invitation, invitations::revoke_invitation))
        .routes(routes!(tokens::list_api_tokens, tokens::create_api_token))
        .routes(routes!(tokens::read_api_token, tokens::revoke_api_token))
        .routes(routes!(audit::list_audit_log))
}

/// The management API: everything below `/api/v1/me`, `/api/v1/organizations`, `/api/v1/plans` and `/api/v1/staff`.
pub fn router(state: State) -> Router {
    let (router, _) = operations().split_for_parts();
    router.route_layer(middleware::from_fn_with_state(state.clone(), gate::gate)).with_state(state)
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

//! admin: what people of an organization, their scripts and the vendor's staff manage.
//!
//! `access.rs`: who may do what · `gate.rs`: who asks, and whether they may · `check_credential.rs`: whether their
//! credential is good, and how often they may ask · `credential.rs`: whose a credential is · `callers.rs`: who asks, as
//! handlers take it · `step_up.rs`: for what a fresher sign-in may be demanded · `answer.rs`: versions, pages, refusals ·
//! `filters.rs`: the parameters of lists · `lists.rs`: a list as JSON or as CSV · `csv_lists`: the rows of many pages
//! as CSV · `pages.rs`: the document and its page · `mail.rs`: the link in mails · one file for each kind of thing that
//! is managed, and for licenses a folder.

pub mod access;
mod access_policy;
mod alert_rules;
mod alerts;
pub(crate) mod answer;
mod audit;
mod callers;
mod chain;
mod check_credential;
pub(crate) mod credential;
pub(crate) mod csv_lists;
mod deliveries;
mod denials;
mod end_sessions;
mod erasures;
mod export;
mod filters;
pub(crate) mod gate;
mod invitations;
mod labels;
mod licenses;
mod lists;
mod mail;
mod mail_wishes;
mod organizations;
mod pages;
mod people;
mod plans;
mod projects;
mod seats;
mod seats_needed;
mod sessions;
mod staff_licenses;
mod staff_organizations;
pub mod step_up;
mod tokens;
mod usage;
mod vendor_tokens;
mod voiding;
mod webhooks;

use crate::{
    edge::{
        config::{AdminConfig, Environment, StaffRules},
        credential_guesses::CredentialGuesses,
        rate::NamedLimit,
        serve::{Service, StartError, StoreCheck},
    },
    services::ServiceInputs,
    wiring,
};
use axum::{Router, middleware};
use license_core::{
    Clock,
    domain::{secret::KeyRing, webhook::EndpointRules},
    identity::IdentityVerifier,
    management::{Management, SeatManagement},
    records::{DatabaseRole, Records},
};
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The PostgreSQL role that the service connects as.
pub(crate) const ROLE: DatabaseRole = DatabaseRole::Admin;

/// What admin may touch: no signing key.
#[derive(Clone)]
pub struct AdminService {
    /// As [`DatabaseRole::Admin`].
    pub records: Records,
    /// Changes in PostgreSQL alone.
    pub management: Management,
    /// Changes that Redis must be told of too.
    pub seat_management: SeatManagement,
    /// Knows who signed customers in.
    pub people: IdentityVerifier,
    /// Knows who signed staff in; `None`: staff is refused.
    pub staff: Option<IdentityVerifier>,
    /// What is demanded of staff besides.
    pub staff_rules: Arc<StaffRules>,
    /// Under which license keys are hashed.
    pub peppers: Arc<KeyRing>,
    /// Under which the secrets of webhooks are sealed.
    pub webhook_keys: Arc<KeyRing>,
    /// Which addresses webhooks may have.
    pub webhook_rules: EndpointRules,
    /// How many proxies of ours stand in front.
    pub proxies: u8,
    /// How many days an API token is good for where nobody says when it ends.
    pub token_days: u16,
    /// For each API token.
    pub token_limit: NamedLimit,
    /// For each vendor token: a shop works for every customer.
    pub vendor_limit: NamedLimit,
    /// For each person and each member of staff: a page of the console asks several things at once.
    pub people_limit: NamedLimit,
    /// What a series of usage ends with where nobody says when.
    pub clock: Clock,
    /// Wrong credentials from each address.
    pub credential_guesses: CredentialGuesses,
}

/// Every operation with its handler; the document is made of the same list.
pub(crate) fn operations() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(organizations::read_me))
        .routes(routes!(organizations::read_organization, organizations::edit_organization))
        .routes(routes!(voiding::void_tokens))
        .routes(routes!(voiding::void_staff_tokens))
        .routes(routes!(access_policy::read_access_policy, access_policy::put_access_policy))
        .routes(routes!(people::list_people))
        .routes(routes!(people::read_person, people::edit_person, people::remove_person))
        .routes(routes!(export::export_person))
        .routes(routes!(mail_wishes::read_mail_wishes, mail_wishes::put_mail_wishes))
        .routes(routes!(sessions::list_sessions))
        .routes(routes!(sessions::list_license_sessions))
        .routes(routes!(sessions::read_session))
        .routes(routes!(seats::list_seats))
        .routes(routes!(sessions::end_session))
        .routes(routes!(end_sessions::end_sessions))
        .routes(routes!(usage::read_usage))
        .routes(routes!(denials::list_denials))
        .routes(routes!(seats_needed::read_seats_needed))
        .routes(routes!(projects::list_projects, projects::create_project))
        .routes(routes!(projects::read_project, projects::edit_project))
        .routes(routes!(licenses::list_licenses, licenses::create_license))
        .routes(routes!(licenses::overview::read_overview))
        .routes(routes!(licenses::read_license, licenses::edit_license))
        .routes(routes!(licenses::status::suspend_license))
        .routes(routes!(licenses::status::resume_license))
        .routes(routes!(licenses::status::revoke_license))
        .routes(routes!(licenses::rotate::rotate_key))
        .routes(routes!(licenses::keys::list_keys))
        .routes(routes!(plans::list_plans))
        .routes(routes!(plans::read_plan))
        .routes(routes!(plans::put_plan))
        .routes(routes!(plans::list_products))
        .routes(routes!(plans::read_product, plans::put_product))
        .routes(routes!(plans::locate_license))
        .routes(routes!(invitations::list_invitations, invitations::invite_person))
        .routes(routes!(invitations::read_invitation, invitations::revoke_invitation))
        .routes(routes!(tokens::list_api_tokens, tokens::create_api_token))
        .routes(routes!(tokens::read_api_token, tokens::revoke_api_token))
        .routes(routes!(webhooks::list_webhooks, webhooks::create_webhook))
        .routes(routes!(webhooks::read_webhook, webhooks::edit_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::rotate_secret))
        .routes(routes!(webhooks::test_webhook))
        .routes(routes!(deliveries::replay_webhook))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::read_delivery))
        .routes(routes!(deliveries::replay_delivery))
        .routes(routes!(alert_rules::list_alert_rules, alert_rules::create_alert_rule))
        .routes(routes!(alert_rules::read_alert_rule, alert_rules::edit_alert_rule, alert_rules::delete_alert_rule))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::read_alert))
        .routes(routes!(audit::list_audit_log))
        .routes(routes!(chain::verify_audit_log))
        .routes(routes!(chain::export_audit_log))
        .routes(routes!(erasures::erase))
        .routes(routes!(vendor_tokens::list_vendor_tokens, vendor_tokens::create_vendor_token))
        .routes(routes!(vendor_tokens::read_vendor_token, vendor_tokens::revoke_vendor_token))
        .routes(routes!(staff_organizations::read_staff))
        .routes(routes!(staff_organizations::find_organizations, staff_organizations::make_organization))
        .routes(routes!(staff_licenses::find_licenses))
}

/// The management API: everything below `/api/v1/me`, `/api/v1/organizations`, `/api/v1/plans` and `/api/v1/staff`, and
/// its description; and the link in mails.
pub fn router(service: AdminService) -> Router {
    let (router, _) = operations().split_for_parts();
    let gated = router.route_layer(middleware::from_fn_with_state(service.clone(), gate::gate));
    gated.with_state(service.clone()).merge(mail::router(service)).merge(pages::router())
}

/// The service from configuration, for webhooks on the internet.
///
/// # Errors
/// A sentence that names the variable that is wrong.
pub async fn service(env: &Environment, clock: Clock) -> Result<Service, StartError> {
    service_from(ServiceInputs::new(env, clock)).await
}

/// The service from its row of the table.
pub(crate) async fn service_from(inputs: ServiceInputs<'_>) -> Result<Service, StartError> {
    let ServiceInputs { env, clock, endpoints, .. } = inputs;
    let config = AdminConfig::from_env(env)?;
    let (stores, credentials, peppers) = (config.stores, config.credentials, Arc::new(config.peppers));
    let tokens = wiring::access_tokens(&stores.token_source, &clock);
    let records = wiring::records(&stores.records, ROLE, &tokens)?.sealing(peppers.clone());
    let seats = wiring::seats(&stores.redis, stores.timing, &tokens, clock.clone())?;
    let service = AdminService {
        management: Management::new(records.clone()),
        seat_management: SeatManagement::new(seats.clone(), records.clone()),
        credential_guesses: wiring::credential_guesses(&credentials, seats.clone(), clock.clone()),
        people: IdentityVerifier::new(credentials.identity, clock.clone()),
        staff: config.staff.map(|settings| IdentityVerifier::new(settings, clock.clone())),
        staff_rules: Arc::new(config.staff_rules),
        peppers,
        webhook_keys: Arc::new(config.webhook_keys),
        webhook_rules: endpoints,
        proxies: credentials.proxies,
        token_days: config.token_days,
        token_limit: NamedLimit::new("admin", config.token_limit, seats.clone()),
        vendor_limit: NamedLimit::new("vendor", config.vendor_limit, seats.clone()),
        people_limit: NamedLimit::new("people", config.people_limit, seats.clone()),
        records: records.clone(),
        clock,
    };
    let checks = vec![StoreCheck::of_seats(seats), StoreCheck::of_records(records)];
    Ok(Service { router: router(service), checks })
}

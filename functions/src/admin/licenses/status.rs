//! What the vendor decides about a license: it is suspended, resumed or revoked.

use super::term_views::License;
use crate::{
    admin::{
        AdminService,
        answer::{EmptyBody, PathTarget, versioned},
        callers::OrganizationCaller,
    },
    edge::{JsonOrEmpty, Problem, context::about},
};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::domain::{id::LicenseId, license::Status};

/// Suspend a license
///
/// From now on the license gives no seat, and every client is told at its next heartbeat. A client that keeps asking
/// keeps its session if the license is resumed before its lease ends. A license that is suspended already is answered
/// unchanged.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/licenses/{license}/suspend", tag = "Licenses",
    responses((status = 200, description = "The license, suspended", body = License, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: it is revoked")))]
pub(in crate::admin) async fn suspend_license(
    service: State<AdminService>,
    caller: OrganizationCaller,
    target: PathTarget<LicenseId>,
    _: JsonOrEmpty<EmptyBody>,
) -> Result<Response, Problem> {
    set_status(service, caller, target, Status::Suspended).await
}

/// Resume a license
///
/// A license that is active already is answered unchanged.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/licenses/{license}/resume", tag = "Licenses",
    responses((status = 200, description = "The license, active", body = License, headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "conflict: it is revoked")))]
pub(in crate::admin) async fn resume_license(
    service: State<AdminService>,
    caller: OrganizationCaller,
    target: PathTarget<LicenseId>,
    _: JsonOrEmpty<EmptyBody>,
) -> Result<Response, Problem> {
    set_status(service, caller, target, Status::Active).await
}

/// Revoke a license
///
/// Revoking is final: the license gives no seat any more, and it cannot be changed any more. A license that is revoked
/// already is answered unchanged.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/licenses/{license}/revoke", tag = "Licenses",
    responses((status = 200, description = "The license, revoked", body = License, headers(("ETag" = String, description = "Its version")))))]
pub(in crate::admin) async fn revoke_license(
    service: State<AdminService>,
    caller: OrganizationCaller,
    target: PathTarget<LicenseId>,
    _: JsonOrEmpty<EmptyBody>,
) -> Result<Response, Problem> {
    set_status(service, caller, target, Status::Revoked).await
}

async fn set_status(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    PathTarget(license): PathTarget<LicenseId>,
    status: Status,
) -> Result<Response, Problem> {
    let changed = service.seat_management.set_license_status(&caller, license, status).await?;
    about(Some(caller.tenant), Some(changed.license.number));
    Ok(versioned(StatusCode::OK, changed.license.version, License::from(changed.license)))
}

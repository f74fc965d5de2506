//! Who asks, as the handlers take it from the request: the check of the caller (`gate.rs`) put it there.

use crate::edge::Problem;
use axum::extract::FromRequestParts;
use http::request::Parts;
use license_core::{domain::step_up::SignIn, identity::VerifiedClaims, records::Caller};

/// A person who signed in, of whatever organization or none.
#[derive(Clone, Debug)]
pub(super) struct SignedIn(pub(super) VerifiedClaims);

/// A request to one organization by somebody who may make it.
#[derive(Clone, Debug)]
pub(super) struct OrganizationCaller(pub(super) Caller);

/// How whoever asks signed in; a script never did.
#[derive(Clone, Debug)]
pub(super) struct HowSignedIn(pub(super) SignIn);

/// Somebody of the vendor, where no organization is named.
#[derive(Clone, Debug)]
pub(super) struct StaffCaller(pub(super) Caller);

macro_rules! from_the_gate {
    ($($name:ident),*) => {$(
        impl<S: Send + Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                // Missing only where an operation's row and its handler disagree about what it is for.
                let passed = parts.extensions.get::<Self>().cloned();
                passed.ok_or_else(Problem::internal)
            }
        }
    )*};
}
from_the_gate!(SignedIn, OrganizationCaller, StaffCaller, HowSignedIn);

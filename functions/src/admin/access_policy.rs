//! What an organization demands of its own people's sign-ins.

use super::{
    AdminService,
    answer::{IfMatch, not_found, versioned},
    callers::{HowSignedIn, OrganizationCaller},
    licenses::terms::whole,
    step_up,
};
use crate::edge::{FieldChecks, JsonBody, Problem};
use axum::{extract::State, response::Response};
use http::StatusCode;
use license_core::{
    domain::step_up::{StepUpPolicy as Rule, parse_acr_value},
    records::{self, Principal},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An organization's access policy.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"step_up": {"max_age": 900, "acr_values": ["phr"]}}))]
pub(super) struct AccessPolicy {
    /// How people must have signed in for what hands out or takes away; null: as for everything else.
    step_up: Option<StepUp>,
}

/// How freshly and how strongly somebody must have signed in.
#[derive(Serialize, ToSchema)]
pub(super) struct StepUp {
    /// How many seconds ago at most, by the ID token's `auth_time`; null: at any time.
    max_age: Option<u32>,
    /// One of these is the ID token's `acr`; null: any will do.
    acr_values: Option<Vec<String>>,
}

impl From<&records::AccessPolicyRow> for AccessPolicy {
    fn from(it: &records::AccessPolicyRow) -> Self {
        let dress = |rule: Rule| StepUp {
            max_age: rule.max_age,
            acr_values: Some(rule.acr_values).filter(|values| !values.is_empty()),
        };
        Self { step_up: it.step_up().map(dress) }
    }
}

/// Read the access policy
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/access-policy", tag = "Organizations",
    responses((status = 200, description = "The policy", body = AccessPolicy, headers(("ETag" = String, description = "The organization's version")))))]
pub(super) async fn read_access_policy(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
) -> Result<Response, Problem> {
    let found = service.records.access_policy(caller.tenant).await?.ok_or_else(not_found)?;
    Ok(versioned(StatusCode::OK, found.version, AccessPolicy::from(&found)))
}

/// The policy as it shall be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"step_up": {"max_age": 900, "acr_values": ["phr"]}}))]
pub(super) struct PutAccessPolicy {
    /// How people must have signed in for what hands out or takes away. Without it: as for everything else.
    step_up: Option<PutStepUp>,
}

/// How freshly and how strongly somebody must have signed in: at least one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutStepUp {
    /// How many seconds ago at most.
    #[schema(value_type = Option<u32>, minimum = 60, maximum = 2_592_000)]
    max_age: Option<Value>,
    /// One of these must be the ID token's `acr`: 1 to 10 words of the identity provider's.
    #[schema(min_items = 1, max_items = 10)]
    acr_values: Option<Vec<String>>,
}

/// Replace the access policy
///
/// The policy applies from the next request on, to every person of the organization. The person who sets it must have
/// signed in as it demands, so that nobody locks themselves out with a word that their identity provider never uses.
/// The vendor's staff need not have signed in so, and can remove the policy again. API tokens are not asked to sign
/// in.
#[utoipa::path(put, path = "/api/v1/organizations/{organization}/access-policy", tag = "Organizations", request_body = PutAccessPolicy,
    params(("If-Match" = Option<String>, Header, description = "The ETag you read: refuses the edit if somebody changed the organization since")),
    responses((status = 200, description = "The policy as it is now", body = AccessPolicy, headers(("ETag" = String, description = "The organization's version"))),
              (status = 412, description = "precondition_failed")))]
pub(super) async fn put_access_policy(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    HowSignedIn(sign_in): HowSignedIn,
    IfMatch(version): IfMatch,
    JsonBody(body): JsonBody<PutAccessPolicy>,
) -> Result<Response, Problem> {
    let mut fields = FieldChecks::new();
    let step_up = body.step_up.as_ref().map(|wish| {
        let (least, most) = Rule::MAX_AGE_RANGE;
        let max_age = fields.optional("step_up.max_age", wish.max_age.as_ref(), whole(least, most));
        let acr_values = fields.optional("step_up.acr_values", wish.acr_values.as_deref(), acr_values);
        if wish.max_age.is_none() && wish.acr_values.is_none() {
            fields.wrong("step_up", "must have max_age, acr_values or both; leave it out to demand nothing");
        }
        Rule { max_age, acr_values: acr_values.unwrap_or_default() }
    });
    fields.check(Some(()))?;
    if let (Principal::Person { .. }, Some(rule)) = (&caller.principal, &step_up) {
        step_up::demand(rule, &sign_in)?;
    }
    let set = service.management.set_access_policy(&caller, step_up.as_ref(), version).await?;
    Ok(versioned(StatusCode::OK, set.version, AccessPolicy::from(&set)))
}

fn acr_values(words: &[String]) -> Result<Vec<String>, String> {
    if !(1..=Rule::MAX_ACR_VALUES).contains(&words.len()) {
        return Err(format!("must be 1 to {} words; leave it out if any will do", Rule::MAX_ACR_VALUES));
    }
    let mut values = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let value = parse_acr_value(word).map_err(|problem| format!("the word at place {at} {problem}"))?;
        if values.contains(&value) {
            return Err("names a word twice".into());
        }
        values.push(value);
    }
    Ok(values)
}

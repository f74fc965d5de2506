//! Which operations a fresher or stronger sign-in may be demanded for, and how that is said (RFC 9470).

use super::{
    AdminService,
    access::{AccessRule, LeastRole},
};
use crate::edge::Problem;
use http::header::WWW_AUTHENTICATE;
use license_core::{
    ProblemCode,
    domain::{
        access::PersonRole::Admin,
        id::TenantId,
        step_up::{SignIn, StepUpPolicy},
    },
    records::Principal,
};

/// Changes by admins that hand out nothing, take nothing away and can be undone; what is sent to a webhook again was for
/// its receiver before.
const ORDINARY: [(&str, &str); 6] = [
    ("PATCH", "/api/v1/organizations/{organization}"),
    ("PATCH", "/api/v1/organizations/{organization}/projects/{project}"),
    ("PATCH", "/api/v1/organizations/{organization}/licenses/{license}"),
    ("POST", "/api/v1/organizations/{organization}/webhooks/{webhook}/test"),
    ("POST", "/api/v1/organizations/{organization}/webhooks/{webhook}/replay"),
    ("POST", "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries/{event}/replay"),
];

/// Whether an organization may demand a step-up of its people for this operation.
///
/// It may for everything that takes something away or changes what gives access, which are keys, tokens, invitations,
/// roles and the policy itself.
/// Handing out belongs to it, since a new token or a new admin could do the rest. What is added later belongs to it
/// unless it is named as ordinary.
pub fn is_guarded(rule: &AccessRule) -> bool {
    let changes = rule.method != "GET";
    let of_admins =
        matches!(rule.least, LeastRole::Staff) || matches!(rule.least, LeastRole::Role(role) if role >= Admin);
    changes && (of_admins || rule.method == "DELETE") && !ORDINARY.contains(&(rule.method, rule.path))
}

/// Lets a request to an organization through, or demands a sign-in as its policy says, and of staff as the deployment
/// says. API tokens and vendor tokens cannot sign in; what they can do was decided when they were made, which is guarded.
pub(super) async fn check(
    service: &AdminService,
    rule: &AccessRule,
    by: &Principal,
    sign_in: &SignIn,
    tenant: TenantId,
) -> Result<(), Problem> {
    match by {
        Principal::Staff { .. } => check_staff(service, rule, sign_in),
        Principal::Person { .. } if is_guarded(rule) => {
            let policy = service.records.access_policy(tenant).await?;
            policy.and_then(|policy| policy.step_up()).map_or(Ok(()), |rule| demand(&rule, sign_in))
        }
        Principal::Person { .. } | Principal::Token { .. } | Principal::VendorToken { .. } => Ok(()),
    }
}

/// The same for staff, for every change and wherever it is made.
pub(super) fn check_staff(service: &AdminService, rule: &AccessRule, sign_in: &SignIn) -> Result<(), Problem> {
    if rule.method == "GET" { Ok(()) } else { demand(&service.staff_rules.step_up, sign_in) }
}

/// 401 with a challenge, unless the sign-in is as demanded.
pub(super) fn demand(rule: &StepUpPolicy, sign_in: &SignIn) -> Result<(), Problem> {
    if rule.is_met_by(sign_in) {
        return Ok(());
    }
    let mut challenge = "Bearer error=\"insufficient_user_authentication\", \
                         error_description=\"A fresher or stronger sign-in is needed\""
        .to_owned();
    let mut problem = Problem::new(
        ProblemCode::InsufficientUserAuthentication,
        "You are signed in, but not freshly or not strongly enough for this. \
         Sign in again as acr_values and max_age ask for, and send the request again with the new ID token.",
    );
    if !rule.acr_values.is_empty() {
        challenge += &format!(", acr_values=\"{}\"", rule.acr_values.join(" "));
        problem = problem.with("acr_values", rule.acr_values.clone());
    }
    if let Some(max_age) = rule.max_age {
        challenge += &format!(", max_age=\"{max_age}\"");
        problem = problem.with("max_age", max_age);
    }
    Err(problem.header(WWW_AUTHENTICATE, challenge))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::access::TABLE;

    #[test]
    fn whatever_hands_out_or_takes_away_is_guarded_and_no_reading_is() {
        for rule in TABLE {
            let says = |word: &str| rule.path.ends_with(word);
            let must = rule.method == "DELETE"
                || (rule.method == "POST"
                    && ["api-tokens", "invitations", "webhooks", "revoke", "rotate-key", "rotate-secret"]
                        .into_iter()
                        .any(says))
                || (rule.method != "GET" && (says("access-policy") || says("{person}")));
            assert!(!must || is_guarded(rule), "{} {}", rule.method, rule.path);
            assert!(rule.method != "GET" || !is_guarded(rule), "{} {}", rule.method, rule.path);
        }
        for (method, path) in ORDINARY {
            assert!(
                TABLE.iter().any(|rule| (rule.method, rule.path) == (method, path)),
                "{method} {path} is an operation"
            );
        }
    }
}

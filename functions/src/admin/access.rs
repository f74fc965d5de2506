//! Who may do what: one row for each operation of the management API.
//!
//! Nothing is served that has no row here; `tests/tests/management/access.rs` tries every operation of the OpenAPI
//! document as every kind of caller and holds the outcome against this table.

use license_core::domain::access::{
    PersonRole::{self, Admin, Member, Owner, Viewer},
    Scope::{self, *},
    VendorScope,
};

/// The least a caller must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeastRole {
    /// A person who signed in with a verified address, as themselves: staff has no organizations of its own.
    Person,
    /// Anybody who signed in with a verified address, and staff.
    SignedIn,
    /// One of the organization's people with this role or a higher one, and staff.
    Role(PersonRole),
    /// The vendor's staff alone.
    Staff,
}

impl LeastRole {
    /// The word in `required` of a refusal and in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::SignedIn => "signed in",
            Self::Role(role) => role.as_str(),
            Self::Staff => "staff",
        }
    }
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug)]
pub struct AccessRule {
    /// In capitals.
    pub method: &'static str,
    /// As the router spells it.
    pub path: &'static str,
    /// The least role of a person.
    pub least: LeastRole,
    /// The scope that lets an API token do it; `None`: no token may.
    pub scope: Option<Scope>,
    /// The scope that lets a vendor token do it, in any organization; `None`: no vendor token may.
    pub vendor: Option<VendorScope>,
}

const fn rule(method: &'static str, path: &'static str, least: LeastRole, scope: Option<Scope>) -> AccessRule {
    AccessRule { method, path, least, scope, vendor: None }
}

impl AccessRule {
    /// The same, and a vendor token with this scope may do it too.
    const fn vendor(self, scope: VendorScope) -> Self {
        Self { vendor: Some(scope), ..self }
    }
}

const PERSON: LeastRole = LeastRole::Person;
const ANY: LeastRole = LeastRole::SignedIn;
const VIEWER: LeastRole = LeastRole::Role(Viewer);
const MEMBER: LeastRole = LeastRole::Role(Member);
const ADMIN: LeastRole = LeastRole::Role(Admin);
const OWNER: LeastRole = LeastRole::Role(Owner);
const STAFF: LeastRole = LeastRole::Staff;

/// The table.
#[rustfmt::skip]
pub const TABLE: &[AccessRule] = &[
    rule("GET",    "/api/v1/me", PERSON, None),
    rule("GET",    "/api/v1/organizations/{organization}", VIEWER, Some(OrganizationRead)).vendor(VendorScope::OrganizationsRead),
    rule("PATCH",  "/api/v1/organizations/{organization}", ADMIN, None).vendor(VendorScope::OrganizationsWrite),
    // An API token signs nobody out.
    rule("POST",   "/api/v1/organizations/{organization}/void-tokens", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/access-policy", VIEWER, None),
    rule("PUT",    "/api/v1/organizations/{organization}/access-policy", OWNER, None),
    rule("GET",    "/api/v1/organizations/{organization}/people", VIEWER, Some(PeopleRead)),
    rule("GET",    "/api/v1/organizations/{organization}/people/{person}", VIEWER, Some(PeopleRead)),
    rule("PATCH",  "/api/v1/organizations/{organization}/people/{person}", ADMIN, None),
    // Everybody may leave; `core/src/management/people.rs` says whom else a caller may remove.
    rule("DELETE", "/api/v1/organizations/{organization}/people/{person}", VIEWER, None),
    // Everybody may export themselves, and admins everybody (`functions/src/admin/export.rs`).
    rule("GET",    "/api/v1/organizations/{organization}/people/{person}/export", VIEWER, None),
    // Admins read why somebody gets no mail; only the person changes it (`core/src/management/people.rs`).
    rule("GET",    "/api/v1/organizations/{organization}/people/{person}/mail", VIEWER, None),
    rule("PUT",    "/api/v1/organizations/{organization}/people/{person}/mail", VIEWER, None),
    // Members and viewers see and end their own sessions alone (core/src/records/sessions.rs).
    rule("GET",    "/api/v1/organizations/{organization}/sessions", VIEWER, Some(SessionsRead)),
    rule("GET",    "/api/v1/organizations/{organization}/licenses/{license}/sessions", VIEWER, Some(SessionsRead)),
    rule("GET",    "/api/v1/organizations/{organization}/licenses/{license}/seats", VIEWER, Some(SessionsRead)),
    rule("GET",    "/api/v1/organizations/{organization}/sessions/{session}", VIEWER, Some(SessionsRead)),
    rule("POST",   "/api/v1/organizations/{organization}/sessions/{session}/end", MEMBER, Some(SessionsWrite)),
    rule("POST",   "/api/v1/organizations/{organization}/sessions/end", ADMIN, Some(SessionsWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/usage", ADMIN, Some(UsageRead)),
    rule("GET",    "/api/v1/organizations/{organization}/denials", ADMIN, Some(UsageRead)),
    rule("GET",    "/api/v1/organizations/{organization}/seats-needed", ADMIN, Some(UsageRead)),
    rule("GET",    "/api/v1/organizations/{organization}/projects", VIEWER, Some(ProjectsRead)),
    rule("POST",   "/api/v1/organizations/{organization}/projects", MEMBER, Some(ProjectsWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/projects/{project}", VIEWER, Some(ProjectsRead)),
    rule("PATCH",  "/api/v1/organizations/{organization}/projects/{project}", ADMIN, Some(ProjectsWrite)),
    // What was sold is the vendor's to change; the keys are the organization's own, and so are name and note.
    rule("GET",    "/api/v1/organizations/{organization}/licenses", VIEWER, Some(LicensesRead)).vendor(VendorScope::LicensesRead),
    rule("GET",    "/api/v1/organizations/{organization}/overview", VIEWER, Some(LicensesRead)),
    rule("POST",   "/api/v1/organizations/{organization}/licenses", STAFF, None).vendor(VendorScope::LicensesWrite),
    rule("GET",    "/api/v1/organizations/{organization}/licenses/{license}", VIEWER, Some(LicensesRead)).vendor(VendorScope::LicensesRead),
    rule("PATCH",  "/api/v1/organizations/{organization}/licenses/{license}", ADMIN, None).vendor(VendorScope::LicensesWrite),
    rule("POST",   "/api/v1/organizations/{organization}/licenses/{license}/suspend", STAFF, None).vendor(VendorScope::LicensesWrite),
    rule("POST",   "/api/v1/organizations/{organization}/licenses/{license}/resume", STAFF, None).vendor(VendorScope::LicensesWrite),
    rule("POST",   "/api/v1/organizations/{organization}/licenses/{license}/revoke", STAFF, None).vendor(VendorScope::LicensesWrite),
    rule("POST",   "/api/v1/organizations/{organization}/licenses/{license}/rotate-key", ADMIN, Some(LicensesWrite)),
    // When a key was last replaced is for those who replace it; no answer has the key.
    rule("GET",    "/api/v1/organizations/{organization}/licenses/{license}/keys", ADMIN, Some(LicensesRead)),
    rule("GET",    "/api/v1/plans", ANY, Some(LicensesRead)).vendor(VendorScope::PlansRead),
    rule("GET",    "/api/v1/plans/{plan}", ANY, Some(LicensesRead)).vendor(VendorScope::PlansRead),
    rule("PUT",    "/api/v1/staff/plans/{plan}", STAFF, None).vendor(VendorScope::PlansWrite),
    rule("POST",   "/api/v1/staff/void-tokens", STAFF, None),
    rule("GET",    "/api/v1/staff/products", STAFF, None).vendor(VendorScope::PlansRead),
    rule("GET",    "/api/v1/staff/products/{product}", STAFF, None).vendor(VendorScope::PlansRead),
    rule("PUT",    "/api/v1/staff/products/{product}", STAFF, None).vendor(VendorScope::PlansWrite),
    rule("GET",    "/api/v1/staff/licenses/{number}", STAFF, None).vendor(VendorScope::LicensesRead),
    rule("GET",    "/api/v1/organizations/{organization}/invitations", ADMIN, None),
    rule("POST",   "/api/v1/organizations/{organization}/invitations", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/invitations/{invitation}", ADMIN, None),
    rule("DELETE", "/api/v1/organizations/{organization}/invitations/{invitation}", ADMIN, None),
    // Not with an API token: one that leaked could make itself others.
    rule("GET",    "/api/v1/organizations/{organization}/api-tokens", ADMIN, None),
    rule("POST",   "/api/v1/organizations/{organization}/api-tokens", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/api-tokens/{api_token}", ADMIN, None),
    rule("DELETE", "/api/v1/organizations/{organization}/api-tokens/{api_token}", ADMIN, None),
    // What is sent to a webhook tells who works when, so it is an admin's.
    rule("GET",    "/api/v1/organizations/{organization}/webhooks", ADMIN, Some(WebhooksRead)),
    rule("POST",   "/api/v1/organizations/{organization}/webhooks", ADMIN, Some(WebhooksWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/webhooks/{webhook}", ADMIN, Some(WebhooksRead)),
    rule("PATCH",  "/api/v1/organizations/{organization}/webhooks/{webhook}", ADMIN, Some(WebhooksWrite)),
    rule("DELETE", "/api/v1/organizations/{organization}/webhooks/{webhook}", ADMIN, Some(WebhooksWrite)),
    rule("POST",   "/api/v1/organizations/{organization}/webhooks/{webhook}/rotate-secret", ADMIN, Some(WebhooksWrite)),
    rule("POST",   "/api/v1/organizations/{organization}/webhooks/{webhook}/test", ADMIN, Some(WebhooksWrite)),
    rule("POST",   "/api/v1/organizations/{organization}/webhooks/{webhook}/replay", ADMIN, Some(WebhooksWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries", ADMIN, Some(WebhooksRead)),
    rule("GET",    "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries/{event}", ADMIN, Some(WebhooksRead)),
    rule("POST",   "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries/{event}/replay", ADMIN, Some(WebhooksWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/alert-rules", ADMIN, Some(AlertsRead)),
    rule("POST",   "/api/v1/organizations/{organization}/alert-rules", ADMIN, Some(AlertsWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/alert-rules/{alert_rule}", ADMIN, Some(AlertsRead)),
    rule("PATCH",  "/api/v1/organizations/{organization}/alert-rules/{alert_rule}", ADMIN, Some(AlertsWrite)),
    rule("DELETE", "/api/v1/organizations/{organization}/alert-rules/{alert_rule}", ADMIN, Some(AlertsWrite)),
    rule("GET",    "/api/v1/organizations/{organization}/alerts", ADMIN, Some(AlertsRead)),
    rule("GET",    "/api/v1/organizations/{organization}/alerts/{alert}", ADMIN, Some(AlertsRead)),
    rule("GET",    "/api/v1/organizations/{organization}/audit-log", ADMIN, Some(AuditRead)),
    rule("GET",    "/api/v1/organizations/{organization}/audit-log/verify", ADMIN, Some(AuditRead)),
    rule("GET",    "/api/v1/organizations/{organization}/audit-log/export", ADMIN, Some(AuditRead)),
    // A vendor token that leaked makes no others, and finds no people.
    rule("GET",    "/api/v1/staff/api-tokens", STAFF, None),
    rule("POST",   "/api/v1/staff/api-tokens", STAFF, None),
    rule("GET",    "/api/v1/staff/api-tokens/{api_token}", STAFF, None),
    rule("DELETE", "/api/v1/staff/api-tokens/{api_token}", STAFF, None),
    rule("GET",    "/api/v1/staff/me", STAFF, None),
    rule("GET",    "/api/v1/staff/organizations", STAFF, None).vendor(VendorScope::OrganizationsRead),
    rule("POST",   "/api/v1/staff/organizations", STAFF, None).vendor(VendorScope::OrganizationsWrite),
    rule("GET",    "/api/v1/staff/licenses", STAFF, None).vendor(VendorScope::LicensesRead),
    // Whoever has a claim to be forgotten has it against the vendor, who looks whether it is one.
    rule("POST",   "/api/v1/organizations/{organization}/erasures", STAFF, None),
];

/// The row of an operation. HEAD is GET without the body of its answer (RFC 9110, section 9.3.2), and whoever may do
/// the one may do the other.
pub fn rule_of(method: &str, path: &str) -> Option<&'static AccessRule> {
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|rule| rule.method == method && rule.path == path)
}

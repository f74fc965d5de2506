//! Who may do what: one row for each operation of the management API. Nothing is served that has no row here; `tests/tests/access` tries
//! every operation of the OpenAPI document as every kind of caller and holds the outcome against this table.

use license_core::domain::access::{
    PersonRole::{self, Admin, Member, Viewer},
    Scope::{self, *},
};

/// The least a caller must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Anybody who signed in with a verified address, and staff.
    SignedIn,
    /// One of the organization's people with this role or a higher one, and staff.
    Role(PersonRole),
    /// The vendor's staff alone.
    Staff,
}

impl Least {
    /// The word in `required` of a refusal and in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed in",
            Self::Role(role) => role.as_str(),
            Self::Staff => "staff",
        }
    }
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// In capitals.
    pub method: &'static str,
    /// As the router spells it.
    pub path: &'static str,
    /// The least role of a person.
    pub least: Least,
    /// The scope that lets an API token do it; `None`: no token may.
    pub scope: Option<Scope>,
}

const fn rule(method: &'static str, path: &'static str, least: Least, scope: Option<Scope>) -> Rule {
    Rule { method, path, least, scope }
}

const ANY: Least = Least::SignedIn;
const VIEWER: Least = Least::Role(Viewer);
const MEMBER: Least = Least::Role(Member);
const ADMIN: Least = Least::Role(Admin);
const STAFF: Least = Least::Staff;

/// The table.
#[rustfmt::skip]
pub const TABLE: &[Rule] = &[
    rule("GET",    "/api/v1/me", ANY, None),
    rule("GET",    "/api/v1/organizations/{organization}", VIEWER, Some(OrganizationRead)),
    rule("PATCH",  "/api/v1/organizations/{organization}", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/people", VIEWER, Some(PeopleRead)),
    rule("GET",    "/api/v1/organizations/{organization}/people/{person}", VIEWER, Some(PeopleRead)),
    rule("PATCH",  "/api/v1/organizations/{organization}/people/{person}", ADMIN, None),
    // Everybody may leave; whom else one may remove is the records' business (core/src/records/people.rs).
    rule("DELETE", "/api/v1/organizations/{organization}/people/{person}", VIEWER, None),
    rule("GET",    "/api/v1/organizations/{organization}/invitations", ADMIN, None),
    rule("POST",   "/api/v1/organizations/{organization}/invitations", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/invitations/{invitation}", ADMIN, None),
    rule("DELETE", "/api/v1/organizations/{organization}/invitations/{invitation}", ADMIN, None),
    // Not with an API token: one that leaked could make itself others.
    rule("GET",    "/api/v1/organizations/{organization}/api-tokens", ADMIN, None),
    rule("POST",   "/api/v1/organizations/{organization}/api-tokens", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/api-tokens/{api_token}", ADMIN, None),
    rule("DELETE", "/api/v1/organizations/{organization}/api-tokens/{api_token}", ADMIN, None),
    rule("GET",    "/api/v1/organizations/{organization}/audit-log", ADMIN, Some(AuditRead)),
];

/// The row of an operation.
pub fn rule_of(method: &str, path: &str) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.method == method && rule.path == path)
}

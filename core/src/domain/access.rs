//! Permissions: the roles of people in an organization, and the scopes of API tokens and of vendor tokens.

use super::id::InvalidText;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Defines an enum whose variants are written as fixed texts on the wire and in PostgreSQL. Parsing another text fails
/// with the given sentence, which lists the possible texts.
macro_rules! text_enum {
    (
        $(#[$doc:meta])* $name:ident = $expectation:literal;
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All variants, the least powerful first where they have an order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The text on the wire and in PostgreSQL.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl FromStr for $name {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(InvalidText($expectation))
            }
        }
    };
}

pub(super) use text_enum;

text_enum! {
    /// The role of a person in an organization. Each role may do everything that the roles before it may do.
    PersonRole = "must be owner, admin, member or viewer";
    /// Reads the organization, its people and licenses, and the person's own sessions.
    Viewer = "viewer",
    /// Also ends the person's own sessions and creates projects. Most people have this role.
    Member = "member",
    /// Also reads and ends the sessions of all people, manages people, license keys and API tokens, and reads the audit
    /// log.
    Admin = "admin",
    /// Also makes other people owners. An organization always has an owner.
    Owner = "owner",
}

impl PersonRole {
    /// True if a person with this role may give `role` to a person, or give another role to a person who has `role`.
    /// Only owners make other people owners.
    pub fn may_grant(self, role: Self) -> bool {
        self >= Self::Admin && self >= role
    }
}

text_enum! {
    /// A permission of an API token. A token acts for the organization, so it has no role.
    Scope = "must be one of organization:read, people:read, licenses:read, licenses:write, sessions:read, \
             sessions:write, projects:read, projects:write, usage:read, webhooks:read, webhooks:write, alerts:read, \
             alerts:write, audit:read";
    /// Reads the data of the organization itself.
    OrganizationRead = "organization:read",
    /// Reads the people of the organization.
    PeopleRead = "people:read",
    /// Reads licenses and plans.
    LicensesRead = "licenses:read",
    /// Makes new keys for licenses.
    LicensesWrite = "licenses:write",
    /// Reads live and past sessions of all people.
    SessionsRead = "sessions:read",
    /// Ends sessions of all people.
    SessionsWrite = "sessions:write",
    /// Reads projects.
    ProjectsRead = "projects:read",
    /// Creates, renames and archives projects.
    ProjectsWrite = "projects:write",
    /// Reads how seats were used.
    UsageRead = "usage:read",
    /// Reads webhooks and what became of the events sent to them.
    WebhooksRead = "webhooks:read",
    /// Makes, changes and deletes webhooks, and has events sent again.
    WebhooksWrite = "webhooks:write",
    /// Reads alert rules and what they raised.
    AlertsRead = "alerts:read",
    /// Makes, changes and deletes alert rules.
    AlertsWrite = "alerts:write",
    /// Reads the audit log.
    AuditRead = "audit:read",
}

text_enum! {
    /// A permission of a vendor token. Such a token acts for the vendor, in every organization.
    VendorScope = "must be one of organizations:read, organizations:write, licenses:read, licenses:write, plans:read, \
             plans:write";
    /// Finds and reads organizations.
    OrganizationsRead = "organizations:read",
    /// Makes organizations, each with an invitation for its first owner, and changes their names and metadata.
    OrganizationsWrite = "organizations:write",
    /// Finds and reads licenses.
    LicensesRead = "licenses:read",
    /// Sells licenses, changes their terms and metadata, suspends, resumes and revokes them.
    LicensesWrite = "licenses:write",
    /// Reads plans and products.
    PlansRead = "plans:read",
    /// Makes and replaces plans and products.
    PlansWrite = "plans:write",
}

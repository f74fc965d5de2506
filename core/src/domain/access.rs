//! Who may do what: the roles of people in an organization, and the scopes of API tokens.

use super::id::InvalidText;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A few words that mean something: an enum that reads and writes them, and says which there are where it is given
/// another.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident = $expectation:literal; $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every one there is, the least first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word on the wire and in the records.
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
    /// What a person is in an organization. Each may do what those before it may.
    PersonRole = "must be owner, admin, member or viewer";
    /// Sees the organization, its people and licenses, and sessions of their own.
    Viewer = "viewer",
    /// Also ends sessions of their own and makes projects. The role of most.
    Member = "member",
    /// Also sees and ends everybody's sessions, manages people, keys and tokens, and reads the audit log.
    Admin = "admin",
    /// Also makes other owners. There is always one.
    Owner = "owner",
}

impl PersonRole {
    /// True if who is this may make a person `role`, or make who is `role` something else: only owners make owners.
    pub fn may_grant(self, role: Self) -> bool {
        self >= Self::Admin && self >= role
    }
}

text_enum! {
    /// What an API token is good for. A token acts for the organization, so it has no role.
    Scope = "must be one of organization:read, people:read, licenses:read, licenses:write, sessions:read, \
             sessions:write, projects:read, projects:write, audit:read";
    /// The organization's own data.
    OrganizationRead = "organization:read",
    /// Who belongs to it.
    PeopleRead = "people:read",
    /// Licenses and plans.
    LicensesRead = "licenses:read",
    /// New keys for licenses.
    LicensesWrite = "licenses:write",
    /// Live and past sessions of everybody.
    SessionsRead = "sessions:read",
    /// Ending sessions of anybody.
    SessionsWrite = "sessions:write",
    /// Projects.
    ProjectsRead = "projects:read",
    /// Making, naming and archiving projects.
    ProjectsWrite = "projects:write",
    /// The audit log.
    AuditRead = "audit:read",
}

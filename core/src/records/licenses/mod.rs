//! Licenses: found by their key, listed, changed, and their keys.

mod change;
mod find;
mod keys;
mod list;
mod overview;

pub(crate) use change::LicenseInsert;
pub use change::PoolChange;
pub(super) use change::changed_pools;
pub use find::KeyMatch;
pub(crate) use keys::EndedSessions;
pub use keys::LicenseKeyRow;
pub(super) use list::licensed;
pub use list::{LicenseFilter, LicenseRow, PoolOf};
pub use overview::{LicenseInShort, PoolInShort};

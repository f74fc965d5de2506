//! How the entries of an audit log are chained, sealed and checked (`migrations/0321_audit_append.sql` appends them;
//! docs/API.md has a second checker, for exports). Pure: what the database says comes in, and nothing it says is
//! believed.

use crate::domain::{
    id::TenantId,
    secret::{self, KeyRing},
};
use serde::Deserialize;
use std::collections::HashSet;
use uuid::Uuid;

/// The hash before the first entry.
const NOTHING: [u8; 32] = [0; 32];
/// How many faults are described; further ones are only counted.
const TOLD: usize = 20;

/// An entry as the chain has it. What a column must have and does not, because somebody took its constraints away, is
/// empty here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainLink {
    /// The place in the chain, from 1 on.
    pub seq: i64,
    /// Names the entry, and tells its time in its first 48 bits.
    pub id: Uuid,
    /// The time that is shown, in milliseconds since 1970.
    pub at_ms: i64,
    /// `person`, `token` or `staff`.
    pub actor_kind: String,
    /// The id of who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// Everything that may be erased some day, as JSON text, byte for byte as it was hashed.
    pub details: String,
    /// In front of the details when they are hashed; `None` once something in them was erased.
    pub salt: Option<Vec<u8>>,
    /// The hash of salt and details.
    pub details_hash: Vec<u8>,
    /// The hash of everything else, `details_hash`, and the hash of the entry before.
    pub hash: Vec<u8>,
    /// What the service says of the hash with a key that the database does not have.
    pub seal: Option<String>,
    /// The erasure that blanked something in the details, if one did.
    pub erased_by: Option<Uuid>,
    /// The hash of the details since then.
    pub erased_hash: Option<Vec<u8>>,
    /// What the service says of that hash.
    pub erased_seal: Option<String>,
}

/// The newest entry of a chain, or the one that somebody remembers. Who keeps it can tell later whether everything up
/// to it is as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Its place; 0: there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// What is wrong at one place of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFault {
    /// The kind.
    pub kind: FaultKind,
    /// Where; for entries that are missing the first of them.
    pub seq: Option<i64>,
    /// The entry found there, if there is one.
    pub entry: Option<Uuid>,
    /// A sentence for people.
    pub detail: String,
}

/// What can be wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The entry is not what was written at this place.
    Changed,
    /// Entries were taken out.
    Missing,
    /// An entry was put in.
    Added,
    /// The chain does not end where its head says.
    Cut,
    /// The hash was not sealed by the service.
    Unsealed,
    /// Something was blanked, and no erasure did it.
    Blanked,
    /// The chain is another one than the head that was kept is of.
    Rewritten,
}

impl FaultKind {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Cut => "cut",
            Self::Unsealed => "unsealed",
            Self::Blanked => "blanked",
            Self::Rewritten => "rewritten",
        }
    }
}

/// Texts one after the other, each with its length in front (netstrings): no two lists are written alike.
fn text<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    parts.into_iter().flat_map(|part| format!("{}:{part},", part.len()).into_bytes()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ChainLink {
    fn hash_after(&self, previous: &[u8], tenant: TenantId) -> [u8; 32] {
        let (previous, seq, tenant, id) =
            (hex(previous), self.seq.to_string(), tenant.to_string(), self.id.to_string());
        let (actor, details) = (&*self.actor, hex(&self.details_hash));
        let parts = [
            "audit-entry-v1",
            &previous,
            &seq,
            &tenant,
            &id,
            &self.actor_kind,
            actor,
            &self.action,
            &self.target,
            &details,
        ];
        secret::sha256(&[&text(parts)])
    }

    fn details_hash_now(&self) -> [u8; 32] {
        secret::sha256(&[self.salt.as_deref().unwrap_or_default(), self.details.as_bytes()])
    }
}

/// What the service says of an entry's hash.
pub(super) fn seal(peppers: &KeyRing, tenant: TenantId, seq: i64, hash: &[u8]) -> String {
    let key = &peppers.current;
    format!("{}.{}", key.version, secret::base64url(&key.sign(&sealed(tenant, seq, hash))))
}

/// What the service says of what an erasure left of an entry.
pub(super) fn seal_erased(peppers: &KeyRing, tenant: TenantId, seq: i64, erasure: Uuid, hash: &[u8]) -> String {
    let key = &peppers.current;
    format!("{}.{}", key.version, secret::base64url(&key.sign(&sealed_erased(tenant, seq, erasure, hash))))
}

fn sealed(tenant: TenantId, seq: i64, hash: &[u8]) -> Vec<u8> {
    text(["audit-seal-v1", &tenant.to_string(), &seq.to_string(), &hex(hash)])
}

fn sealed_erased(tenant: TenantId, seq: i64, erasure: Uuid, hash: &[u8]) -> Vec<u8> {
    sealed_erased_of(tenant, seq, erasure, &hex(hash))
}

fn sealed_erased_of(tenant: TenantId, seq: i64, erasure: Uuid, hash: &str) -> Vec<u8> {
    text(["audit-erased-v1", &tenant.to_string(), &seq.to_string(), &erasure.to_string(), hash])
}

/// What an earlier erasure had left of an entry that is blanked again.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct EarlierErasure {
    /// The entry's place.
    pub(super) seq: i64,
    erased_by: Uuid,
    /// In hexadecimal digits.
    erased_hash: Option<String>,
    erased_seal: Option<String>,
}

/// What the service says of an entry that an earlier erasure had blanked: where that had a good seal, `seal`; where
/// nobody can tell, what it had; where it had none, nothing, since whoever owns the database can make all the rest of
/// it.
pub(super) fn seal_erased_again(
    peppers: &KeyRing,
    tenant: TenantId,
    was: &EarlierErasure,
    seal: String,
) -> Option<String> {
    let of = sealed_erased_of(tenant, was.seq, was.erased_by, was.erased_hash.as_deref().unwrap_or_default());
    match worth(peppers, was.erased_seal.as_deref(), &of) {
        SealStrength::Good => Some(seal),
        SealStrength::Unknown => was.erased_seal.clone(),
        SealStrength::Bad => None,
    }
}

/// What a seal is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SealStrength {
    Good,
    /// Made with a pepper that is not accepted any more: nobody can tell.
    Unknown,
    Bad,
}

fn worth(peppers: &KeyRing, seal: Option<&str>, of: &[u8]) -> SealStrength {
    let Some((version, mac)) = seal.and_then(|seal| seal.split_once('.')) else { return SealStrength::Bad };
    let (Ok(version), Some(mac)) = (version.parse(), secret::from_base64url(mac)) else { return SealStrength::Bad };
    match peppers.get(version) {
        None => SealStrength::Unknown,
        Some(key) if secret::equal_in_constant_time(&key.sign(of), &mac) => SealStrength::Good,
        Some(_) => SealStrength::Bad,
    }
}

/// Checks a chain from its beginning or from where an earlier check stopped: it is given every entry in the order of
/// places, and then the end.
pub(super) struct ChainChecker<'a> {
    tenant: TenantId,
    peppers: &'a KeyRing,
    /// The place and hash of the last entry looked at.
    pub(super) at: ChainHead,
    /// Whether that entry's seal is good; the seal of the newest vouches for all.
    vouched: bool,
    /// The first faults that were found.
    pub(super) faults: Vec<ChainFault>,
    /// The number of faults.
    pub(super) found: usize,
    /// How many entries were looked at.
    pub(super) checked: i64,
    /// How many of those have something blanked.
    pub(super) erased: i64,
    /// How many seals are of a pepper that is not accepted any more.
    pub(super) past_peppers: i64,
}

impl<'a> ChainChecker<'a> {
    pub(super) fn new(tenant: TenantId, peppers: &'a KeyRing, at: Option<ChainHead>) -> Self {
        let at = at.unwrap_or(ChainHead { seq: 0, hash: NOTHING.to_vec() });
        Self { tenant, peppers, at, vouched: false, faults: vec![], found: 0, checked: 0, erased: 0, past_peppers: 0 }
    }

    pub(super) fn fault(&mut self, kind: FaultKind, seq: Option<i64>, entry: Option<Uuid>, detail: impl Into<String>) {
        self.found += 1;
        if self.faults.len() < TOLD {
            self.faults.push(ChainFault { kind, seq, entry, detail: detail.into() });
        }
    }

    /// The next entry. `erasures`: those of the entries' `erased_by` that are erasures of this log.
    pub(super) fn look(&mut self, link: &ChainLink, end: i64, erasures: &HashSet<Uuid>) {
        self.checked += 1;
        if link.seq <= self.at.seq || link.seq > end {
            let detail = "An entry that the chain does not have was put in here.";
            return self.fault(FaultKind::Added, Some(link.seq), Some(link.id), detail);
        }
        let next = self.at.seq + 1;
        if link.seq > next {
            let detail = format!("The entries from {next} to {} were taken out.", link.seq - 1);
            self.fault(FaultKind::Missing, Some(next), None, detail);
        } else if link.hash_after(&self.at.hash, self.tenant)[..] != link.hash[..] {
            let detail =
                "The entry is not the one that was written at this place: it was changed, or put here from elsewhere.";
            self.fault(FaultKind::Changed, Some(link.seq), Some(link.id), detail);
        }
        self.look_at_details(link, erasures);
        let worth = worth(self.peppers, link.seal.as_deref(), &sealed(self.tenant, link.seq, &link.hash));
        self.vouched = worth == SealStrength::Good;
        self.past_peppers += i64::from(worth == SealStrength::Unknown);
        if worth == SealStrength::Bad {
            let detail = "The service did not write this entry: its seal is missing or wrong.";
            self.fault(FaultKind::Unsealed, Some(link.seq), Some(link.id), detail);
        }
        self.at = ChainHead { seq: link.seq, hash: link.hash.clone() };
    }

    fn look_at_details(&mut self, link: &ChainLink, erasures: &HashSet<Uuid>) {
        if i128::from(link.at_ms) != (link.id.as_u128() >> 80) as i128 {
            let detail = "The time that is shown is not the one at which the entry was written.";
            self.fault(FaultKind::Changed, Some(link.seq), Some(link.id), detail);
        }
        match link.erased_by {
            Some(erasure) => self.look_at_erased(link, erasure, erasures),
            None if link.details_hash_now()[..] != link.details_hash[..] => self.details_changed(link),
            None => {}
        }
    }

    /// An entry of which an erasure left a part: the erasure must be in the log, and the service vouch for what is
    /// left.
    fn look_at_erased(&mut self, link: &ChainLink, erasure: Uuid, erasures: &HashSet<Uuid>) {
        self.erased += 1;
        let hash = link.erased_hash.as_deref().unwrap_or_default();
        let of = sealed_erased(self.tenant, link.seq, erasure, hash);
        let worth = worth(self.peppers, link.erased_seal.as_deref(), &of);
        self.past_peppers += i64::from(worth == SealStrength::Unknown);
        if !erasures.contains(&erasure) {
            let detail = "Something was blanked, and the erasure it names is not in the log.";
            self.fault(FaultKind::Blanked, Some(link.seq), Some(link.id), detail);
        } else if worth == SealStrength::Bad {
            let detail = "The service did not blank this: the seal of what is left is missing or wrong.";
            self.fault(FaultKind::Blanked, Some(link.seq), Some(link.id), detail);
        } else if link.details_hash_now()[..] != *hash || link.salt.is_some() {
            self.details_changed(link);
        }
    }

    fn details_changed(&mut self, link: &ChainLink) {
        let detail = "What the entry says of who, from where, before and after is not what was written.";
        self.fault(FaultKind::Changed, Some(link.seq), Some(link.id), detail);
    }

    /// After the last entry: the chain must end at its head, and the service must vouch for that.
    pub(super) fn end(&mut self, head: &ChainHead) {
        if head.seq < 1 {
            let detail = "There is no head of the chain. Every organization's log begins with how it came to be.";
            return self.fault(FaultKind::Cut, None, None, detail);
        }
        if self.at.seq < head.seq {
            let detail = format!("The entries from {} to {}, the newest, were taken away.", self.at.seq + 1, head.seq);
            self.fault(FaultKind::Cut, Some(self.at.seq + 1), None, detail);
        } else if self.at != *head {
            self.fault(
                FaultKind::Cut,
                Some(head.seq),
                None,
                "The newest entry is not the one that the chain's head is of.",
            );
        } else if !self.vouched && self.found == 0 {
            let detail = "The newest entry was sealed with a pepper that is not accepted any more, so nothing vouches \
                for the log. Put \
                          that pepper back as the previous one, and write an entry.";
            self.fault(FaultKind::Unsealed, Some(head.seq), None, detail);
        }
    }
}

#[cfg(test)]
mod tests;

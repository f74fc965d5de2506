//! The audit log as a chain: whether it is whole, and everything that is needed to find out elsewhere.

use super::{AdminService, callers::OrganizationCaller, filters::ListFilters};
use crate::edge::{Problem, QueryParameters};
use crate::refusals::read;
use axum::extract::State;
use license_core::records::{self, ChainCursor, ChainHead};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The longest stretch of an export, and the usual one.
const EXPORTED: u16 = 500;

/// What was found in a stretch of the log.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"intact": true, "checked": 42, "erased": 1, "sealed_with_past_peppers": 0, "found": 0, "faults": [],
    "head": {"seq": 42, "hash": "6c1f0c8b5f8f6f2f0c9a7d5b3e1f9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a29", "seal": "1.8m1dQ0p6c9Jc1m8n4s0cV3mX8o8mC2l0yq3r7m5T9uE"},
    "next_cursor": null}))]
pub(super) struct AuditVerification {
    /// True if nothing is wrong in this stretch. The log is as it was written if this is so of every stretch up to the
    /// last.
    intact: bool,
    /// How many entries were looked at.
    checked: i64,
    /// In how many of them an erasure blanked something, as it may.
    erased: i64,
    /// How many were sealed with a pepper that this server does not accept any more. The newest entry's seal vouches
    /// for what they say, but not for what an erasure left of them.
    sealed_with_past_peppers: i64,
    /// How many things are wrong.
    found: i64,
    /// The first 20 of them.
    faults: Vec<AuditFault>,
    /// The newest entry. Keep it where nobody who can reach the database can: sent as `seq` and `hash` another day it
    /// proves that nothing up to it was written anew since.
    head: AuditHead,
    /// Send it as `cursor` for the next stretch; null after the last.
    next_cursor: Option<String>,
}

/// Something that is wrong.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"kind": "missing", "seq": 7, "entry": null, "detail": "The entries from 7 to 8 were taken out."}))]
pub(super) struct AuditFault {
    /// `changed` (or moved), `missing`, `added`, `cut` (the end is not where it was), `unsealed` (not written by this
    /// server), `blanked` (by no erasure) or `rewritten` (not the log that `seq` and `hash` are of). More may come.
    kind: &'static str,
    /// The place in the log, from 1 on; null for what is at no place.
    seq: Option<i64>,
    /// The entry that is there.
    entry: Option<Uuid>,
    /// What was found, for people.
    detail: String,
}

/// The newest entry of a log.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"seq": 42, "hash": "6c1f0c8b5f8f6f2f0c9a7d5b3e1f9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a29", "seal": "1.8m1dQ0p6c9Jc1m8n4s0cV3mX8o8mC2l0yq3r7m5T9uE"}))]
pub(super) struct AuditHead {
    /// How many entries there are.
    seq: i64,
    /// The hash of the newest, and by it of all: SHA-256 in hexadecimal digits.
    hash: String,
    /// What this server says of that hash, with a key that is not in the database. Who shows it proves that the hash
    /// was this server's.
    seal: Option<String>,
}

/// Which stretch to check, and against what.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VerifyQuery {
    /// `head.seq` of an earlier answer, which the log must still have. Sent with `hash`.
    #[param(value_type = Option<u64>, minimum = 1)]
    seq: Option<String>,
    /// `head.hash` of the same answer.
    #[param(min_length = 64, max_length = 64)]
    hash: Option<String>,
    /// `next_cursor` of the stretch before.
    cursor: Option<String>,
}

impl VerifyQuery {
    /// What the log must still have, and where the stretch begins; or everything that is wrong with them.
    fn read(&self) -> Result<(Option<ChainHead>, Option<ChainCursor>), Problem> {
        let mut filters = ListFilters::new();
        let seq = filters.read("seq", self.seq.as_ref(), |text| {
            text.parse()
                .ok()
                .filter(|seq: &i64| *seq >= 1)
                .ok_or("must be head.seq of an earlier answer: a whole number from 1 on")
        });
        let hash = filters.read("hash", self.hash.as_ref(), |text| {
            bytes(text).ok_or("must be head.hash of an earlier answer: 64 hexadecimal digits")
        });
        match (&self.seq, &self.hash) {
            (Some(_), None) => filters.wrong("hash", "is missing beside seq: send both of one head"),
            (None, Some(_)) => filters.wrong("seq", "is missing beside hash: send both of one head"),
            _ => {}
        }
        let cursor = filters.read("cursor", self.cursor.as_ref(), read::<ChainCursor>);
        let known = seq.zip(hash).map(|(seq, hash)| ChainHead { seq, hash });
        filters.check((known, cursor))
    }
}

/// Verify the audit log
///
/// Checks up to 5,000 entries for any that was changed, removed, inserted or moved since it was written, even by the
/// owner of the database. Follow `next_cursor` to the end of the log.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/audit-log/verify", tag = "Audit log", params(VerifyQuery),
    responses((status = 200, description = "What was found in this stretch", body = AuditVerification)))]
pub(super) async fn verify_audit_log(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    QueryParameters(query): QueryParameters<VerifyQuery>,
) -> Result<axum::Json<AuditVerification>, Problem> {
    let (known, cursor) = query.read()?;
    let it = service.records.verify_audit_log(caller.tenant, &service.peppers, known.as_ref(), cursor).await?;
    if it.found > 0 {
        let first = it.faults.first().map(|fault| fault.detail.as_str());
        tracing::error!(found = it.found, first, "the audit log of this organization is not as it was written");
    }
    let fault = |it: records::ChainFault| AuditFault {
        kind: it.kind.as_str(),
        seq: it.seq,
        entry: it.entry,
        detail: it.detail,
    };
    Ok(axum::Json(AuditVerification {
        intact: it.found == 0,
        checked: it.checked,
        erased: it.erased,
        sealed_with_past_peppers: it.past_peppers,
        found: it.found,
        faults: it.faults.into_iter().map(fault).collect(),
        head: head(&it.head, it.head_seal),
        next_cursor: it.next.map(|next| next.to_string()),
    }))
}

/// An entry with everything that is needed to check it: docs/API.md says how.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"seq": 2, "id": "01a1fc28-9b31-70be-8112-4bfdb0eab10e", "actor_kind": "person",
    "actor": "01a1fc28-9b31-70be-8112-4bfdb0eab10a", "action": "organization.renamed", "target": "01a1fc28-9b31-70be-8112-4bfdb0eab109",
    "details": "{\"after\": {\"name\": \"Engines & Sons Ltd\"}, \"before\": {\"name\": \"Engines Ltd\"}, \"actor_name\": \"me@example.com\", \"request_id\": null, \"from_address\": \"203.0.113.9\"}",
    "salt": "7b1c5e0f9a3d4c2b8e6f7a1b2c3d4e5f", "details_hash": "d3b0c8b5f8f6f2f0c9a7d5b3e1f9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a291",
    "hash": "6c1f0c8b5f8f6f2f0c9a7d5b3e1f9a8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a29", "seal": "1.8m1dQ0p6c9Jc1m8n4s0cV3mX8o8mC2l0yq3r7m5T9uE",
    "erased_by": null, "erased_hash": null, "erased_seal": null}))]
pub(super) struct ExportedEntry {
    /// The place in the log, from 1 on.
    seq: i64,
    /// Names the entry; its first 48 bits are its time in milliseconds since 1970.
    id: Uuid,
    /// `person`, `token`, `staff` or `vendor_token`.
    actor_kind: String,
    /// The id of who did it.
    actor: String,
    /// What was done: `noun.verb`.
    action: String,
    /// The id of what it was done to.
    target: String,
    /// `actor_name`, `from_address`, `request_id`, `before` and `after`, as JSON in a text: byte for byte what was
    /// hashed.
    details: String,
    /// Goes before the details when they are hashed; hexadecimal. Null once an erasure blanked something in them.
    salt: Option<String>,
    /// SHA-256 of salt and details; after an erasure still that of what it blanked.
    details_hash: String,
    /// SHA-256 of the hash of the entry before, of what is above and of `details_hash`.
    hash: String,
    /// What this server says of the hash, with a key that is not in the database.
    seal: Option<String>,
    /// The entry of the erasure that blanked something in the details.
    erased_by: Option<Uuid>,
    /// SHA-256 of the details since then.
    erased_hash: Option<String>,
    /// What this server says of that hash.
    erased_seal: Option<String>,
}

impl From<records::ChainLink> for ExportedEntry {
    fn from(it: records::ChainLink) -> Self {
        Self {
            seq: it.seq,
            id: it.id,
            actor_kind: it.actor_kind,
            actor: it.actor,
            action: it.action,
            target: it.target,
            details: it.details,
            salt: it.salt.as_deref().map(hex),
            details_hash: hex(&it.details_hash),
            hash: hex(&it.hash),
            seal: it.seal,
            erased_by: it.erased_by,
            erased_hash: it.erased_hash.as_deref().map(hex),
            erased_seal: it.erased_seal,
        }
    }
}

/// A stretch of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditExport {
    /// The entries, the oldest first.
    items: Vec<ExportedEntry>,
    /// The newest entry of the whole log.
    head: AuditHead,
    /// Send it as `cursor` for the next stretch; null after the last.
    #[schema(example = "AAAAAAAAAfRsHwyLX49vLwyafVs-H5qNfGtaTz4tHAuaj35tXEs6KQ")]
    next_cursor: Option<String>,
}

/// Which stretch to export.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// How many entries: 1 to 500, 500 unless said.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// `next_cursor` of the stretch before.
    cursor: Option<String>,
}

/// Export the audit log
///
/// Every entry, the oldest first, with its place, salt, hashes and seal. With these, the log can be checked without
/// this server, by the procedure and the script of docs/API.md. An export that was kept shows whether the log was
/// rewritten since.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/audit-log/export", tag = "Audit log", params(ExportQuery),
    responses((status = 200, description = "A stretch of the log", body = AuditExport)))]
pub(super) async fn export_audit_log(
    State(service): State<AdminService>,
    OrganizationCaller(caller): OrganizationCaller,
    QueryParameters(query): QueryParameters<ExportQuery>,
) -> Result<axum::Json<AuditExport>, Problem> {
    let mut filters = ListFilters::new();
    let limit = filters.read("limit", query.limit.as_ref(), |text| {
        let limit = text.parse().ok().filter(|limit| (1..=EXPORTED).contains(limit));
        limit.ok_or("must be a whole number from 1 to 500")
    });
    let cursor = filters.read("cursor", query.cursor.as_ref(), read::<ChainCursor>);
    let (limit, cursor) = filters.check((limit, cursor))?;
    let it = service.records.export_audit_log(caller.tenant, cursor, limit.unwrap_or(EXPORTED)).await?;
    Ok(axum::Json(AuditExport {
        items: it.links.into_iter().map(ExportedEntry::from).collect(),
        head: head(&it.head, it.head_seal),
        next_cursor: it.next.map(|next| next.to_string()),
    }))
}

fn head(head: &ChainHead, seal: Option<String>) -> AuditHead {
    AuditHead { seq: head.seq, hash: hex(&head.hash), seal }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes from 64 hexadecimal digits.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = digits.then(|| text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default()))?;
    pairs.map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

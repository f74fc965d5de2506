//! Erasing a person or a machine: names, addresses and labels are blanked wherever the records have them, and then in
//! what Redis shows of who holds seats.
//!
//! The erasure is written into the audit log first. Then come short calls one after the other, each a transaction of
//! its own over a bounded number of rows, so that no client that asks for a seat waits for it; a request makes as many
//! as fit into its time, and answers where the next one goes on. Blanking what is blank changes nothing, so an erasure
//! that was cut is simply asked for again; with the same idempotency key it then goes on under its first entry.

use super::SeatManagement;
use crate::{
    domain::secret::KeyRing,
    protocol::deadline::Deadline,
    records::{Caller, ErasureCursor, ErasureReport, ErasureSubject, Records, SubjectAddress, SubjectIdentifiers},
    refusal::{ChangeRefusal, ChangeResult},
    seat_store::PoolKey,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long one request goes on. The rest of its time is for marking copies in Redis and for a call that takes as long
/// as it may.
const TIME: Duration = Duration::from_secs(2);
/// Between two tries of a call that another transaction was in the way of.
const PAUSE: Duration = Duration::from_millis(20);

/// What is asked of one request of an erasure.
struct ErasureRequest<'a> {
    caller: &'a Caller,
    subject: &'a ErasureSubject,
    cursor: Option<ErasureCursor>,
    peppers: &'a KeyRing,
}

impl SeatManagement {
    /// Blanks what names a person or a machine. `cursor`: goes on where an earlier request ended. Copies in Redis that
    /// have labels of theirs are made anew at once; nobody loses a seat or a second of a lease by it.
    ///
    /// # Errors
    /// A refusal. If a store could not be asked, part of it may have been done: the same request again does the rest,
    /// and copies that could not be made anew are found by the next acquire or sweep.
    pub async fn erase(
        &self,
        caller: &Caller,
        subject: &ErasureSubject,
        cursor: Option<ErasureCursor>,
        peppers: &KeyRing,
    ) -> ChangeResult<ErasureReport> {
        let deadline = Deadline::of_request();
        let report = match self.records.earlier_outcome(caller).await? {
            Some(outcome) => outcome,
            None => self.erase_in_records(&ErasureRequest { caller, subject, cursor, peppers }).await?,
        };
        self.mark_stale(&report.changed_pools).await?;
        for change in &report.changed_pools {
            let pool = PoolKey { license: change.license, pool: change.pool.clone() };
            self.rebuilds.ensure_warm(&pool, caller.tenant, change.pool_id, deadline).await?;
        }
        Ok(report)
    }

    async fn erase_in_records(&self, request: &ErasureRequest<'_>) -> ChangeResult<ErasureReport> {
        let ErasureRequest { caller, cursor, peppers, .. } = *request;
        let began = Instant::now();
        let (known, mut report) = match cursor {
            Some(cursor) => self.continue_erasure(request, cursor).await?,
            None => self.begin_erasure(request).await?,
        };
        let mut at = cursor.unwrap_or(ErasureCursor::first(report.id));
        while !at.is_at_people() {
            if began.elapsed() >= TIME {
                report.next = Some(at);
                break;
            }
            match self.records.erase_step(caller.tenant, &known, &mut report, at, peppers).await? {
                Some(next) => at = next,
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        self.finish_erasure(caller, &known, report, at).await
    }

    /// Finds who it is and writes the entry of the audit log in one transaction, and then blanks what people manage in
    /// another. The idempotency key is taken together with the entry: if the request is cut later, or does not hear of
    /// its commit, the same request goes on under the same entry.
    async fn begin_erasure(&self, request: &ErasureRequest<'_>) -> ChangeResult<(SubjectIdentifiers, ErasureReport)> {
        let ErasureRequest { caller, subject, peppers, .. } = *request;
        // If the same request was answered a moment ago, this repeats it for nothing, and `finish_erasure` answers what
        // was answered then.
        let (mut change, _) = self.records.begin_change::<ErasureReport>(caller).await?;
        let known = Records::subject_identifiers(change.sql(), caller.tenant, subject).await?;
        let (action, target, known) = entry_about(request, known)?;
        let id = change.begin_erasure(action, target, peppers).await?;
        change.commit().await?;
        let mut report = ErasureReport { id, ..ErasureReport::default() };
        if known.hw.is_none() {
            // In another transaction: one that holds the end of the log's chain may wait for no row that another one
            // has locked.
            self.records.erase_things(caller.tenant, &known, &mut report).await?;
        }
        Ok((known, report))
    }

    /// Finds who it is, and that the cursor is of an erasure of theirs.
    async fn continue_erasure(
        &self,
        request: &ErasureRequest<'_>,
        cursor: ErasureCursor,
    ) -> ChangeResult<(SubjectIdentifiers, ErasureReport)> {
        let tenant = request.caller.tenant;
        let mut transaction = self.records.begin_patiently(tenant).await?;
        let known = Records::subject_identifiers(&mut transaction, tenant, request.subject).await?;
        let (action, target, known) = entry_about(request, known)?;
        if !Records::is_erasure_of(&mut transaction, tenant, cursor.erasure, action, &target).await? {
            return Err(ChangeRefusal::UnknownErasure.into());
        }
        Ok((known, ErasureReport { id: cursor.erasure, ..ErasureReport::default() }))
    }

    /// Blanks the people themselves if everything else is done, and keeps the outcome for the same request.
    async fn finish_erasure(
        &self,
        caller: &Caller,
        known: &SubjectIdentifiers,
        mut report: ErasureReport,
        at: ErasureCursor,
    ) -> ChangeResult<ErasureReport> {
        self.records
            .change(caller, async |change| {
                change.mark_audited();
                if report.next.is_none() && known.hw.is_none() {
                    match change.erase_people(report.id, known).await? {
                        Some(people) => report.people = people,
                        None => report.next = Some(at),
                    }
                }
                Ok(report)
            })
            .await
    }
}

/// The action and the target of the entry of the audit log about an erasure, and what the subject is known by.
fn entry_about(
    request: &ErasureRequest<'_>,
    known: Option<SubjectIdentifiers>,
) -> ChangeResult<(&'static str, String, SubjectIdentifiers)> {
    let ErasureRequest { caller, subject, peppers, .. } = *request;
    if matches!(subject, ErasureSubject::Person(address) if SubjectAddress::folded(caller.principal.name()) == *address)
    {
        return Err(ChangeRefusal::ErasesThemselves.into());
    }
    let known = known.ok_or(ChangeRefusal::ErasesMember)?;
    Ok(match subject {
        ErasureSubject::Machine(hw) => ("machine.erased", hw.to_string(), known),
        ErasureSubject::Person(address) => {
            let pseudonym = || address.pseudonym(caller.tenant, peppers);
            ("person.erased", known.users.first().map_or_else(pseudonym, Uuid::to_string), known)
        }
    })
}

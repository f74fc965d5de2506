//! What the vendor's staff do to a world's license and its sessions, by the methods that the service admin calls.

use crate::{World, outcomes::made};
use license_core::{
    Result,
    domain::{
        id::{SeatNo, SessionId, TenantId},
        key::LicenseKey,
        license::Status,
        terms::TermsEdit,
    },
    management::{ChangedLicense, EndedSessionRow, KeyRotation},
    records::{Caller, Principal, RepeatableRequest},
    refusal::ChangeResult,
};
use sqlx::PgConnection;

/// A request of the vendor's staff about an organization, without an idempotency key.
pub fn act(tenant: TenantId) -> Caller {
    let principal = Principal::Staff { subject: "staff-1".into(), email: "staff@vendor.example".into() };
    Caller { tenant, principal, address: None, request_id: None, repeat: None, operation: None }
}

/// A change of the number of seats and of nothing else.
pub fn seats(seats: u32) -> TermsEdit {
    TermsEdit { seats: Some(seats), ..TermsEdit::default() }
}

/// The oldest open session on a seat of the one pool there is; `None` if nobody sits there.
pub async fn open_on(seat: SeatNo, truth: &mut PgConnection) -> Option<SessionId> {
    let sql = "select session_id from sessions where ended_at is null and seat_no = $1 order by session_id limit 1";
    let found: Option<uuid::Uuid> = sqlx::query_scalar(sql).bind(seat as i32).fetch_optional(truth).await.unwrap();
    found.map(SessionId)
}

/// A rotation that ends no session: keys from before are valid for so many seconds more.
pub fn rotation(old_valid_for: u32) -> KeyRotation {
    KeyRotation { old_valid_for, end_sessions: false }
}

impl World {
    /// A request of the vendor's staff.
    pub fn act(&self) -> Caller {
        act(self.license.tenant)
    }

    /// The same with an idempotency key, for whatever is asked.
    pub fn act_once(&self, key: &str) -> Caller {
        Caller { repeat: Some(RepeatableRequest::new(key, &[b"a request"], &crate::world::peppers())), ..self.act() }
    }

    /// Ends a session of whoever sits on a seat, and with it the seat. False: nobody sits there.
    pub async fn kick(&self, seat: SeatNo, force: bool) -> bool {
        self.try_kick(seat, force).await.unwrap()
    }

    /// The same where it may fail.
    pub async fn try_kick(&self, seat: SeatNo, force: bool) -> Result<bool> {
        let Some(session) = open_on(seat, &mut self.truth().await).await else { return Ok(false) };
        self.try_end(session, force).await.map(|_| true)
    }

    /// Ends a session.
    pub async fn end(&self, session: SessionId, force: bool) -> EndedSessionRow {
        self.try_end(session, force).await.unwrap()
    }

    /// The same where it may fail.
    pub async fn try_end(&self, session: SessionId, force: bool) -> Result<EndedSessionRow> {
        made(self.seat_management.end_session(&self.act(), session, force).await)
    }

    /// Changes how many seats the pool has. False: it has as many.
    pub async fn resize(&self, to: u32) -> bool {
        self.edit(&seats(to)).await
    }

    /// Changes what is agreed. False: it is already so.
    pub async fn edit(&self, edit: &TermsEdit) -> bool {
        self.changes(self.seat_management.edit_license(&self.act(), self.license.id, &edit.clone().into(), None))
            .await
            .unwrap()
    }

    /// The same where it may fail.
    pub async fn try_edit(&self, edit: &TermsEdit) -> Result<bool> {
        self.changes(self.seat_management.edit_license(&self.act(), self.license.id, &edit.clone().into(), None)).await
    }

    /// Suspends the license. False: it is already.
    pub async fn suspend(&self) -> bool {
        self.try_decide(Status::Suspended).await.unwrap()
    }

    /// Resumes the license. False: it is active.
    pub async fn resume(&self) -> bool {
        self.try_decide(Status::Active).await.unwrap()
    }

    /// Gives the license a status, where it may fail.
    pub async fn try_decide(&self, status: Status) -> Result<bool> {
        self.changes(self.seat_management.set_license_status(&self.act(), self.license.id, status)).await
    }

    /// Whether a request changed anything: the license's version says so.
    async fn changes(&self, ask: impl Future<Output = ChangeResult<ChangedLicense>>) -> Result<bool> {
        let sql = "select version from licenses where license_id = $1";
        let before: i64 =
            sqlx::query_scalar(sql).bind(self.license.id.0).fetch_one(&mut self.truth().await).await.unwrap();
        made(ask.await).map(|changed| changed.license.version > before)
    }

    /// Gives the license a new key; the ones before are good for `old_for` seconds more, by the records' clock.
    pub async fn rotate_key(&self, old_for: u32) -> LicenseKey {
        self.try_rotate_key(old_for).await.unwrap()
    }

    /// The same where it may fail.
    pub async fn try_rotate_key(&self, old_for: u32) -> Result<LicenseKey> {
        let peppers = &crate::world::peppers();
        made(self.seat_management.rotate_key(&self.act(), self.license.id, rotation(old_for), peppers).await)
            .map(|new| new.key)
    }
}

//! What the vendor's staff do during a run: the operations that the admin service calls, over ways of their own. Any may fail while stores are
//! away, and is not asked again unless a plan says so.

use crate::client::Clients;
use license_core::{
    domain::{id::SeatNo, license::Status, secret::KeyRing, terms::TermsEdit},
    management::{SeatManagement, SessionView},
    records::{Caller, PageRequest, RepeatableRequest, SessionFilter},
    refusal::{ChangeError, ChangeResult},
};
use license_tests::{staff, world::License};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How often what nobody else can finish is asked for, and after which pause.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(100);

/// The staff of a run. Cheap to clone.
#[derive(Clone)]
pub struct Staff {
    seat_management: SeatManagement,
    license: License,
    peppers: KeyRing,
    rotations: Arc<tokio::sync::Mutex<()>>,
}

/// Whether a request was answered: a refusal is an answer too, and an outage is none.
fn is_answered<T>(result: &ChangeResult<T>) -> bool {
    !matches!(result, Err(ChangeError::Unavailable(_)))
}

impl Staff {
    pub fn new(seat_management: SeatManagement, license: License, peppers: KeyRing) -> Self {
        Self { seat_management, license, peppers, rotations: Arc::default() }
    }

    /// The same staff over other ways.
    #[must_use]
    pub fn over(&self, seat_management: SeatManagement) -> Self {
        Self { seat_management, ..self.clone() }
    }

    fn act(&self) -> Caller {
        staff::act(self.license.tenant)
    }

    /// Suspends or resumes. True once it was answered.
    pub async fn decide(&self, status: Status) -> bool {
        is_answered(&self.seat_management.set_license_status(&self.act(), self.license.id, status).await)
    }

    /// Changes what is agreed. True once it was answered.
    pub async fn edit(&self, edit: &TermsEdit) -> bool {
        is_answered(&self.seat_management.edit_license(&self.act(), self.license.id, &edit.clone().into(), None).await)
    }

    /// Ends a session of whoever sits on a seat.
    pub async fn end(&self, seat: SeatNo) {
        if let Some(seen) = self.sits_on(seat).await {
            let _ = self.seat_management.end_session(&self.act(), seen.session.id, false).await;
        }
    }

    /// The same with force. Who vouches that a machine is off has switched it off, and leaves it off until it is answered.
    pub async fn end_by_force(&self, seat: SeatNo, clients: &Clients) {
        let Some(seen) = self.sits_on(seat).await else { return };
        let Some(machine) = clients.switch_off(&seen.session.label) else { return };
        let act = self.once();
        for _ in 0..TRIES {
            if is_answered(&self.seat_management.end_session(&act, seen.session.id, true).await) {
                return clients.switch_on(machine);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Gives the license a new key and tells the clients. One rotation at a time, each asked for until it is answered: nobody else
    /// knows the key.
    pub async fn rotate(&self, old_for: u32, clients: &Clients) {
        let _one = self.rotations.lock().await;
        let act = self.once();
        for _ in 0..TRIES {
            if let Ok(rotated) =
                self.seat_management.rotate_key(&act, self.license.id, staff::rotation(old_for), &self.peppers).await
            {
                return clients.rekey(rotated.key);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn once(&self) -> Caller {
        let key = Uuid::new_v4().to_string();
        Caller { repeat: Some(RepeatableRequest::new(&key, &[b"a request"], &self.peppers)), ..self.act() }
    }

    /// Who sits on a seat, as the list of sessions has it.
    async fn sits_on(&self, seat: SeatNo) -> Option<SessionView> {
        let page = PageRequest { after: None, limit: 100 };
        let listed = self.seat_management.sessions(&self.act(), &SessionFilter::default(), page).await.ok()?;
        listed.items.into_iter().find(|seen| seen.session.seat == seat)
    }
}

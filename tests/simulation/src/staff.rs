//! What the vendor's staff do during a run: the moves that the admin function calls, over ways of their own. Any may fail while stores are
//! away, and is not asked again unless a plan says so.

use license_core::{
    domain::{id::SeatNo, license::Status, terms::Edit},
    moves::manage::{Manage, Seen},
    records::{Act, Page, SessionFilter},
};
use license_tests::{staff, world::License};

/// The staff of a run. Cheap to clone.
#[derive(Clone)]
pub struct Staff {
    manage: Manage,
    license: License,
}

impl Staff {
    pub fn new(manage: Manage, license: License) -> Self {
        Self { manage, license }
    }

    fn act(&self) -> Act {
        staff::act(self.license.tenant)
    }

    /// Suspends or resumes. True once it was answered.
    pub async fn decide(&self, status: Status) -> bool {
        matches!(self.manage.decide_license(&self.act(), self.license.id, status).await, Ok(Ok(_)))
    }

    /// Changes what is agreed. True once it was answered.
    pub async fn edit(&self, edit: &Edit) -> bool {
        matches!(self.manage.edit_license(&self.act(), self.license.id, None, edit, None).await, Ok(Ok(_)))
    }

    /// Ends a session of whoever sits on a seat.
    pub async fn end(&self, seat: SeatNo) {
        if let Some(seen) = self.sits_on(seat).await {
            let _ = self.manage.end_session(&self.act(), seen.session.id, false).await;
        }
    }

    /// Who sits on a seat, as the list of sessions has it.
    async fn sits_on(&self, seat: SeatNo) -> Option<Seen> {
        let page = Page { after: None, limit: 100 };
        let listed = self.manage.sessions(&self.act(), &SessionFilter::default(), page).await.ok()?;
        listed.items.into_iter().find(|seen| seen.session.seat == seat)
    }
}

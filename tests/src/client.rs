//! A machine that runs the product: what it sends, and what it was answered.

use crate::world::License;
use license_core::{
    domain::{
        claimant::Claimant,
        handle::SessionHandle,
        id::{Attempt, ClientPart, Holder, PoolName},
        key::LicenseKey,
        secret::KeyRing,
    },
    protocol::{
        SeatProtocol,
        acquire::{AcquireOutcome, AcquireRefusal, AcquireRequest, LeasedSeat},
        heartbeat,
    },
};
use uuid::Uuid;

/// One process start on one machine.
#[derive(Clone, Debug)]
pub struct Machine {
    pub key: LicenseKey,
    pub pool: PoolName,
    pub hardware: ClientPart,
    pub instance: Option<ClientPart>,
    pub attempt: Attempt,
    pub product: Option<String>,
    pub label: String,
}

impl Machine {
    /// A machine of that name, with a process that just started.
    pub fn new(license: &License, name: &str) -> Self {
        Self {
            key: license.key.clone(),
            pool: license.pool.pool.clone(),
            hardware: format!("hardware-{name}").parse().unwrap(),
            instance: Some(format!("instance-{name}").parse().unwrap()),
            attempt: Attempt(Uuid::new_v4()),
            product: None,
            label: name.into(),
        }
    }

    /// The same machine with another process.
    pub fn restarted(&self) -> Self {
        Self { attempt: Attempt(Uuid::new_v4()), ..self.clone() }
    }

    /// The same machine with another process that calls itself another instance.
    pub fn instance(&self, name: &str) -> Self {
        Self { instance: Some(format!("instance-{name}").parse().unwrap()), ..self.restarted() }
    }

    /// Who the records name if this machine holds a seat counted by machine.
    pub fn holder(&self) -> Holder {
        Holder::machine(self.key.number(), &self.hardware)
    }

    /// The machine and its process, as a request for a seat names them.
    pub fn claimant(&self) -> Claimant {
        self.request().claimant
    }

    /// The request for a seat.
    pub fn request(&self) -> AcquireRequest {
        let mut request = AcquireRequest::new(self.key.clone(), &self.hardware, self.instance.as_ref(), self.attempt);
        request.pool = self.pool.clone();
        request.claimant.label = self.label.clone();
        request.claimant.product = self.product.clone();
        request
    }

    /// Asks for a seat.
    pub async fn acquire(&self, protocol: &SeatProtocol) -> AcquireOutcome {
        protocol.acquire(&self.request()).await.expect("the stores answer")
    }

    /// Asks for a seat and must get one.
    ///
    /// # Panics
    /// If it gets none.
    pub async fn seated(&self, protocol: &SeatProtocol) -> LeasedSeat {
        seat(self.acquire(protocol).await)
    }

    /// Asks for a seat in a task of its own.
    pub fn acquire_aside(
        &self,
        protocol: &SeatProtocol,
    ) -> tokio::task::JoinHandle<license_core::Result<AcquireOutcome>> {
        let (protocol, request) = (protocol.clone(), self.request());
        tokio::spawn(async move { protocol.acquire(&request).await })
    }

    /// Asks for a seat and must be told that all are taken.
    ///
    /// # Panics
    /// If it is told anything else.
    pub async fn turned_away(&self, protocol: &SeatProtocol) {
        let outcome = self.acquire(protocol).await;
        assert!(
            matches!(outcome, AcquireOutcome::Refused(AcquireRefusal::Full(_))),
            "{} finds no seat, not {outcome:?}",
            self.label
        );
    }
}

/// The seat in an answer.
///
/// # Panics
/// If there is none.
pub fn seat(outcome: AcquireOutcome) -> LeasedSeat {
    match outcome {
        AcquireOutcome::Seat(seat) => *seat,
        other => panic!("a seat, not {other:?}"),
    }
}

/// The handle inside a seat's bearer string.
pub fn open(seat: &LeasedSeat) -> SessionHandle {
    SessionHandle::verify(&seat.handle, &KeyRing::single(vec![1; 32])).expect("a minted handle opens")
}

/// Sends a heartbeat.
pub async fn beat(protocol: &SeatProtocol, seat: &LeasedSeat) -> heartbeat::HeartbeatOutcome {
    protocol.heartbeat(&open(seat), None).await.expect("the stores answer")
}

/// Sends a heartbeat that must be answered well.
///
/// # Panics
/// If it is not.
pub async fn alive(protocol: &SeatProtocol, seat: &LeasedSeat) {
    let outcome = beat(protocol, seat).await;
    assert!(matches!(outcome, heartbeat::HeartbeatOutcome::Alive(_)), "alive, not {outcome:?}");
}

/// Sends a heartbeat that must be told that the session is over, and why.
///
/// # Panics
/// If it is told anything else.
pub async fn gone(protocol: &SeatProtocol, seat: &LeasedSeat, why: &str) {
    let outcome = beat(protocol, seat).await;
    assert!(
        matches!(&outcome, heartbeat::HeartbeatOutcome::Gone(reason) if reason.as_str() == why),
        "gone ({why}), not {outcome:?}"
    );
}

/// Gives a session back.
pub async fn release(protocol: &SeatProtocol, seat: &LeasedSeat) {
    protocol.release(&open(seat)).await.expect("the stores answer");
}

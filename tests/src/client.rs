//! A machine that runs the product: what it sends, and what it was told.

use crate::world::License;
use license_core::{
    domain::{
        handle::SessionHandle,
        id::{Attempt, ClientPart, Holder},
        secret::KeyRing,
    },
    protocol::{
        SeatProtocol,
        acquire::{AcquireOutcome, AcquireRequest, GrantedSeat},
        heartbeat,
    },
};
use uuid::Uuid;

/// One process start on one machine.
#[derive(Clone, Debug)]
pub struct Machine {
    pub request: AcquireRequest,
}

impl Machine {
    /// A machine of that name, with a process that just started.
    pub fn new(license: &License, name: &str) -> Self {
        Self {
            request: AcquireRequest {
                key: license.key.clone(),
                hardware: format!("hardware-{name}").parse().unwrap(),
                instance: Some(format!("instance-{name}").parse().unwrap()),
                attempt: Attempt(Uuid::new_v4()),
                pool: license.pool.pool.clone(),
                nonce: None,
                product: None,
                label: name.into(),
                client: serde_json::json!({}),
            },
        }
    }

    /// The same machine with another process.
    pub fn restarted(&self) -> Self {
        let mut other = self.clone();
        other.request.attempt = Attempt(Uuid::new_v4());
        other
    }

    /// The same machine with another process that calls itself another instance.
    pub fn instance(&self, name: &str) -> Self {
        let mut other = self.restarted();
        let part: ClientPart = format!("instance-{name}").parse().unwrap();
        other.request.instance = Some(part);
        other
    }

    /// Who the records name if this machine holds a seat counted by machine.
    pub fn holder(&self) -> Holder {
        Holder::machine(self.request.key.number(), &self.request.hardware)
    }

    /// Asks for a seat.
    pub async fn acquire(&self, moves: &SeatProtocol) -> AcquireOutcome {
        moves.acquire(&self.request).await.expect("the stores answer")
    }

    /// Asks for a seat and must get one.
    ///
    /// # Panics
    /// If it gets none.
    pub async fn seated(&self, moves: &SeatProtocol) -> GrantedSeat {
        seat(self.acquire(moves).await)
    }

    /// Asks for a seat in a task of its own.
    pub fn acquire_aside(&self, moves: &SeatProtocol) -> tokio::task::JoinHandle<license_core::Result<AcquireOutcome>> {
        let (moves, request) = (moves.clone(), self.request.clone());
        tokio::spawn(async move { moves.acquire(&request).await })
    }

    /// Asks for a seat and must be told that all are taken.
    ///
    /// # Panics
    /// If it is told anything else.
    pub async fn turned_away(&self, moves: &SeatProtocol) {
        let outcome = self.acquire(moves).await;
        assert!(matches!(outcome, AcquireOutcome::Full(_)), "{} finds no seat, not {outcome:?}", self.request.label);
    }
}

/// The seat in an answer.
///
/// # Panics
/// If there is none.
pub fn seat(outcome: AcquireOutcome) -> GrantedSeat {
    match outcome {
        AcquireOutcome::Seat(seat) => *seat,
        other => panic!("a seat, not {other:?}"),
    }
}

/// The handle inside a seat's bearer string.
pub fn open(seat: &GrantedSeat) -> SessionHandle {
    SessionHandle::verify(&seat.handle, &KeyRing::single(vec![1; 32])).expect("a minted handle opens")
}

/// Sends a heartbeat.
pub async fn beat(moves: &SeatProtocol, seat: &GrantedSeat) -> heartbeat::HeartbeatOutcome {
    moves.heartbeat(&open(seat), None).await.expect("the stores answer")
}

/// Sends a heartbeat that must be answered well.
///
/// # Panics
/// If it is not.
pub async fn alive(moves: &SeatProtocol, seat: &GrantedSeat) {
    let outcome = beat(moves, seat).await;
    assert!(matches!(outcome, heartbeat::HeartbeatOutcome::Alive(_)), "alive, not {outcome:?}");
}

/// Sends a heartbeat that must be told that the session is over, and why.
///
/// # Panics
/// If it is told anything else.
pub async fn gone(moves: &SeatProtocol, seat: &GrantedSeat, why: &str) {
    let outcome = beat(moves, seat).await;
    assert!(
        matches!(&outcome, heartbeat::HeartbeatOutcome::Gone(reason) if reason.as_str() == why),
        "gone ({why}), not {outcome:?}"
    );
}

/// Gives a session back.
pub async fn release(moves: &SeatProtocol, seat: &GrantedSeat) {
    moves.release(&open(seat)).await.expect("the stores answer");
}

//! A machine that runs the product: what it sends, and what it was told.

use crate::world::License;
use license_core::{
    domain::{
        handle::SessionHandle,
        id::{Attempt, ClientPart, Holder},
        secret::KeyRing,
    },
    moves::{
        Moves,
        acquire::{Outcome, Request, Seat},
    },
};
use uuid::Uuid;

/// One process start on one machine.
#[derive(Clone, Debug)]
pub struct Machine {
    pub request: Request,
}

impl Machine {
    /// A machine of that name, with a process that just started.
    pub fn new(license: &License, name: &str) -> Self {
        Self {
            request: Request {
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
    pub async fn acquire(&self, moves: &Moves) -> Outcome {
        moves.acquire(&self.request).await.expect("the stores answer")
    }

    /// Asks for a seat and must get one.
    ///
    /// # Panics
    /// If it gets none.
    pub async fn seated(&self, moves: &Moves) -> Seat {
        match self.acquire(moves).await {
            Outcome::Seat(seat) => *seat,
            other => panic!("{} gets a seat, not {other:?}", self.request.label),
        }
    }
}

/// The handle inside a seat's bearer string.
pub fn open(seat: &Seat) -> SessionHandle {
    SessionHandle::open(&seat.handle, &KeyRing::single(vec![1; 32])).expect("a minted handle opens")
}

//! When something was wrong with a store or a way to it, written down as it happens: what the limits of a run excuse.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody's question to Redis may have failed, or waited.
    Away,
    /// What was sent arrived later than that, or once more.
    Late,
    /// A deposed primary may have answered; the node at this port took its place.
    Deposed(u16),
    /// The copy in Redis was lost, or part of it, or another node's took its place.
    Lost,
}

/// From when until when something was wrong; `None`: it still is.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    pub kind: Kind,
    pub from: Instant,
    pub until: Option<Instant>,
}

/// All troubles of one way, or of the nodes. Clones are the same.
#[derive(Clone, Default)]
pub struct Troubles(Arc<Mutex<Vec<Trouble>>>);

/// Something that is wrong for as long as this is kept.
pub struct UntilDropped {
    troubles: Troubles,
    place: usize,
}

impl Drop for UntilDropped {
    fn drop(&mut self) {
        self.troubles.over(self.place);
    }
}

impl Troubles {
    /// Something is wrong from now on. Answers its place, for [`Troubles::over`].
    pub fn begin(&self, kind: Kind) -> usize {
        let mut all = self.all();
        all.push(Trouble { kind, from: Instant::now(), until: None });
        all.len() - 1
    }

    /// It is over.
    pub fn over(&self, place: usize) {
        if let Some(trouble) = self.all().get_mut(place) {
            trouble.until = Some(Instant::now());
        }
    }

    /// Something is wrong until this is dropped.
    pub fn until_dropped(&self, kind: Kind) -> UntilDropped {
        self.since(kind, Instant::now())
    }

    /// Something has been wrong since then, and is until this is dropped.
    pub fn since(&self, kind: Kind, from: Instant) -> UntilDropped {
        let mut all = self.all();
        all.push(Trouble { kind, from, until: None });
        UntilDropped { troubles: self.clone(), place: all.len() - 1 }
    }

    /// Something is wrong from now on, for so long.
    pub fn lasting(&self, kind: Kind, time: Duration) {
        let from = Instant::now();
        self.all().push(Trouble { kind, from, until: from.checked_add(time) });
    }

    /// All that was written down.
    pub fn read(&self) -> Vec<Trouble> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

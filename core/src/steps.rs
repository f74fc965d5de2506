//! The steps between which a process may die. In test builds each can cut a move short or hold it; elsewhere this is
//! nothing at all.

use crate::Result;

/// A place between two steps of a move, named after the step just done (docs/PROTOCOL.md, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// ACQUIRE has decided; nothing is written down.
    Acquire,
    /// The grant is committed; nobody was told.
    Grant,
    /// HEARTBEAT said "unknown"; the records were not asked.
    Heartbeat,
    /// RELEASE has claimed; the records do not know.
    Release,
    /// The end is committed; Redis was not told.
    EndSeats,
    /// REAP has claimed; the records do not know.
    Reap,
    /// The epoch is bumped and the pool read; Redis is cold.
    RebuildPool,
    /// A change without a ticket is committed; Redis was not told.
    Change,
    /// Events are published and not marked.
    Publish,
}

/// The fail points of one set of moves. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FailPoints {
    #[cfg(feature = "testing")]
    armed: testing::ArmedStep,
}

impl FailPoints {
    /// Says that a step is done.
    ///
    /// # Errors
    /// Only in test builds: `Error::Cut` where a test cut the move here.
    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_async, reason = "waits in test builds")]
    pub async fn done(&self, _step: Step) -> Result<()> {
        Ok(())
    }

    /// Says that a step is done.
    ///
    /// # Errors
    /// [`crate::Error::Cut`] where a test cut the move here.
    #[cfg(feature = "testing")]
    pub async fn done(&self, step: Step) -> Result<()> {
        self.armed.done(step).await
    }
}

#[cfg(feature = "testing")]
pub use testing::HeldOperation;

#[cfg(feature = "testing")]
mod testing {
    use super::{FailPoints, Step};
    use crate::{Error, Result};
    use std::{
        collections::HashMap,
        sync::{Arc, Mutex, PoisonError},
        time::Duration,
    };
    use tokio::sync::oneshot;

    #[derive(Clone, Debug, Default)]
    pub(super) struct ArmedStep(Arc<Mutex<HashMap<Step, StepAction>>>, Arc<Mutex<HashMap<Step, Duration>>>);

    #[derive(Debug)]
    enum StepAction {
        Cut,
        Hold { reached: oneshot::Sender<()>, resume: oneshot::Receiver<()> },
    }

    /// A move that stands still at a step.
    #[derive(Debug)]
    pub struct HeldOperation {
        reached: oneshot::Receiver<()>,
        resume: oneshot::Sender<()>,
    }

    impl HeldOperation {
        /// Waits until the move is there and gives the means to let it go on; dropping that lets it go on too.
        ///
        /// # Panics
        /// If the move ended without coming here.
        pub async fn reached(self) -> oneshot::Sender<()> {
            self.reached.await.expect("the move came to the step where it is held");
            self.resume
        }
    }

    impl FailPoints {
        /// The next move that comes to `step` ends there, as if its process had died.
        pub fn cut(&self, step: Step) {
            self.armed.arm(step, StepAction::Cut);
        }

        /// Every move that comes to `step` takes so much longer there, as where a store is slow.
        pub fn delay(&self, step: Step, time: Duration) {
            self.armed.1.lock().unwrap_or_else(PoisonError::into_inner).insert(step, time);
        }

        /// The next move that comes to `step` is held there, as if its process had been stopped.
        pub fn hold(&self, step: Step) -> HeldOperation {
            let (reached, reached_rx) = oneshot::channel();
            let (resume, resume_rx) = oneshot::channel();
            self.armed.arm(step, StepAction::Hold { reached, resume: resume_rx });
            HeldOperation { reached: reached_rx, resume }
        }
    }

    impl ArmedStep {
        fn arm(&self, step: Step, action: StepAction) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(step, action);
        }

        pub(super) async fn done(&self, step: Step) -> Result<()> {
            let delay = self.1.lock().unwrap_or_else(PoisonError::into_inner).get(&step).copied();
            tokio::time::sleep(delay.unwrap_or_default()).await;
            let action = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&step);
            match action {
                None => Ok(()),
                Some(StepAction::Cut) => Err(Error::Cut(step)),
                Some(StepAction::Hold { reached, resume }) => {
                    let _ = reached.send(());
                    let _ = resume.await;
                    Ok(())
                }
            }
        }
    }
}

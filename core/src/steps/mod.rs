//! Fail points: the steps of an operation between which its process may die.
//!
//! In test builds a test can end, hold or delay an operation at each step. In all other builds a fail point does
//! nothing.

mod step;

pub use step::Step;

use crate::Result;

/// The fail points of one set of operations. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FailPoints {
    #[cfg(feature = "testing")]
    armed: testing::ArmedStep,
}

impl FailPoints {
    /// Reports that a step is done.
    ///
    /// # Errors
    /// Only in test builds: `Error::Cut` if a test ended the operation here with `cut`.
    #[cfg(not(feature = "testing"))]
    #[expect(clippy::unused_async, reason = "waits in test builds")]
    pub async fn done(&self, _step: Step) -> Result<()> {
        Ok(())
    }

    /// Reports that a step is done, and waits where a test delays or holds the operation.
    ///
    /// # Errors
    /// [`crate::Error::Cut`] if a test ended the operation here with [`FailPoints::cut`].
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

    /// An operation that a test holds at a step.
    #[derive(Debug)]
    pub struct HeldOperation {
        reached: oneshot::Receiver<()>,
        resume: oneshot::Sender<()>,
    }

    impl HeldOperation {
        /// Waits until the operation has come to the step. Sending on the returned channel, or dropping it, lets the
        /// operation go on.
        ///
        /// # Panics
        /// If the operation ended without coming to the step.
        pub async fn wait_until_reached(self) -> oneshot::Sender<()> {
            self.reached.await.expect("the operation came to the step where it is held");
            self.resume
        }
    }

    impl FailPoints {
        /// The next operation that comes to `step` ends there with [`Error::Cut`], as if its process had died.
        pub fn cut(&self, step: Step) {
            self.armed.arm(step, StepAction::Cut);
        }

        /// Every operation that comes to `step` waits for `time` there, as if a store were slow.
        pub fn delay(&self, step: Step, time: Duration) {
            self.armed.1.lock().unwrap_or_else(PoisonError::into_inner).insert(step, time);
        }

        /// The next operation that comes to `step` is held there, as if its process had been stopped.
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

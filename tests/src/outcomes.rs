//! What a change was answered (its outcome, a refusal or an error), for tests that know which of the three it is.

use license_core::{
    Error, Result,
    refusal::{ChangeError, ChangeRefusal, ChangeResult},
};
use std::fmt::Debug;

/// The outcome of a change that is not refused, or the error of a store that could not be asked.
pub fn made<T>(answer: ChangeResult<T>) -> Result<T> {
    answer.map_err(|why| match why {
        ChangeError::Unavailable(error) => error,
        ChangeError::Refused(refusal) => panic!("the change is refused: {refusal:?}"),
    })
}

/// Why a change is refused.
pub fn refusal<T: Debug>(answer: ChangeResult<T>) -> ChangeRefusal {
    match answer {
        Err(ChangeError::Refused(refusal)) => refusal,
        other => panic!("the change is not refused: {other:?}"),
    }
}

/// The error of a store that could not be asked for a change.
pub fn unavailable<T: Debug>(answer: ChangeResult<T>) -> Error {
    match answer {
        Err(ChangeError::Unavailable(error)) => error,
        other => panic!("no store was out of reach: {other:?}"),
    }
}

//! How much memory something takes, counted by the allocator of this thread.

use allocation_counter::measure;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What `work` answers, and the most bytes it held at any moment beyond what there was before.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let mut done = None;
    // The counter must be put back also where the work panics: shrinking goes on in this thread.
    let used = measure(|| done = Some(catch_unwind(AssertUnwindSafe(work))));
    match done.expect("the work was done") {
        Ok(answer) => (answer, used.bytes_max),
        Err(panic) => resume_unwind(panic),
    }
}

#[test]
fn the_most_held_at_once_is_counted() {
    let (len, most) = counted(|| {
        drop(vec![0_u8; 5000]);
        vec![0_u8; 3000].len()
    });
    assert_eq!((len, most), (3000, 5000));
    assert_eq!(counted(|| 5).1, 0);
}

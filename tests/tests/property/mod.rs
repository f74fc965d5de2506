//! What the property tests share: so many cases, a seed that repeats them, and a tally of what they came to.
#![allow(dead_code, reason = "each test binary uses its part")]

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner},
};
use std::{cell::RefCell, collections::BTreeMap, fmt::Debug};

/// What one case came to, or what does not hold.
pub(crate) type Verdict = Result<&'static str, TestCaseError>;

/// How often each outcome came.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    pub(crate) fn of(&self, outcome: &str) -> u32 {
        self.0.get(outcome).copied().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> u32 {
        self.0.values().sum()
    }
}

/// A runner with a seed of its own, drawn unless `PROPTEST_RNG_SEED` gives one. Case counts are ours: a promise is checked so often
/// or not at all.
pub(crate) fn runner(cases: u32) -> (TestRunner, u64) {
    // Its default generator is a cipher, which without optimisation takes most of a test's time.
    let rng_algorithm = RngAlgorithm::XorShift;
    let mut config =
        Config { cases, failure_persistence: None, rng_algorithm, max_shrink_iters: 3000, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => u64::from_be_bytes(license_core::domain::secret::random()),
    };
    config.rng_seed = RngSeed::Fixed(seed);
    (TestRunner::new(config), seed)
}

/// Tries `property` on so many values; the smallest counterexample ends the test, with the seed that finds it again.
pub(crate) fn hold<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value) -> Verdict) -> Tally
where
    S::Value: Debug,
{
    let (mut runner, seed) = runner(cases);
    let tally = RefCell::new(Tally::default());
    let ran = runner.run(&strategy, |value| {
        let outcome = property(value)?;
        *tally.borrow_mut().0.entry(outcome).or_default() += 1;
        Ok(())
    });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(why, value)) => {
            panic!("{why}\nsmallest: {value:#?}\nPROPTEST_RNG_SEED={seed} finds it again")
        }
        Err(other) => panic!("{other}\nPROPTEST_RNG_SEED={seed} finds it again"),
    }
    let tally = tally.into_inner();
    println!("{cases} cases: {tally:?}");
    assert_eq!(tally.all(), cases, "every case was tried");
    tally
}

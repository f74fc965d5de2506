//! How simulated processes behave, and the random numbers that decide it.

use license_core::domain::secret;
use std::time::Duration;

/// What a process does instead of its next heartbeat, each with its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// Ends without a word and starts anew on the same machine.
    pub restart: f64,
    /// Gives its session back and asks for another a little later.
    pub release: f64,
    /// Stands still for one to two leases, then goes on as if nothing had been.
    pub silence: f64,
    /// Sends its request twice, over two instances at once.
    pub duplicate: f64,
    /// Never says anything again once it has its seat.
    pub vanishes: bool,
}

impl Habits {
    /// Keeps its seat as long as the server lets it.
    pub const STEADY: Self = Self { restart: 0.0, release: 0.0, silence: 0.0, duplicate: 0.05, vanishes: false };
    /// Everything that processes do.
    pub const LIVELY: Self = Self { restart: 0.06, release: 0.12, silence: 0.06, duplicate: 0.1, vanishes: false };
    /// The same, much more often.
    pub const WILD: Self = Self { restart: 0.1, release: 0.3, silence: 0.15, duplicate: 0.3, vanishes: false };
    /// Takes a seat and falls silent.
    pub const VANISHING: Self = Self { vanishes: true, ..Self::STEADY };
}

/// Random numbers from a printed seed (`SplitMix64`). Other processes' timing stays what it is, so a seed repeats the
/// habits, not the run.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed that is printed with the test's output. `LICENSE_TEST_SEED` at build time repeats one.
    pub fn printed() -> Self {
        let seed = option_env!("LICENSE_TEST_SEED").and_then(|s| s.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from_be_bytes(secret::random()));
        println!("LICENSE_TEST_SEED={seed}");
        Self(seed)
    }

    /// Dice of a seed that the caller knows.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of their own for one of many.
    pub fn split(&mut self) -> Self {
        Self(self.draw())
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub fn fraction(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// One of `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n as u64) as usize
    }

    /// Between `low` and `high` times `unit`.
    pub fn between(&mut self, unit: Duration, low: f64, high: f64) -> Duration {
        unit.mul_f64(low + (high - low) * self.fraction())
    }
}

//! How long this process was not run, so that a busy machine is not taken for a slow server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Measures it until it is dropped.
pub struct Pauses {
    total_ms: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Pauses {
    const TICK: Duration = Duration::from_millis(10);

    pub fn watch() -> Self {
        let (total_ms, stop) = (Arc::default(), Arc::<AtomicBool>::default());
        let (counted, stopped): (Arc<AtomicU64>, _) = (Arc::clone(&total_ms), stop.clone());
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(Self::TICK);
                let over = began.elapsed().saturating_sub(2 * Self::TICK).as_millis() as u64;
                counted.fetch_add(over, Ordering::Relaxed);
            }
        });
        Self { total_ms, stop }
    }

    pub fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms.load(Ordering::Relaxed))
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

//! Keeps PostgreSQL and Redis running.
//!
//! One that dies is started again and its seats survive, since PostgreSQL keeps what was committed and Redis is rebuilt
//! from it. Five deaths within a minute mean that something is wrong that starting again does not mend.

use crate::stores::{PostgresServer, RedisServer};
use license_core::error::chain;
use std::{collections::VecDeque, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

/// So many deaths within [`WINDOW`] end everything.
const DEATHS: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// The stores of one machine.
pub struct MachineStores {
    /// PostgreSQL.
    pub postgres: PostgresServer,
    /// Redis.
    pub redis: RedisServer,
}

impl MachineStores {
    /// Starts again whichever store dies, and says so on standard error. Never returns while they can be kept; may be
    /// dropped to stop watching.
    ///
    /// # Errors
    /// A sentence that says which store died how often, or why it could not be started again.
    pub async fn keep(&mut self) -> Result<std::convert::Infallible, String> {
        let mut deaths = RecentDeaths::default();
        loop {
            let (name, how) = tokio::select! {
                how = self.postgres.ended() => ("PostgreSQL", how),
                how = self.redis.ended() => ("Redis", how),
            };
            if deaths.record_death(Instant::now()) {
                return Err(format!("{name} {how}; that was the fifth death of a store within a minute: stopping"));
            }
            eprintln!("{name} {how}; starting it again");
            let begin = Instant::now();
            let started = match name {
                "Redis" => self.redis.restart().await,
                _ => self.postgres.restart().await,
            };
            let Err(error) = started else {
                eprintln!("{name} is back after {:.1} s; seats are as they were", begin.elapsed().as_secs_f32());
                continue;
            };
            eprintln!("{}", chain(&error));
            // A store that runs and does not answer must be gone before the next try, which counts it as one more
            // death.
            match name {
                "Redis" => self.redis.kill().await,
                _ => self.postgres.kill().await,
            }
        }
    }

    /// Stops both, Redis first, so that a late request is refused before it changes anything.
    pub async fn stop(mut self) {
        self.redis.stop().await;
        self.postgres.stop().await;
    }
}

/// The times at which stores died in the last minute.
#[derive(Debug, Default)]
struct RecentDeaths(VecDeque<Instant>);

impl RecentDeaths {
    /// Adds a death, and answers whether there are too many now.
    fn record_death(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        while self.0.front().is_some_and(|&first| now.duration_since(first) >= WINDOW) {
            self.0.pop_front();
        }
        self.0.len() >= DEATHS
    }
}

/// Waits until somebody asks this process to stop (Ctrl-C, SIGTERM, or the terminal closes) and names what it was. The
/// second request does not wait for anything any more.
///
/// # Errors
/// If the operating system does not let us listen.
pub async fn asked_to_stop() -> std::io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let first = next(&mut interrupt, &mut terminate, &mut hangup).await;
    tokio::spawn(async move {
        next(&mut interrupt, &mut terminate, &mut hangup).await;
        // The stores' keepers notice that this process has ended, and stop the stores.
        std::process::exit(130);
    });
    Ok(first)
}

type EndSignals = tokio::signal::unix::Signal;

async fn next(interrupt: &mut EndSignals, terminate: &mut EndSignals, hangup: &mut EndSignals) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_death_within_a_minute_is_one_record_death() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deaths = RecentDeaths::default();
        let told: Vec<bool> = [0, 10, 20, 30, 59].map(|seconds| deaths.record_death(at(seconds))).into();
        assert_eq!(told, [false, false, false, false, true]);
    }

    #[test]
    fn deaths_further_apart_are_started_again_for_ever() {
        let start = Instant::now();
        let mut deaths = RecentDeaths::default();
        assert!((0..100).all(|n| !deaths.record_death(start + Duration::from_secs(15 * n))));
    }
}

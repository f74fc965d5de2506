//! Cases that once disagreed, as they were found and shrunk.

use crate::{
    command::{
        Case,
        Command::{self, Acquire, Pass, Restart, Validate},
        Key, License, Odd, Who,
    },
    engine::Engine,
    play,
};

async fn agrees(license: License, commands: Vec<Command>) {
    let mut engine = Engine::new().await;
    play(&mut engine, &Case { license, commands }).await.unwrap();
}

fn process(machine: u8) -> Who {
    Who { machine, process: Some(0) }
}

/// The question whose connection turned out to be broken was asked again with the clock it had been asked with the first time, as if
/// nothing had been seen.
#[tokio::test]
async fn an_instance_that_finds_its_connection_broken_asks_again_with_a_clock_that_stands_still() {
    let license = License { seats: 1, by_process: false, processes: 1, term_ms: Some(810_003) };
    let takes = |machine| Acquire { at: 1, who: process(machine), attempt: 0, key: Key::Current, odd: Odd::Nothing };
    let asks = Validate { at: 0, machine: 4, key: Key::Current };
    agrees(license, vec![Pass { ms: 810_003 }, Restart, takes(2), asks]).await;
}

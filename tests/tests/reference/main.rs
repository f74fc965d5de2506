//! The whole server against a model of it that a person can read: 100,000 commands, one after the other, on real
//! stores. How requests affect each other when they overlap is tested by the simulation; here every answer is
//! determined, and every answer is compared.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

mod command;
mod engine;
mod model;
#[path = "../property/mod.rs"]
mod property;
mod regressions;
mod stores;

use command::{Case, Command, case};
use engine::Engine;
use license_tests::load::drift;
use model::{Answer, Model};
use proptest::test_runner::{TestCaseError, TestError};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Instant,
};

/// Commands in all.
const COMMANDS: usize = 100_000;
/// Worlds that share them, each with a Redis and a database of its own.
const WORLDS: usize = 2;
/// Cases between two looks at the count.
const ROUND: u32 = 20;
/// The stores are looked at after so many commands.
const LOOK: usize = 8;

/// How often each answer came.
type Tally = BTreeMap<String, usize>;

fn word(answer: &Answer) -> String {
    let text = format!("{answer:?}");
    match answer {
        Answer::Seat { renewed: true, .. } => "Renewed".into(),
        Answer::Gone(_) => text,
        _ => text.split([' ', '(']).next().unwrap_or_default().to_owned(),
    }
}

/// Plays a case; what does not agree ends it.
async fn play(engine: &mut Engine, case: &Case) -> Result<Vec<String>, String> {
    let mut model = engine.begin(case.license).await;
    let mut words = Vec::new();
    for (n, command) in case.commands.iter().enumerate() {
        let answer = engine.answer(&model, command).await;
        let expected = model.answer(command);
        if answer != expected {
            return Err(format!("command {n}, {command:?}: the engine says {answer:?}, the model {expected:?}"));
        }
        if n % LOOK == 0 {
            agree(engine, &model, n).await?;
        }
        words.extend((!idle(&model, command)).then(|| word(&answer)));
    }
    finish(engine, &mut model).await.map(|()| words)
}

/// A heartbeat, a release or an end before there is a session asks nobody anything.
fn idle(model: &Model, command: &Command) -> bool {
    matches!(command, Command::Heartbeat { .. } | Command::Release { .. } | Command::End { .. })
        && model.sessions.is_empty()
}

async fn agree(engine: &mut Engine, model: &Model, n: usize) -> Result<(), String> {
    let found = engine.differences(model).await;
    if found.is_empty() { Ok(()) } else { Err(format!("after command {n}: {}", found.join("\n"))) }
}

/// A sweep, and nothing differs from the model; nor, by the eyes of the load tests, between the stores.
async fn finish(engine: &mut Engine, model: &mut Model) -> Result<(), String> {
    let (answer, expected) = (engine.answer(model, &Command::Sweep).await, model.answer(&Command::Sweep));
    if answer != expected {
        return Err(format!("the last sweep: the engine says {answer:?}, the model {expected:?}"));
    }
    agree(engine, model, usize::MAX).await?;
    let found =
        if model.warm && engine.begun.is_multiple_of(10) { drift::between(&engine.world).await } else { Vec::new() };
    if found.is_empty() { Ok(()) } else { Err(format!("drift: {}", found.join("\n"))) }
}

/// Cases until this world has had its share of commands.
fn work() -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let engine = RefCell::new(runtime.block_on(Engine::new()));
    let (tally, failed) = (RefCell::new(Tally::new()), Cell::new(false));
    while tally.borrow().values().sum::<usize>() < COMMANDS / WORLDS {
        let (mut runner, seed) = property::runner(ROUND);
        let ran = runner.run(&case(), |case| {
            let words = runtime.block_on(play(&mut engine.borrow_mut(), &case)).map_err(|why| {
                failed.set(true);
                TestCaseError::fail(why)
            })?;
            if !failed.get() {
                words.into_iter().for_each(|word| *tally.borrow_mut().entry(word).or_default() += 1);
            }
            Ok(())
        });
        match ran {
            Ok(()) => {}
            Err(TestError::Fail(why, case)) => {
                panic!("{why}\nsmallest: {case:#?}\nPROPTEST_RNG_SEED={seed} finds it again")
            }
            Err(other) => panic!("{other}\nPROPTEST_RNG_SEED={seed} finds it again"),
        }
    }
    tally.into_inner()
}

#[test]
fn a_hundred_thousand_commands_are_answered_as_a_model_without_stores_would() {
    let began = Instant::now();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORLDS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no world disagrees")).collect()
    });
    let mut tally = Tally::new();
    tallies.into_iter().flatten().for_each(|(word, count)| *tally.entry(word).or_default() += count);
    println!("{} commands in {:?}: {tally:?}", tally.values().sum::<usize>(), began.elapsed());
    assert!(tally.values().sum::<usize>() >= COMMANDS);
    for word in [
        "Seat",
        "Renewed",
        "Full",
        "Valid",
        "BadKey",
        "NoPool",
        "Suspended",
        "Expired",
        "WrongProduct",
        "NeedsInstance",
        "TooMany",
        "Alive",
        "Gone(\"released\")",
        "Gone(\"expired\")",
        "Gone(\"kicked\")",
        "Released",
        "Swept",
        "Changed",
        "Ended",
    ] {
        assert!(
            tally.get(word).is_some_and(|count| *count > COMMANDS / 1000),
            "{word} is among the answers: {tally:?}"
        );
    }
}

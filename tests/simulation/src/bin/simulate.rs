//! `./dev simulate`: the long run, or one that is carried out again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_core::domain::secret;
use license_simulation::{
    mix,
    plan::{Plan, Setting},
    run,
    verdict::Figures,
};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

const HELP: &str =
    "./dev simulate [--seed S] [--minutes M]   random mixes, two at a time, for so long (1 minute unless said)
./dev simulate --operations FILE [--trace FILE]   carries out a saved list of operations, and writes down every answer
./dev simulate --seed S --print           prints the first mix of a seed instead of carrying it out";

/// How long one mix goes on with operations.
const LENGTH: Duration = Duration::from_secs(75);
/// How many run side by side.
const TOGETHER: u64 = 2;

struct Asked {
    seed: u64,
    minutes: f64,
    operations: Option<String>,
    trace: Option<String>,
    print: bool,
}

fn main() -> ExitCode {
    let asked = match asked() {
        Ok(asked) => asked,
        Err(problem) => {
            eprintln!("{problem}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if asked.print {
        print!("{}", plan(asked.seed));
        return ExitCode::SUCCESS;
    }
    let found = match &asked.operations {
        Some(file) => again(file, asked.trace.as_deref()),
        None => mixes(&asked),
    };
    found.unwrap_or_else(|problem| {
        eprintln!("{problem}");
        ExitCode::from(2)
    })
}

fn asked() -> Result<Asked, lexopt::Error> {
    use lexopt::{Arg, ValueExt};
    let seed = u64::from_be_bytes(secret::random()) >> 32;
    let mut asked = Asked { seed, minutes: 1.0, operations: None, trace: None, print: false };
    let mut words = lexopt::Parser::from_env();
    while let Some(word) = words.next()? {
        match word {
            Arg::Long("seed") => asked.seed = words.value()?.parse()?,
            Arg::Long("minutes") => asked.minutes = words.value()?.parse()?,
            Arg::Long("operations") => asked.operations = Some(words.value()?.string()?),
            Arg::Long("trace") => asked.trace = Some(words.value()?.string()?),
            Arg::Long("print") => asked.print = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

/// The setting and the operations of a seed. Every fourth has two instances as processes of their own.
fn plan(seed: u64) -> Plan {
    let base = |seats, clients| Setting::small(seats, clients, LENGTH);
    let setting = match seed % 4 {
        0 => Setting { processes: 2, ..base(10, 28) },
        1 => Setting { machines: 18, ..base(8, 28) },
        2 => Setting { clock_behind: Duration::from_secs(3600), ..base(4, 24) },
        _ => Setting { machines: 24, ..base(16, 32) },
    };
    mix::plan(seed, &setting)
}

fn mixes(asked: &Asked) -> Result<ExitCode, String> {
    let until = Instant::now() + Duration::from_secs_f64(asked.minutes * 60.0);
    let (mut seed, mut all, mut found) = (asked.seed, Figures::default(), 0);
    println!("seed {seed}");
    while Instant::now() < until {
        for (plan, verdict) in run::side_by_side((seed..seed + TOGETHER).map(plan).collect()) {
            all.add(&verdict.figures);
            if let Some(report) = verdict.report(&plan) {
                found += 1;
                println!("{report}");
            }
        }
        seed += TOGETHER;
        println!("next seed {seed}; so far {} operations, {} violations", all.operations, all.violations);
    }
    println!("\nseeds {} to {}\n{all}", asked.seed, seed - 1);
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn again(file: &str, trace: Option<&str>) -> Result<ExitCode, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let plan: Plan = text.parse().map_err(|problem| format!("{file}: {problem}"))?;
    let mut found = false;
    for (plan, verdict) in run::side_by_side(vec![plan]) {
        println!("{}", verdict.figures);
        if let Some(trace) = trace {
            std::fs::write(trace, &verdict.trace).map_err(|error| format!("{trace}: {error}"))?;
        }
        if let Some(report) = verdict.report(&plan) {
            println!("{report}");
            found = true;
        }
    }
    Ok(if found { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

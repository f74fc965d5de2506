//! The long search: every setting in turn, walks of one seed, until the time is over.

use license_model::{
    model::Seats,
    rules::{Rule, Rules},
    settings,
    walk::{Limits, Report, search},
    world::Sight,
};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

const HELP: &str = "usage: model [--seed S] [--minutes M] [--setting NAME] [--walk N] [--without RULE]
  --seed S        which walks are tried (1)
  --minutes M     how long (10)
  --setting NAME  only settings whose name contains this
  --walk N        only this walk of the seed, told if it breaks something
  --without RULE  a mutant: the protocol without this protection";

struct Options {
    seed: u64,
    minutes: f64,
    setting: String,
    walk: Option<u64>,
    rules: Rules,
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::{Arg::Long, ValueExt as _};
    let mut all = Options { seed: 1, minutes: 10.0, setting: String::new(), walk: None, rules: Rules::all() };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seed") => all.seed = arguments.value()?.parse()?,
            Long("minutes") => all.minutes = arguments.value()?.parse()?,
            Long("setting") => all.setting = arguments.value()?.string()?,
            Long("walk") => all.walk = Some(arguments.value()?.parse()?),
            Long("without") => {
                let name = arguments.value()?.string()?;
                let rule = Rule::ALL.iter().find(|rule| rule.name() == name);
                all.rules = all.rules.without(*rule.ok_or(format!("no rule is called {name}"))?);
            }
            Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(all))
}

fn main() -> ExitCode {
    match options() {
        Ok(Some(options)) => run(&options),
        Ok(None) => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let settings: Vec<_> = settings::all().into_iter().filter(|s| s.name.contains(&options.setting)).collect();
    let each = Duration::from_secs_f64(options.minutes * 60.0 / settings.len().max(1) as f64);
    let mut total = Report::default();
    println!("seed {}", options.seed);
    for setting in settings {
        let model = Seats { rules: options.rules, bounds: setting.bounds };
        let walks = if options.walk.is_some() { 1 } else { u64::MAX };
        let limits = Limits { walks, time: each, repair: 64 };
        let start = Instant::now();
        let report = search(&model, options.seed, options.walk.unwrap_or(0), limits);
        println!(
            "{:20} {:>12} worlds {:>9} walks {:>5} steps at most {:>9} repairs {:>6.1} s   {}",
            setting.name,
            report.worlds,
            report.walks,
            report.longest,
            report.repairs,
            start.elapsed().as_secs_f64(),
            sights(report.seen)
        );
        total.worlds += report.worlds;
        total.walks += report.walks;
        total.repairs += report.repairs;
        total.longest = total.longest.max(report.longest);
        total.seen |= report.seen;
        if let Some(found) = report.found {
            println!("BROKEN in \"{}\": {}", setting.name, found.tell(&model));
            return ExitCode::FAILURE;
        }
    }
    println!(
        "in all {} worlds in {} walks, {} steps at most, {} repairs; nothing is broken\nseen: {}",
        total.worlds,
        total.walks,
        total.longest,
        total.repairs,
        sights(total.seen)
    );
    ExitCode::SUCCESS
}

fn sights(seen: u16) -> String {
    let names = Sight::NAMES.iter().filter(|(sight, _)| seen & (1 << *sight as u16) != 0);
    names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

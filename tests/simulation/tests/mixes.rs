//! Random mixes of everything that clients do and everything that goes wrong, each from a printed seed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure is a panic with its place")]

use license_simulation::{
    mix,
    plan::{Plan, Setting},
    run,
    verdict::Figures,
};
use std::time::Duration;

const LENGTH: Duration = Duration::from_secs(90);
const FIRST_SEED: u64 = 20_261_121;

/// Small worlds of several kinds, side by side.
fn settings() -> [Setting; 4] {
    let base = |seats, clients| Setting::small(seats, clients, LENGTH);
    [
        Setting { machines: 18, ..base(8, 28) },
        Setting { clock_behind: Duration::from_secs(3600), ..base(4, 24) },
        Setting { machines: 24, ..base(16, 32) },
        Setting { processes: 2, ..base(10, 28) },
    ]
}

#[test]
fn ten_thousand_operations_with_faults_oversell_nothing_and_lose_nothing() {
    let mut all = Figures::default();
    // Each question that was not answered in time may keep a seat, and what may be is judged by nothing: a slow machine needs more mixes.
    for round in 0..3 {
        let broken = mixes(FIRST_SEED + round * settings().len() as u64, &mut all);
        assert!(broken.is_empty(), "{}", broken.join("\n"));
        if judged(&all).iter().all(|judged| *judged > 0) {
            break;
        }
    }
    assert!(
        judged(&all).iter().all(|judged| *judged > 0),
        "a promise was held against nothing: {:?}\n{all}",
        judged(&all)
    );
    assert!(all.operations >= 10_000, "{} operations", all.operations);
}

/// What was broken in a mix of each setting; what they came to is added to `all`.
fn mixes(first_seed: u64, all: &mut Figures) -> Vec<String> {
    let plans = settings().into_iter().zip(first_seed..).map(|(setting, seed)| mix::plan(seed, &setting));
    let plans: Vec<Plan> =
        plans.inspect(|plan| println!("seed {}: {} operations", plan.seed, plan.operations.len())).collect();
    let mut broken = Vec::new();
    for (plan, verdict) in run::side_by_side(plans) {
        println!("seed {}:\n{}\n", plan.seed, verdict.figures);
        all.add(&verdict.figures);
        broken.extend(verdict.report(&plan));
    }
    println!("together:\n{all}");
    broken
}

/// How often each of L1 to L4 was held against a clock.
fn judged(all: &Figures) -> [usize; 4] {
    let kept = &all.kept;
    [kept.l1.judged, kept.l2.judged + kept.again, kept.l3.judged, all.suspensions.0]
}

#[test]
fn a_plan_is_the_same_again_from_its_seed_and_from_its_text() {
    for setting in settings() {
        let plan = mix::plan(7, &setting);
        assert_eq!(plan, mix::plan(7, &setting));
        assert_ne!(plan.operations, mix::plan(8, &setting).operations);
        assert_eq!(plan.to_string().parse::<Plan>().unwrap(), plan);
    }
}

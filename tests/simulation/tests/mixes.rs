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
    let plans = settings().into_iter().zip(FIRST_SEED..).map(|(setting, seed)| mix::plan(seed, &setting));
    let plans: Vec<Plan> =
        plans.inspect(|plan| println!("seed {}: {} operations", plan.seed, plan.operations.len())).collect();
    let (mut all, mut broken) = (Figures::default(), Vec::new());
    for (plan, verdict) in run::side_by_side(plans) {
        println!("seed {}:\n{}\n", plan.seed, verdict.figures);
        all.add(&verdict.figures);
        broken.extend(verdict.report(&plan));
    }
    println!("together:\n{all}");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let kept = &all.kept;
    let judged = [kept.l1.judged, kept.l2.judged + kept.again, kept.l3.judged, all.suspensions.0];
    assert!(judged.iter().all(|judged| *judged > 0), "a promise was held against nothing: {judged:?}\n{all}");
    assert!(all.operations >= 10_000, "{} operations", all.operations);
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

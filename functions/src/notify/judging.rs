//! Alert rules that are due: what is so is raised, and what is not any more ends.

use license_core::{
    Result,
    error::chain,
    records::{DueRule, Judgement, Records},
};
use std::time::Duration;
use tokio::time::Instant;

/// Rules that are asked for at once.
const OF_A_LOOK: usize = 200;
/// So long rules are judged in one push; the rest is due at the next. With the deliveries after it, a push still ends
/// before one that was not acknowledged comes again.
const WORKING: Duration = Duration::from_secs(5);

/// Judges what is due, until nothing is or 5 s are over: each rule in a transaction of its own, so that one that cannot
/// be judged keeps no other waiting. It is logged, and stays due.
///
/// # Errors
/// [`license_core::Error::Records`] if it is not known what is due.
pub(super) async fn judge_due(records: &Records) -> Result<()> {
    let until = Instant::now() + WORKING;
    let (mut total, mut last): (Judgement, Option<DueRule>) = Default::default();
    'looks: loop {
        let due = records.due_alert_rules(last, OF_A_LOOK).await?;
        let were_all = due.len() < OF_A_LOOK;
        for rule in due {
            if Instant::now() >= until {
                break 'looks;
            }
            last = Some(rule);
            match records.judge_alert_rule(rule).await {
                Ok(judged) => {
                    let Judgement { raised, ended } = judged.unwrap_or_default();
                    total.raised += raised;
                    total.ended += ended;
                }
                Err(error) => {
                    let rule = rule.rule;
                    tracing::error!(%rule, error = %chain(&error), "an alert rule cannot be judged");
                }
            }
        }
        if were_all {
            break;
        }
    }
    let Judgement { raised, ended } = total;
    if raised + ended > 0 {
        tracing::info!(raised, ended, "alerts raised and ended");
    }
    Ok(())
}

//! Everything whose time has come, so that no receiver keeps the others waiting.

use super::delivering::{Deliverer, DeliveryTally};
use license_core::{
    Error, Result,
    domain::id::{TenantId, WebhookId},
    records::TakeFrom,
};
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Webhooks that are asked for at once.
const DUE: usize = 200;
/// Webhooks that have a turn at the same time.
const AT_ONCE: usize = 16;
/// Deliveries of one turn, which are tried at the same time.
const OF_A_TURN: i32 = 8;
/// So long turns begin. The last of them end before a push that was not acknowledged comes again.
const WORKING: Duration = Duration::from_secs(40);

impl Deliverer {
    /// Tries what is due, until nothing is or 40 s are over. A webhook that has more than a turn's worth stands in line
    /// again behind the others, so that a receiver which answers slowly or never delays them by one turn at most.
    ///
    /// # Errors
    /// [`Error::Records`]. What was begun is brought to its end before.
    pub async fn deliver_due(&self) -> Result<DeliveryTally> {
        let until = Instant::now() + WORKING;
        let (mut total, mut hanging) = (DeliveryTally::default(), HashSet::new());
        loop {
            let due = self.records().due_webhooks(DUE).await?;
            let line = due.into_iter().filter(|(_, webhook)| !hanging.contains(webhook)).collect();
            let round = self.round(line, &mut hanging, until).await?;
            total.add(round);
            // Where something is due and nothing can be taken, somebody else has it.
            if round.tried() == 0 || Instant::now() >= until {
                return Ok(total);
            }
        }
    }

    async fn round(
        &self,
        mut line: VecDeque<(TenantId, WebhookId)>,
        hanging: &mut HashSet<WebhookId>,
        until: Instant,
    ) -> Result<DeliveryTally> {
        let (mut turns, mut total, mut failure) = (JoinSet::new(), DeliveryTally::default(), None);
        loop {
            while failure.is_none() && turns.len() < AT_ONCE && Instant::now() < until {
                let Some(next) = line.pop_front() else { break };
                let deliverer = self.clone();
                turns.spawn(async move { (next, deliverer.turn(next).await) });
            }
            let Some(ended) = turns.join_next().await else { break };
            match ended {
                Ok((webhook, Ok(turn))) => {
                    total.add(turn);
                    // Whoever took nothing has had its turn: the others do not wait for it again before the next tick.
                    if turn.delivered == 0 && turn.tried() > 0 {
                        hanging.insert(webhook.1);
                    } else if turn.tried() >= OF_A_TURN as usize {
                        line.push_back(webhook);
                    }
                }
                // The others write down what came of theirs, or it would be sent once more.
                Ok((_, Err(error))) => failure = Some(error),
                Err(error) => failure = Some(Error::internal("a turn of deliveries was not brought to its end", error)),
            }
        }
        failure.map_or(Ok(total), Err)
    }

    async fn turn(&self, (tenant, webhook): (TenantId, WebhookId)) -> Result<DeliveryTally> {
        let taken = self.records().take_deliveries(tenant, TakeFrom::Webhook(webhook), OF_A_TURN).await?;
        self.deliver(taken).await
    }
}

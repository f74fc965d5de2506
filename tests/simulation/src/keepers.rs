//! Who carries the faults of the stores out: one task for each store, one fault after the other.

use crate::{
    nodes::{Database, Pair},
    operations::{RecordsFault, RedisFault},
};
use std::time::{Duration, Instant};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::JoinHandle,
};

/// Somebody who takes one fault after the other, and comes back at the end.
pub(crate) struct Tasked<F, T> {
    orders: UnboundedSender<Order<F>>,
    task: JoinHandle<T>,
}

/// What the keeper of a store is told. One order is carried out after the other.
enum Order<F> {
    Fault(F),
    /// Say that everything before this has happened.
    Report(oneshot::Sender<()>),
}

impl<F, T> Tasked<F, T> {
    pub(crate) fn fault(&self, fault: F) {
        assert!(self.orders.send(Order::Fault(fault)).is_ok(), "the store's keeper is there");
    }

    /// Waits until every fault so far has happened.
    pub(crate) async fn caught_up(&self) {
        let (report, reported) = oneshot::channel();
        assert!(self.orders.send(Order::Report(report)).is_ok(), "the store's keeper is there");
        reported.await.expect("the store's keeper reports");
    }

    /// Waits until the last fault has happened.
    pub(crate) async fn task_ended(&mut self) -> T {
        self.orders = unbounded_channel().0;
        (&mut self.task).await.expect("no store's keeper panics")
    }
}

impl Tasked<RecordsFault, Database> {
    pub(crate) fn records(mut database: Database) -> Self {
        let (orders, mut next) = unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(order) = next.recv().await {
                match order {
                    Order::Fault(fault) => database.fault(fault).await,
                    Order::Report(report) => drop(report.send(())),
                }
            }
            database
        });
        Self { orders, task }
    }
}

impl Tasked<RedisFault, Pair> {
    pub(crate) fn redis(pair: Pair) -> Self {
        let (orders, next) = unbounded_channel();
        Self { orders, task: tokio::spawn(nodes(pair, next)) }
    }
}

async fn nodes(mut pair: Pair, mut next: UnboundedReceiver<Order<RedisFault>>) -> Pair {
    loop {
        let due = pair.due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            order = next.recv() => match order {
                Some(Order::Fault(fault)) => pair.fault(&fault).await,
                Some(Order::Report(report)) => drop(report.send(())),
                None => return pair,
            },
            () = tokio::time::sleep_until(due.into()) => pair.go_on().await,
        }
    }
}

//! A network between a service and the records that goes silent or is slow.

use super::site::{Services, Site, known_after};
use license_tests::network::Network;
use std::time::Duration;

/// Every service, with one connection to the records by way of a network that can be disturbed.
async fn over_a_network(site: &Site) -> (Network, Services) {
    let network = Network::to(site.postgres.dir()).await;
    let more = [
        ("DATABASE_URL", format!("postgres://nobody@127.0.0.1:{}/license?sslmode=disable", network.port)),
        ("DATABASE_POOL_SIZE", "1".into()),
    ];
    let services = site.services_over(&more).await;
    (network, services)
}

/// Connections stay open, nothing comes and nothing says why. New connections work.
#[tokio::test]
async fn connections_to_the_records_that_went_silent_are_given_up_and_replaced() {
    let site = Site::new(5).await;
    let (network, services) = over_a_network(&site).await;
    let seat = services.acquire(&site.ask("a")).await.ok(201);
    network.rests().await;
    network.lose_all();
    let ask = site.ask("b");
    services.acquire(&ask).await.away("records_unavailable");
    services.beat(&seat).await.ok(200);
    let (answer, asked) = known_after(async || services.acquire(&ask).await).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
    println!("served at question {asked}");
    assert!(asked <= 5, "asked {asked} times, each within its deadline");
    assert_eq!(site.held().await, (2, 2));
}

/// An instance loses the rebuild lock of a pool while the first word of its transaction is under way, and gives the rebuild up. Whatever the
/// next call over that connection is told of stands: nobody else's transaction takes it back.
#[tokio::test]
async fn a_seat_told_of_over_a_connection_whose_rebuild_was_given_up_is_written_down() {
    let site = Site::new(5).await;
    let (network, slow) = over_a_network(&site).await;
    let other = site.services().await;
    let seat = slow.acquire(&site.ask("a")).await.ok(201);
    site.forget(|_| true).await;
    network.hold("BEGIN\0", 0);
    let ask = site.ask("b");
    let overtaken = async {
        network.held().await;
        site.forget(|key| key.ends_with(":c")).await;
        other.beat(&seat).await.ok(200);
        // The slow one has seen that the other was faster, and Redis has given its client a seat: the records are asked next.
        while site.holders_in_redis().await < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        network.open();
    };
    let (answer, ()) = tokio::join!(slow.acquire(&ask), overtaken);
    let told = answer.ok(201);
    assert_eq!(site.held().await, (2, 2), "both that were told of a seat are written down");
    slow.release(&told).await.ok(200);
    assert_eq!(site.held().await, (1, 1), "and who gave it back has none");
    other.acquire(&site.ask("c")).await.ok(201);
}

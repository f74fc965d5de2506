//! Two Redis nodes, of which one takes over from the other.

use super::{Run, SOON, TTL, live};
use license_core::{
    domain::id::SessionId,
    protocol::SeatProtocol,
    seat_store::{HeartbeatAnswer, PoolReply, SeatStore},
};
use license_local::stores::{RedisServer, RedisSettings};
use license_tests::{
    World,
    client::alive,
    load::{Crowd, Habits, check},
    stores,
    world::Shape,
};
use std::time::{Duration, Instant};

/// Two Redis nodes, the second a copy of the first.
async fn two_nodes(shape: Shape) -> (World, RedisServer) {
    let tcp = RedisSettings { tcp: true, ..RedisSettings::default() };
    let world = World::shaped(Shape { redis: tcp.clone(), ..shape }).await;
    let port = world.redis.port().unwrap().to_string();
    let more = vec!["--replicaof".into(), "127.0.0.1".into(), port];
    let replica = RedisServer::temporary(RedisSettings { more, ..tcp }).await.unwrap();
    (world, replica)
}

/// Waits until a node follows its primary and has the pool as it is now. The first is not enough: what was written during the first
/// transfer comes up to a second later.
async fn in_sync(world: &World, node: &RedisServer) {
    let until = Instant::now() + SOON;
    let key = world.key("h");
    loop {
        let epoch: Option<i64> = command(node, &["HGET", &key, "epoch"]).await;
        let info: String = command(node, &["INFO", "replication"]).await;
        if epoch == Some(world.epoch().await) && info.contains("master_link_status:up") {
            return;
        }
        assert!(Instant::now() < until, "the replica follows its primary");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn command<T: redis::FromRedisValue>(node: &RedisServer, words: &[&str]) -> T {
    let mut connection = stores::redis_connection(&node.url()).await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
}

/// What a node says of the world's pool to somebody who asks it directly.
async fn judgement(world: &World, node: &RedisServer) -> license_core::Result<PoolReply<HeartbeatAnswer>> {
    let seats = SeatStore::new(&node.url(), world.replication_id, world.timing, world.clock.clone()).unwrap();
    seats.heartbeat(&world.license.pool, 0, SessionId::draw()).await
}

async fn instances_at(world: &World, node: &RedisServer) -> Vec<SeatProtocol> {
    vec![world.instance_at(&node.url()).await, world.instance_at(&node.url()).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_stale_replica_and_an_old_primary_that_still_answers_oversell_nothing() {
    let (mut world, mut replica) = two_nodes(live()).await;
    let mut crowd = Crowd::of(&world, instances_at(&world, &world.redis).await);
    let steady = crowd.join_seated("steady", 5, Habits::STEADY).await;
    let lively = crowd.join("lively", 8, Habits::LIVELY);
    // There and back: a node's run id repeats when it is primary again, its replication id does not.
    for _ in 0..2 {
        in_sync(&world, &replica).await;
        assert!(judgement(&world, &replica).await.is_err(), "a replica judges nobody");
        command::<()>(&replica, &["REPLICAOF", "NO", "ONE"]).await;
        // The promoted copy grows stale: everybody still asks the old primary.
        crowd.go_on(TTL / 3).await;
        let stale = judgement(&world, &replica).await.unwrap();
        assert!(
            matches!(stale, PoolReply::NeedsRebuild { epoch } if epoch > 0),
            "a copy that another node stamped: {stale:?}"
        );
        let epoch = world.epoch().await;
        let (old, new) = (instances_at(&world, &world.redis).await, instances_at(&world, &replica).await);
        crowd.route(old.into_iter().chain(new.iter().cloned()).collect());
        crowd.go_on(world.timing.drain * 3 / 4).await;
        crowd.route(new);
        let alone = Instant::now();
        crowd.until("heartbeats are answered by the new primary", SOON, || steady.all_answered_since(alone)).await;
        println!("{} epochs for one promotion", world.epoch().await - epoch);
        crowd.go_on(world.timing.drain).await;
        replica = world.fail_over(replica).await;
        let port = world.redis.port().unwrap().to_string();
        command::<()>(&replica, &["REPLICAOF", "127.0.0.1", &port]).await;
    }
    crowd.go_on(TTL).await;
    crowd.stop().await;
    println!("steady {}\nlively {}", steady.tally(), lively.tally());
    assert_eq!(steady.tally().lost, 0);
    check::holds(&world, crowd.log()).await;
}

#[tokio::test]
async fn a_lease_extended_by_an_old_primary_within_the_drain_margin_is_waited_for_by_the_new_one() {
    let (world, replica) = two_nodes(Shape { seats: 1, ..Shape::default() }).await;
    let a = world.machine("a").seated(&world.protocol).await;
    in_sync(&world, &replica).await;
    command::<()>(&replica, &["REPLICAOF", "NO", "ONE"]).await;
    let promoted = world.instance_at(&replica.url()).await;
    let b = world.machine("b");
    b.turned_away(&promoted).await;
    world.pass(world.timing.drain - Duration::from_millis(1));
    alive(&world.protocol, &a).await;
    world.pass(world.timing.ttl - world.timing.eps());
    b.turned_away(&promoted).await;
    world.pass(world.timing.eps() + Duration::from_millis(1));
    b.seated(&promoted).await;
}

/// A node's replication id.
async fn replication_id(node: &RedisServer) -> String {
    let info: String = command(node, &["INFO", "replication"]).await;
    info.lines().find_map(|line| line.strip_prefix("master_replid:")).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_replica_that_attaches_changes_a_healthy_primarys_id_and_costs_nobody_a_seat() {
    let tcp = RedisSettings { tcp: true, ..RedisSettings::default() };
    let mut run = Run::new(Shape { redis: tcp.clone(), ..live() }).await;
    let (before, id, epoch) = (Instant::now(), replication_id(&run.world.redis).await, run.world.epoch().await);
    let port = run.world.redis.port().unwrap().to_string();
    let more = vec!["--replicaof".into(), "127.0.0.1".into(), port];
    let _replica = RedisServer::temporary(RedisSettings { more, ..tcp }).await.unwrap();
    while replication_id(&run.world.redis).await == id {
        assert!(before.elapsed() < SOON, "the first replica changes its primary's id");
        run.crowd.go_on(TTL / 30).await;
    }
    run.recovered(Instant::now(), epoch).await;
    run.ends_well().await;
}

#[tokio::test]
async fn a_deposed_primary_that_is_rebuilt_keeps_nothing_of_what_it_knew_before_another_was() {
    let (world, replica) = two_nodes(Shape { seats: 1, ..Shape::default() }).await;
    let a_seat = world.machine("a").seated(&world.protocol).await;
    in_sync(&world, &replica).await;
    let _: String = command(&replica, &["REPLICAOF", "NO", "ONE"]).await;
    let there = world.instance_at(&replica.url()).await;
    world.pass(world.timing.ttl - Duration::from_secs(10));
    alive(&there, &a_seat).await; // on the new primary alone
    world.pass(Duration::from_secs(20));
    // By all the old one knows a is over. It is still reachable, and whoever asks it is sent to rebuild it.
    world.machine("b").turned_away(&world.protocol).await;
    alive(&there, &a_seat).await;
}

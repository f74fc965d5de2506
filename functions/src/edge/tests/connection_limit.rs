//! Which connection is closed for which, without sockets.

use crate::edge::connection_limit::{ConnectionSlot, ConnectionSlots, SHORTEST_WAIT, SlotUse};
use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Waker},
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn waiting(slots: &Arc<ConnectionSlots>, from: &str, for_what: SlotUse) -> ConnectionSlot {
    let slot = slots.slot(ip(from)).await.unwrap();
    slot.waits(for_what);
    slot
}

fn leaves(slot: &ConnectionSlot) -> bool {
    slot.poll_leave(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Asks for a slot from an address, and who of these is asked to leave for it.
async fn asked(slots: &Arc<ConnectionSlots>, from: &str, held: &[&ConnectionSlot]) -> Vec<usize> {
    tokio::time::advance(SHORTEST_WAIT).await;
    tokio::select! {
        biased;
        slot = slots.slot(ip(from)) => panic!("a slot was free, or none for {from}: {slot:?}"),
        () = std::future::ready(()) => {}
    }
    (0..held.len()).filter(|&n| leaves(held[n])).collect()
}

#[tokio::test(start_paused = true)]
async fn the_address_that_has_most_gives_up_its_longest_wait_whatever_it_waits_for() {
    for hog in ["10.0.0.9", "2001:db8::7"] {
        let slots = Arc::new(ConnectionSlots::new(4, 4));
        let honest = waiting(&slots, "10.0.0.1", SlotUse::Request).await;
        let first = waiting(&slots, hog, SlotUse::Client).await;
        let second = waiting(&slots, hog, SlotUse::Request).await;
        let third = waiting(&slots, "2001:db8::8", SlotUse::Request).await;
        assert_eq!(asked(&slots, "::ffff:10.0.0.1", &[&honest, &first, &second, &third]).await, [1], "{hog}");
    }
}

#[tokio::test(start_paused = true)]
async fn among_equals_that_which_has_waited_longest_goes_and_drops_make_no_wait_shorter() {
    let slots = Arc::new(ConnectionSlots::new(3, 3));
    let all = [
        waiting(&slots, "10.0.0.1", SlotUse::Client).await,
        waiting(&slots, "10.0.0.2", SlotUse::Client).await,
        waiting(&slots, "10.0.0.3", SlotUse::Client).await,
    ];
    let [first, second, third] = &all;
    first.waits(SlotUse::Client);
    second.works();
    second.waits(SlotUse::Request);
    assert_eq!(asked(&slots, "10.0.0.4", &[first, second, third]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn whose_request_is_under_way_stays_and_the_place_comes_when_it_waits_again() {
    let slots = Arc::new(ConnectionSlots::new(1, 1));
    let busy = slots.slot(ip("10.0.0.1")).await.unwrap();
    assert_eq!(asked(&slots, "10.0.0.2", &[&busy]).await, [0; 0]);
    let asking = Arc::clone(&slots);
    let new = tokio::spawn(async move { asking.slot(ip("10.0.0.2")).await.is_some() });
    tokio::task::yield_now().await;
    busy.waits(SlotUse::Request);
    tokio::time::sleep(SHORTEST_WAIT / 2).await;
    assert!(!leaves(&busy), "its client has a moment for the next request");
    tokio::time::sleep(SHORTEST_WAIT).await;
    assert!(leaves(&busy));
    drop(busy);
    assert!(new.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn another_is_asked_where_the_request_of_the_first_came_just_then() {
    let slots = Arc::new(ConnectionSlots::new(2, 2));
    let first = waiting(&slots, "10.0.0.1", SlotUse::Request).await;
    let second = waiting(&slots, "10.0.0.1", SlotUse::Request).await;
    let asking = Arc::clone(&slots);
    let new = tokio::spawn(async move { asking.slot(ip("10.0.0.2")).await.is_some() });
    tokio::time::sleep(2 * SHORTEST_WAIT).await;
    assert!(leaves(&first) && !leaves(&second));
    first.works();
    tokio::task::yield_now().await;
    assert!(!leaves(&first) && leaves(&second));
    drop(second);
    assert!(new.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_address_has_its_share_and_makes_room_for_itself_while_others_find_some() {
    let slots = Arc::new(ConnectionSlots::new(4, 2));
    let other = waiting(&slots, "10.0.0.2", SlotUse::Request).await;
    let first = waiting(&slots, "10.0.0.1", SlotUse::Request).await;
    let second = waiting(&slots, "10.0.0.1", SlotUse::Request).await;
    assert_eq!(asked(&slots, "10.0.0.1", &[&other, &first, &second]).await, [1]);
    drop(first);
    let third = slots.slot(ip("10.0.0.1")).await.unwrap();
    second.works();
    // Both are being worked on: whoever is new is refused at once, and holds up nobody.
    assert!(slots.slot(ip("10.0.0.1")).await.is_none());
    assert!(slots.slot(ip("10.0.0.3")).await.is_some());
    drop((other, third));
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_those_without_a_request_and_no_others() {
    let slots = Arc::new(ConnectionSlots::new(9, 9));
    let idle = waiting(&slots, "10.0.0.1", SlotUse::Request).await;
    let body = waiting(&slots, "10.0.0.1", SlotUse::Client).await;
    let busy = slots.slot(ip("10.0.0.1")).await.unwrap();
    slots.close();
    assert!(leaves(&idle) && !leaves(&body) && !leaves(&busy));
}

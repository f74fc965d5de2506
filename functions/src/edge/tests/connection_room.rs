//! Who makes room for whom, without sockets.

use crate::edge::connection_room::{ConnectionPlace, ConnectionRoom, LEAST, PlaceUse};
use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Waker},
};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

async fn waiting(room: &Arc<ConnectionRoom>, from: &str, for_what: PlaceUse) -> ConnectionPlace {
    let place = room.place(ip(from)).await.unwrap();
    place.waits(for_what);
    place
}

fn leaves(place: &ConnectionPlace) -> bool {
    place.poll_leave(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Asks for a place from an address, and who of these is asked to leave for it.
async fn asked(room: &Arc<ConnectionRoom>, from: &str, places: &[&ConnectionPlace]) -> Vec<usize> {
    tokio::time::advance(LEAST).await;
    tokio::select! {
        biased;
        place = room.place(ip(from)) => panic!("there was room, or none for {from}: {place:?}"),
        () = std::future::ready(()) => {}
    }
    (0..places.len()).filter(|&n| leaves(places[n])).collect()
}

#[tokio::test(start_paused = true)]
async fn the_address_that_has_most_gives_up_its_longest_wait_whatever_it_waits_for() {
    for hog in ["10.0.0.9", "2001:db8::7"] {
        let room = Arc::new(ConnectionRoom::new(4, 4));
        let honest = waiting(&room, "10.0.0.1", PlaceUse::Request).await;
        let first = waiting(&room, hog, PlaceUse::Client).await;
        let second = waiting(&room, hog, PlaceUse::Request).await;
        let third = waiting(&room, "2001:db8::8", PlaceUse::Request).await;
        assert_eq!(asked(&room, "::ffff:10.0.0.1", &[&honest, &first, &second, &third]).await, [1], "{hog}");
    }
}

#[tokio::test(start_paused = true)]
async fn among_equals_that_which_has_waited_longest_goes_and_drops_make_no_wait_shorter() {
    let room = Arc::new(ConnectionRoom::new(3, 3));
    let all = [
        waiting(&room, "10.0.0.1", PlaceUse::Client).await,
        waiting(&room, "10.0.0.2", PlaceUse::Client).await,
        waiting(&room, "10.0.0.3", PlaceUse::Client).await,
    ];
    let [first, second, third] = &all;
    first.waits(PlaceUse::Client);
    second.works();
    second.waits(PlaceUse::Request);
    assert_eq!(asked(&room, "10.0.0.4", &[first, second, third]).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn whose_request_is_under_way_stays_and_the_place_comes_when_it_waits_again() {
    let room = Arc::new(ConnectionRoom::new(1, 1));
    let busy = room.place(ip("10.0.0.1")).await.unwrap();
    assert_eq!(asked(&room, "10.0.0.2", &[&busy]).await, [0; 0]);
    let asking = Arc::clone(&room);
    let new = tokio::spawn(async move { asking.place(ip("10.0.0.2")).await.is_some() });
    tokio::task::yield_now().await;
    busy.waits(PlaceUse::Request);
    tokio::time::sleep(LEAST / 2).await;
    assert!(!leaves(&busy), "its client has a moment for the next request");
    tokio::time::sleep(LEAST).await;
    assert!(leaves(&busy));
    drop(busy);
    assert!(new.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn another_is_asked_where_the_request_of_the_first_came_just_then() {
    let room = Arc::new(ConnectionRoom::new(2, 2));
    let first = waiting(&room, "10.0.0.1", PlaceUse::Request).await;
    let second = waiting(&room, "10.0.0.1", PlaceUse::Request).await;
    let asking = Arc::clone(&room);
    let new = tokio::spawn(async move { asking.place(ip("10.0.0.2")).await.is_some() });
    tokio::time::sleep(2 * LEAST).await;
    assert!(leaves(&first) && !leaves(&second));
    first.works();
    tokio::task::yield_now().await;
    assert!(!leaves(&first) && leaves(&second));
    drop(second);
    assert!(new.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn an_address_has_its_share_and_makes_room_for_itself_while_others_find_some() {
    let room = Arc::new(ConnectionRoom::new(4, 2));
    let other = waiting(&room, "10.0.0.2", PlaceUse::Request).await;
    let first = waiting(&room, "10.0.0.1", PlaceUse::Request).await;
    let second = waiting(&room, "10.0.0.1", PlaceUse::Request).await;
    assert_eq!(asked(&room, "10.0.0.1", &[&other, &first, &second]).await, [1]);
    drop(first);
    let third = room.place(ip("10.0.0.1")).await.unwrap();
    second.works();
    // Both are being worked on: whoever is new is refused at once, and holds up nobody.
    assert!(room.place(ip("10.0.0.1")).await.is_none());
    assert!(room.place(ip("10.0.0.3")).await.is_some());
    drop((other, third));
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_those_without_a_request_and_no_others() {
    let room = Arc::new(ConnectionRoom::new(9, 9));
    let idle = waiting(&room, "10.0.0.1", PlaceUse::Request).await;
    let body = waiting(&room, "10.0.0.1", PlaceUse::Client).await;
    let busy = room.place(ip("10.0.0.1")).await.unwrap();
    room.close();
    assert!(leaves(&idle) && !leaves(&body) && !leaves(&busy));
}

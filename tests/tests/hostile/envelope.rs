//! Pushes, as anybody who finds the address may send them.

use crate::{
    CASES,
    change::{changed, like, noise},
    json,
    memory::counted,
    property::hold,
};
use license_core::{
    Clock,
    domain::{
        event::SweepShare,
        id::{PoolId, TenantId},
    },
};
use license_pubsub::{
    Message, Topic,
    push::{Envelope, MalformedPush, PushDelivery},
};
use proptest::{prelude::*, prop_assert, prop_assert_eq};
use std::{collections::BTreeMap, sync::LazyLock};
use uuid::Uuid;

static GOOD: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let attributes =
        || BTreeMap::from([("kind".to_owned(), "seat.granted".to_owned()), ("ü".to_owned(), String::new())]);
    let push = |n: u32| {
        let share = SweepShare { pools: vec![(TenantId(Uuid::from_u128(n.into())), PoolId(Uuid::nil())); n as usize] };
        let message = Message { attributes: attributes(), ..Message::reap(&share) };
        PushDelivery {
            delivery_attempt: n.is_multiple_of(2).then_some(n),
            ..PushDelivery::new(Topic::Reap, message, &Clock::fake())
        }
    };
    (0..80).map(|n| Envelope::write(&push(n))).collect()
});

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let id = || prop_oneof![4 => json::texts(), 1 => json::odd()].boxed();
    const TIMES: [&str; 12] = [
        "2021-02-26T19:13:55.749Z",
        "0000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59.999999999-23:59",
        "2021-02-26t19:13:55z",
        "2016-12-31T23:59:60Z",
        "2021-02-26T19:13:55+24:00",
        "-001-01-01T00:00:00Z",
        "2021-02-30T00:00:00Z",
        "2021-02-26T19:13:55.1234567890123Z",
        "2021-02-26T19:13:55-00:00",
        "2021-02-26 19:13:55Z",
    ];
    let time = || {
        let any = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,11})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
        prop_oneof![proptest::sample::select(&TIMES[..]).prop_map(str::to_owned), like(any)]
            .prop_map(|time| format!("\"{time}\""))
            .boxed()
    };
    let attributes = json::object(vec![("kind", json::texts()), ("a", json::texts())]);
    let data = prop_oneof![4 => like("([A-Za-z0-9+/]{4}){0,20}(==|=|)"), 1 => like("[A-Za-z0-9+/_=-]{0,9}")]
        .prop_map(|data| format!("\"{data}\""));
    let message = || {
        json::object(vec![
            ("data", data.clone().boxed()),
            ("attributes", attributes.clone()),
            ("messageId", id()),
            ("message_id", id()),
            ("publishTime", time()),
            ("publish_time", time()),
        ])
    };
    let envelope = json::object(vec![
        ("message", message()),
        ("subscription", json::texts()),
        ("deliveryAttempt", any::<u32>().prop_map(|n| n.to_string()).boxed()),
    ]);
    prop_oneof![3 => changed(&GOOD, 3), 6 => envelope.prop_map(String::into_bytes), 1 => noise(Envelope::MAX_BYTES)]
}

#[test]
fn a_push_that_is_read_prints_back_to_itself() {
    // A list of objects in a field that is passed over costs nothing; attributes cost a node of a map each.
    let bound = 64 * Envelope::MAX_BYTES as u64;
    let tally = hold(CASES, bodies(), |body| {
        let (read, held) = counted(|| Envelope::parse(&body));
        if body.len() > Envelope::MAX_BYTES {
            prop_assert!(matches!(read, Err(MalformedPush::TooLarge(bytes)) if bytes == body.len()));
            prop_assert_eq!(held, 0);
            return Ok("too large");
        }
        prop_assert!(held <= bound, "held {} bytes", held);
        match read {
            Err(MalformedPush::NotJson(_)) => Ok("not JSON"),
            Err(MalformedPush::NotAnEnvelope(_)) => Ok("not an envelope"),
            Err(_) => Ok("not base64"),
            Ok(push) => {
                let again = Envelope::parse(&Envelope::write(&push));
                prop_assert!(again.as_ref().is_ok_and(|again| *again == push));
                // What is in it is read with the same care.
                let (_, held) = counted(|| (push.share().is_ok(), push.event().is_ok()));
                prop_assert!(held <= bound, "held {} bytes", held);
                Ok("read")
            }
        }
    });
    for outcome in ["too large", "not JSON", "not an envelope", "not base64", "read"] {
        assert!(tally.of(outcome) > CASES / 1000, "{outcome} is tried: {tally:?}");
    }
}

//! Session handles: bearer strings that only this server can make.

use crate::{
    CASES,
    change::{changed, like, noise, text},
    keys::b64,
    memory::counted,
    property::hold,
};
use license_core::domain::{
    handle::SessionHandle,
    id::{Hw, LicenseNumber, PoolId, SessionId, TenantId},
    secret::{KeyRing, KeyVersion, Secret},
};
use proptest::{array::uniform32, collection::vec, prelude::*, prop_assert, prop_assert_eq, strategy::ValueTree};
use std::{collections::HashSet, sync::LazyLock};
use uuid::Uuid;

/// Longer than any handle of ours.
const LIMIT: usize = 200;

static RING: LazyLock<KeyRing> = LazyLock::new(|| KeyRing {
    current: KeyVersion { version: 2, key: Secret::new(vec![2; 32]) },
    previous: Some(KeyVersion { version: 1, key: Secret::new(vec![1; 32]) }),
});

/// The ring whose current key made this handle.
fn ring_of(version: u8) -> KeyRing {
    KeyRing { current: RING.get(version).unwrap().clone(), previous: None }
}

fn handle() -> impl Strategy<Value = SessionHandle> {
    let ids = (any::<u128>(), any::<u64>(), any::<u128>(), any::<u32>(), any::<u128>());
    (ids, uniform32(any::<u8>()), like("[a-z0-9-]{1,32}")).prop_map(
        |((tenant, license, pool, seat, session), hw, name)| SessionHandle {
            tenant: TenantId(Uuid::from_u128(tenant)),
            license: LicenseNumber(license),
            pool: name.parse().unwrap(),
            pool_id: PoolId(Uuid::from_u128(pool)),
            seat,
            session: SessionId(Uuid::from_u128(session)),
            hw: Hw(hw),
        },
    )
}

static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut runner = crate::property::runner(1).0;
    let mut draw = || handle().new_tree(&mut runner).unwrap().current();
    (0..64).map(|n| draw().mint(&ring_of(1 + n % 2))).collect()
});
static KNOWN: LazyLock<HashSet<&str>> = LazyLock::new(|| GOOD.iter().map(String::as_str).collect());

#[test]
fn nothing_opens_but_what_was_minted() {
    let texts = prop_oneof![8 => changed(&GOOD, 3), 1 => noise(LIMIT)].prop_map(text);
    let tally = hold(CASES, texts, |text| {
        let (opened, held) = counted(|| SessionHandle::verify(&text, &RING));
        if text.len() > LIMIT {
            prop_assert_eq!((opened.is_err(), held), (true, 0));
            return Ok("too long");
        }
        prop_assert!(held <= 4 * LIMIT as u64, "held {} bytes", held);
        prop_assert_eq!(opened.is_ok(), KNOWN.contains(text.as_str()), "{}", text);
        Ok(if opened.is_ok() { "opened" } else { "refused" })
    });
    assert!(["too long", "refused", "opened"].iter().all(|outcome| tally.of(outcome) > CASES / 100), "{tally:?}");
}

#[test]
fn every_handle_prints_back_to_itself() {
    hold(CASES, (handle(), 1..3_u8), |(handle, version)| {
        let text = handle.mint(&ring_of(version));
        prop_assert!(text.len() <= LIMIT);
        prop_assert_eq!(SessionHandle::verify(&text, &RING), Ok(handle));
        Ok("opened")
    });
}

/// Should a key ever leak, or a version of ours write something odd: the body under a right HMAC is still read with care.
#[test]
fn what_opens_under_a_right_hmac_is_written_as_we_would_write_it() {
    let bodies =
        (0..3_u8, 0..4_u8, vec(any::<u8>(), 90..93), prop_oneof![like("[a-z0-9-]{0,34}"), like("[a-zA-Z /é]{0,20}")]);
    let tally = hold(CASES, bodies, |(version, key, fixed, name)| {
        let mut bytes = [&[version, key], fixed.as_slice(), name.as_bytes()].concat();
        let mac = RING.get(key).unwrap_or(&RING.current).sign(&bytes);
        bytes.extend(&mac[..16]);
        let text = b64(&bytes);
        match SessionHandle::verify(&text, &RING) {
            Ok(handle) => {
                prop_assert_eq!(handle.mint(&ring_of(key)), text);
                Ok("opened")
            }
            Err(_) => Ok("refused"),
        }
    });
    assert!(tally.of("opened") > CASES / 100 && tally.of("refused") > CASES / 100, "{tally:?}");
}

use super::*;
use crate::domain::secret::{KeyVersion, Secret};

const TENANT: TenantId = TenantId(Uuid::from_u128(7));

fn pepper(version: u8) -> KeyVersion {
    KeyVersion { version, key: Secret::new(vec![version; 32]) }
}

fn ring(current: u8, previous: Option<u8>) -> KeyRing {
    KeyRing { current: pepper(current), previous: previous.map(pepper) }
}

/// A chain of so many entries, each sealed with the first key of its ring.
fn chain(rings: &[KeyRing]) -> Vec<ChainLink> {
    let (mut links, mut previous) = (Vec::new(), NOTHING.to_vec());
    for (n, peppers) in rings.iter().enumerate() {
        let (seq, id) = (n as i64 + 1, Uuid::from_u128((n as u128 + 1) << 80));
        let mut link = ChainLink {
            seq,
            id,
            at_ms: seq,
            actor: format!("a{n}"),
            details: format!("{{\"n\": {n}}}"),
            salt: Some(vec![n as u8; 16]),
            ..ChainLink::default()
        };
        seal_anew(&mut link, &previous, Some(peppers));
        previous = link.hash.clone();
        links.push(link);
    }
    links
}

fn seal_anew(link: &mut ChainLink, previous: &[u8], peppers: Option<&KeyRing>) {
    link.details_hash = link.details_hash_now().to_vec();
    link.hash = link.hash_after(previous, TENANT).to_vec();
    if let Some(peppers) = peppers {
        link.seal = Some(seal(peppers, TENANT, link.seq, &link.hash));
    }
}

fn head_of(links: &[ChainLink]) -> ChainHead {
    links.last().map_or(ChainHead { seq: 0, hash: vec![] }, |link| ChainHead { seq: link.seq, hash: link.hash.clone() })
}

fn found(links: &[ChainLink], head: &ChainHead, peppers: &KeyRing) -> Vec<FaultKind> {
    let mut checker = ChainChecker::new(TENANT, peppers, None);
    links.iter().for_each(|link| checker.look(link, head.seq, &HashSet::new()));
    checker.end(head);
    checker.faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn a_chain_is_whole_with_its_pepper_and_while_the_newest_entry_is_of_an_accepted_one() {
    let (one, two) = (ring(1, None), ring(2, Some(1)));
    let before = chain(&[one.clone(), one.clone()]);
    let across = chain(&[one.clone(), two.clone()]);
    assert_eq!(found(&before, &head_of(&before), &one), []);
    assert_eq!(found(&before, &head_of(&before), &two), []);
    assert_eq!(found(&across, &head_of(&across), &ring(2, None)), [], "the newest vouches for those before");
    assert_eq!(found(&before, &head_of(&before), &ring(2, None)), [FaultKind::Unsealed], "nothing vouches for it");
    assert_eq!(found(&[], &head_of(&[]), &one), [FaultKind::Cut], "a log that is gone is no log without faults");
}

#[test]
fn every_column_of_an_entry_is_covered() {
    let peppers = ring(1, None);
    let links = chain(&vec![peppers.clone(); 3]);
    let head = head_of(&links);
    let changes: [fn(&mut ChainLink); 11] = [
        |link| link.id = Uuid::from_u128(link.id.as_u128() + 1),
        |link| link.at_ms += 1,
        |link| link.actor_kind.push('x'),
        |link| link.actor.push('x'),
        |link| link.action.push('x'),
        |link| link.target.push('x'),
        |link| link.details.push(' '),
        |link| link.salt = None,
        |link| link.details_hash[0] ^= 1,
        |link| link.hash[0] ^= 1,
        |link| link.seal = None,
    ];
    for at in 0..3 {
        for (n, change) in changes.iter().enumerate() {
            let mut changed = links.clone();
            change(&mut changed[at]);
            assert_ne!(found(&changed, &head, &peppers), [], "change {n} at {at}");
        }
    }
    // What one field loses another gains: the text between them is not the same.
    let mut moved = links.clone();
    (moved[1].action, moved[1].target) = ("a".into(), "1:b,".into());
    let previous = moved[0].hash.clone();
    let hash = moved[1].hash_after(&previous, TENANT);
    (moved[1].action, moved[1].target) = ("a,1:b".into(), String::new());
    assert_ne!(moved[1].hash_after(&previous, TENANT), hash);
}

#[test]
fn who_makes_the_chain_anew_without_the_key_is_found() {
    let peppers = ring(1, None);
    let mut links = chain(&vec![peppers.clone(); 3]);
    links[1].actor = "somebody else".into();
    for n in 1..3 {
        let previous = links[n - 1].hash.clone();
        seal_anew(&mut links[n], &previous, None);
    }
    assert_eq!(found(&links, &head_of(&links), &peppers), [FaultKind::Unsealed; 2]);
    for link in &mut links {
        link.seal = Some(format!("9.{}", secret::base64url(&[7; 32])));
    }
    assert_eq!(
        found(&links, &head_of(&links), &peppers),
        [FaultKind::Unsealed],
        "a pepper nobody knows vouches for nothing"
    );
}

#[test]
fn what_is_blanked_needs_an_erasure_of_the_log_and_the_services_word() {
    let peppers = ring(1, None);
    let mut links = chain(&vec![peppers.clone(); 3]);
    let erasure = links[2].id;
    let (link, erasures) = (&mut links[0], HashSet::from([erasure]));
    (link.salt, link.details, link.erased_by) = (None, "{}".into(), Some(erasure));
    let hash = link.details_hash_now();
    link.erased_hash = Some(hash.to_vec());
    link.erased_seal = Some(seal_erased(&peppers, TENANT, 1, erasure, &hash));
    let head = head_of(&links);
    let check = |links: &[ChainLink], erasures: &HashSet<Uuid>| {
        let mut checker = ChainChecker::new(TENANT, &peppers, None);
        links.iter().for_each(|link| checker.look(link, head.seq, erasures));
        checker.end(&head);
        assert_eq!(checker.erased, 1);
        checker.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>()
    };
    assert_eq!(check(&links, &erasures), []);
    assert_eq!(check(&links, &HashSet::new()), [FaultKind::Blanked], "no such erasure");
    let mut forged = links.clone();
    forged[0].details = "{\"n\": 1}".into();
    assert_eq!(check(&forged, &erasures), [FaultKind::Changed]);
    let hash = forged[0].details_hash_now().to_vec();
    forged[0].erased_hash = Some(hash);
    assert_eq!(check(&forged, &erasures), [FaultKind::Blanked], "the seal is of what was left");
}

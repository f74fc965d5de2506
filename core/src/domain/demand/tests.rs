use super::*;

/// Numbers that look drawn and are the same in each run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).cast_signed() % bound
    }
}

fn constant(seats: u32) -> [SeatCount; 1] {
    [SeatCount { from_ms: i64::MIN, seats }]
}

/// The same, tick by tick: who holds, who waits.
fn refused_by_brute_force(wants: &[Want], seats: impl Fn(i64) -> u32, ticks: i64) -> usize {
    let (mut held, mut line): (Vec<i64>, Vec<Want>) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for now in 0..ticks {
        held.retain(|end| *end > now);
        line.retain(|want| want.patience_ms.is_none_or(|patience| want.first_ms + patience >= now));
        while held.len() < seats(now) as usize && !line.is_empty() {
            held.push(now + line.remove(0).hold_ms);
        }
        for want in wants.iter().filter(|want| want.first_ms == now) {
            // A seat that was held for no time is free again at once.
            held.retain(|end| *end > now);
            if held.len() < seats(now) as usize {
                held.push(now + want.hold_ms);
            } else {
                refused += usize::from(want.counts);
                line.push(*want);
            }
        }
    }
    refused
}

fn history(draw: &mut Draw, ticks: i64) -> Demand {
    let mut wants: Vec<Want> = (0..40)
        .map(|_| Want {
            first_ms: draw.below(ticks),
            hold_ms: 1 + draw.below(20),
            patience_ms: (draw.below(2) == 0).then(|| draw.below(6)),
            counts: draw.below(10) > 0,
        })
        .collect();
    wants.sort_by_key(|want| want.first_ms);
    let count = wants.iter().filter(|want| want.counts).count();
    Demand { from_ms: 0, to_ms: ticks, wants, wanted: Vec::new(), count, refused: 0, drawn: 0 }
}

#[test]
fn a_history_is_played_again_as_tick_by_tick_and_as_many_seats_are_needed() {
    let mut draw = Draw(20_261_130);
    let mut lower = 0;
    for _ in 0..300 {
        let demand = history(&mut draw, 120);
        let refused: Vec<usize> = (0..=40).map(|seats| refused_by_brute_force(&demand.wants, |_| seats, 400)).collect();
        for (seats, expected) in refused.iter().enumerate() {
            assert_eq!(demand.refused_with(&constant(seats as u32)), *expected, "{seats} seats, {demand:?}");
        }
        for needed in demand.seats_needed(&[1, 10, 50, 300]) {
            let fits = |seats: usize| refused[seats] * 1000 <= needed.per_mille as usize * demand.count;
            let least = (0..=40).find(|least| (*least..=40).all(fits)).unwrap();
            assert_eq!(needed.seats as usize, least, "{demand:?}");
            lower += usize::from((0..least).any(fits));
        }
        let (change, before, after) = (draw.below(120), draw.below(6) as u32, draw.below(6) as u32);
        let steps = [SeatCount { from_ms: 0, seats: before }, SeatCount { from_ms: change, seats: after }];
        let expected = refused_by_brute_force(&demand.wants, |now| if now < change { before } else { after }, 400);
        assert_eq!(demand.refused_with(&steps), expected, "{before} then {after} seats at {change}, {demand:?}");
    }
    println!("{lower} times fewer seats would have refused fewer by accident");
}

#[test]
fn who_waited_is_one_want_with_its_first_ask_and_who_gave_up_holds_as_long_as_its_machine_did() {
    let hold = |machine: &str, from, to| Hold { machine: machine.into(), from_ms: from, to_ms: to };
    let denial = |machine: &str, first, last, granted| Denial {
        machine: machine.into(),
        first_ms: first,
        last_ms: last,
        granted_ms: granted,
    };
    let (minute, hour) = (60_000, HOUR_MS);
    let holds = [
        hold("early", -hour, Some(10 * minute)),
        hold("a", 0, Some(hour)),
        hold("b", hour, Some(hour + 5 * minute)),
        hold("a", 2 * hour, None),
    ];
    let denials = [denial("b", 30 * minute, 50 * minute, Some(hour + 2)), denial("a", 90 * minute, 95 * minute, None)];
    let demand = Demand::of(&holds, &denials, 0, 3 * hour);
    assert_eq!((demand.count, demand.refused, demand.drawn), (4, 2, 1));
    let wants: Vec<_> = demand.wants.iter().map(|want| (want.first_ms, want.counts)).collect();
    assert_eq!(wants, [(-hour, false), (0, true), (30 * minute, true), (90 * minute, true), (2 * hour, true)]);
    assert_eq!(demand.wants[2], Want { first_ms: 30 * minute, hold_ms: 5 * minute, patience_ms: None, counts: true });
    assert_eq!(demand.wants[3].patience_ms, Some(5 * minute));
    assert_eq!(demand.wants[3].hold_ms, hour, "as long as its machine held its seats");
    assert_eq!(demand.peaks(), BTreeMap::from([(0, 2), (1, 1), (2, 1)]));
    let none = Demand::of(&[], &[], 0, hour);
    assert_eq!((none.seats_needed(&[10])[0].seats, none.peaks()), (0, BTreeMap::new()));
}

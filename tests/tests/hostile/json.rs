//! JSON that is almost right: good objects with members missing, doubled, renamed or of another kind, and values no program expects.

use crate::change::like;
use proptest::{collection::vec, prelude::*};

/// A value's text, JSON for the most part.
pub(crate) type Raw = BoxedStrategy<String>;

/// Odd words.
const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e5",
    "-1e-400",
    "1e400",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "0.1000000000000000055511151231257827",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "[]",
    "{}",
    "",
    "{\"a\":1,\"a\":2}",
    "nul",
    "NaN",
    "-",
    "'x'",
    "[1,]",
    "{\"a\"}",
    "\"\u{feff}\"",
    "1 1",
];

/// Values nobody means: of every kind, out of every range, deep, long, cut short.
pub(crate) fn odd() -> Raw {
    let deep = (
        prop_oneof![Just("["), Just("{\"a\":"), Just("[[],")],
        prop_oneof![0..8_usize, 100..140_usize, 1000..3000_usize],
        any::<bool>(),
    );
    let deep = deep.prop_map(|(open, depth, closed)| {
        let close = if open.starts_with('{') { "}" } else { "]" };
        open.repeat(depth) + "0" + &if closed { close.repeat(depth) } else { String::new() }
    });
    let wide = (prop_oneof![Just("0,"), Just("[],"), Just("{},"), Just("\"\",")], 0..4000_usize)
        .prop_map(|(piece, times)| format!("[{}0]", piece.repeat(times)));
    prop_oneof![
        4 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => any::<f64>().prop_map(|x| format!("{x:e}")),
        1 => any::<i64>().prop_map(|x| x.to_string()),
        1 => like("[ -~]{0,12}"),
        2 => texts(),
        1 => deep,
        1 => wide,
        1 => (0..5000_usize).prop_map(|len| format!("\"{}\"", "x".repeat(len))),
    ]
    .boxed()
}

/// Good strings, of any characters.
pub(crate) fn texts() -> Raw {
    prop_oneof![like("[a-z0-9-]{0,20}"), like(".{0,12}")]
        .prop_map(|text: String| serde_json::Value::from(text).to_string())
        .boxed()
}

/// Exactly this text as a string.
pub(crate) fn text(text: impl Into<String>) -> Raw {
    Just(serde_json::Value::from(text.into()).to_string()).boxed()
}

/// Good numbers around this one, and far from it.
pub(crate) fn number(around: i64) -> Raw {
    prop_oneof![8 => around - 100..around + 100, 1 => any::<i64>(), 1 => prop_oneof![Just(i64::MIN), Just(i64::MAX)]]
        .prop_map(|number| number.to_string())
        .boxed()
}

#[derive(Clone, Debug)]
enum Fate {
    Good,
    Missing,
    Odd(String),
    Twice(String),
    Renamed(String),
}

/// An object of these members, most of them good.
pub(crate) fn object(members: Vec<(&'static str, Raw)>) -> Raw {
    let names = || prop_oneof![like("[a-z_]{1,10}"), Just("\\u0061".to_owned()), Just(String::new())];
    let fate = prop_oneof![
        60 => Just(Fate::Good),
        1 => Just(Fate::Missing),
        2 => odd().prop_map(Fate::Odd),
        1 => odd().prop_map(Fate::Twice),
        1 => names().prop_map(Fate::Renamed),
    ];
    let of = |(name, good): (&'static str, Raw)| (Just(name), good, fate.clone());
    let members: Vec<_> = members.into_iter().map(of).collect();
    let extra = prop_oneof![6 => Just(Vec::new()), 1 => vec((names(), odd()), 1..3)];
    let space = prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t")];
    (members.prop_shuffle(), extra, space)
        .prop_map(|(members, extra, space)| {
            let mut written = Vec::new();
            for (name, good, fate) in members {
                match fate {
                    Fate::Good => written.push(format!("\"{name}\":{space}{good}")),
                    Fate::Missing => {}
                    Fate::Odd(odd) => written.push(format!("\"{name}\":{odd}")),
                    Fate::Twice(odd) => written.push(format!("\"{name}\":{good},\"{name}\":{odd}")),
                    Fate::Renamed(other) => written.push(format!("\"{other}\":{good}")),
                }
            }
            written.extend(extra.into_iter().map(|(name, odd)| format!("\"{name}\":{odd}")));
            format!("{space}{{{}{space}}}", written.join(","))
        })
        .boxed()
}

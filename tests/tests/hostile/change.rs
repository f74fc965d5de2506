//! Texts that are almost right: good ones with a few changes, noise, and far too much of something.

use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    string::{RegexGeneratorStrategy, string_regex},
};

/// One change of a text.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Flip(Index, u8),
    Cut(Index, u8),
    End(Index),
    Put(Index, String),
    Repeat(Index, u16),
    /// From here on it is another good text.
    Splice(Index),
    Case(Index),
    LookAlike(Index),
    /// The other alphabet of base64, or back.
    Alphabet(Index),
    /// The bits that base64 leaves over are not zero.
    Leftover(Index, u8),
}

impl Change {
    fn apply(&self, text: &mut Vec<u8>, other: &[u8]) {
        let end = text.len();
        match self {
            Self::Put(at, what) => drop(text.splice(at.index(end + 1)..at.index(end + 1), what.bytes())),
            Self::Splice(at) => {
                let at = at.index(end + 1);
                text.truncate(at);
                text.extend(other.iter().skip(at));
            }
            _ if text.is_empty() => {}
            Self::Flip(at, bit) => text[at.index(end)] ^= 1 << (bit % 8),
            Self::Cut(at, len) => {
                let at = at.index(end);
                drop(text.drain(at..end.min(at + usize::from(*len))));
            }
            Self::End(at) => text.truncate(at.index(end)),
            Self::Repeat(at, times) => {
                let at = at.index(end);
                let piece = text[at..end.min(at + 16)].repeat(usize::from(*times));
                drop(text.splice(at..at, piece));
            }
            Self::Case(at) => {
                let at = at.index(end);
                text[at] = if text[at].is_ascii_lowercase() {
                    text[at].to_ascii_uppercase()
                } else {
                    text[at].to_ascii_lowercase()
                };
            }
            Self::LookAlike(at) => {
                let at = at.index(end);
                let like = look_alike(text[at]).to_string();
                drop(text.splice(at..=at, like.bytes()));
            }
            Self::Alphabet(at) => {
                let at = at.index(end);
                text[at] = match text[at] {
                    b'-' => b'+',
                    b'_' => b'/',
                    b'+' => b'-',
                    b'/' => b'_',
                    other => other,
                };
            }
            Self::Leftover(at, bits) => leftover(text, *at, *bits),
        }
    }
}

/// Raises bits of the last symbol of one of the text's dot-separated parts.
fn leftover(text: &mut [u8], at: Index, bits: u8) {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut ends: Vec<usize> = (1..text.len()).filter(|&at| text[at] == b'.').map(|at| at - 1).collect();
    ends.push(text.len() - 1);
    let last = ends[at.index(ends.len())];
    if let Some(value) = SYMBOLS.iter().position(|&symbol| symbol == text[last]) {
        text[last] = SYMBOLS[value | usize::from(bits % 64)];
    }
}

/// A character that people, or a careless folding of case, take for this one.
fn look_alike(byte: u8) -> char {
    match byte {
        b'A' => 'А',
        b'C' => 'С',
        b'O' | b'0' => 'О',
        b'I' | b'i' => 'ı',
        b'K' | b'k' => '\u{212a}',
        b'S' | b's' => 'ſ',
        b'-' => '‐',
        b'.' => '․',
        b' ' => '\u{a0}',
        0x21..0x7f => char::from_u32(u32::from(byte) + 0xfee0).unwrap_or('�'),
        _ => '\u{feff}',
    }
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let words = prop_oneof![
        Just("=".to_owned()),
        Just("==".to_owned()),
        Just("\n".to_owned()),
        Just("\0".to_owned()),
        Just(".".to_owned()),
        Just("-".to_owned()),
        Just(" ".to_owned()),
        Just("\u{200b}".to_owned()),
        like("[ -~]{1,8}"),
    ];
    prop_oneof![
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), 1..20_u8).prop_map(|(at, len)| Change::Cut(at, len)),
        1 => at().prop_map(Change::End),
        2 => (at(), words).prop_map(|(at, what)| Change::Put(at, what)),
        1 => (at(), 1..300_u16).prop_map(|(at, times)| Change::Repeat(at, times)),
        2 => at().prop_map(Change::Splice),
        1 => at().prop_map(Change::Case),
        1 => at().prop_map(Change::LookAlike),
        1 => at().prop_map(Change::Alphabet),
        2 => (at(), 1..64_u8).prop_map(|(at, bits)| Change::Leftover(at, bits)),
    ]
}

/// Good texts with up to `most` changes each, none included.
pub(crate) fn changed<T: AsRef<[u8]>>(good: &'static [T], most: usize) -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), any::<Index>(), vec(change(), 0..=most)).prop_map(|(one, other, changes)| {
        let mut text = one.get(good).as_ref().to_vec();
        for change in changes {
            change.apply(&mut text, other.get(good).as_ref());
        }
        text
    })
}

/// Bytes, characters, and up to three times `limit` of one short piece.
pub(crate) fn noise(limit: usize) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        like("[A-Za-z0-9._-]{1,4}"),
        Just("[".to_owned()),
        Just("{\"a\":".to_owned()),
        Just("é".to_owned())
    ];
    prop_oneof![
        2 => vec(any::<u8>(), 0..120),
        1 => vec(any::<char>(), 0..60).prop_map(|text| text.into_iter().collect::<String>().into_bytes()),
        1 => (piece, 0..3 * limit).prop_map(|(piece, len)| {
            let mut much = piece.repeat(len / piece.len() + 1).into_bytes();
            much.truncate(len);
            much
        }),
    ]
}

/// Texts of this pattern. A bare pattern would be parsed anew for every case.
pub(crate) fn like(pattern: &str) -> RegexGeneratorStrategy<String> {
    string_regex(pattern).unwrap()
}

/// What a reader of text is given.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

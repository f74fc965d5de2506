//! Crockford's base32 alphabet <https://www.crockford.com/base32.html>, shared by license numbers and license keys.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The symbol for a value below 32.
pub(super) fn symbol(value: u8) -> char {
    char::from(ALPHABET[usize::from(value & 31)])
}

/// The value of a symbol; `None` if the character is not a symbol. Lower case and look-alikes (`O` for 0, `I` and `L`
/// for 1) are accepted, and also `İ` and `ı`, which a change of case by Turkish rules makes from an `I`.
pub(super) fn value(symbol: char) -> Option<u8> {
    let symbol = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' | 'İ' | 'ı' => '1',
        other => other,
    };
    ALPHABET.iter().position(|&s| char::from(s) == symbol).map(|at| at as u8)
}

/// The last `count` symbols of `bits`, the most significant first. `count * 5` must be at least the number of bits that
/// the value needs.
pub(super) fn encode(bits: u128, count: u32) -> String {
    (0..count).rev().map(|at| symbol(((bits >> (at * 5)) & 31) as u8)).collect()
}

/// The number that `symbols` spell; `None` if a character is not a symbol or the text has more than 25 bytes.
pub(super) fn decode(symbols: &str) -> Option<u128> {
    if symbols.len() > 25 {
        return None;
    }
    symbols.chars().try_fold(0u128, |bits, s| Some(bits << 5 | u128::from(value(s)?)))
}

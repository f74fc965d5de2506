//! Recognition of texts that may be secrets. A text that looks like a credential must not be written to a log line or
//! an audit row, or be repeated in an answer.

use super::{base32, key::LicenseKey, opaque::SecretKind};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

/// The beginnings of a JWT: the base64url form of the beginning of a JSON object, which is a brace followed by a quote,
/// a blank or a line end (RFC 7515, section 3.1).
const JWT_BEGINNINGS: [&str; 5] = ["eyJ", "eyA", "ewo", "ew0", "ewk"];

/// The smallest number of encoded characters that are decoded. Fewer characters contain too little of a credential to
/// distinguish it from other text.
const SHORTEST_ENCODED: usize = 16;

/// True if a text looks like a credential of this server or of an identity provider, or like a part of one.
///
/// That is a license key, an API token, a vendor token, an invitation or a JWT, in any spelling and also encoded in
/// base64 or hexadecimal digits.
///
/// `true` does not mean that the credential exists, and a text that is not a credential may look like one.
///
/// Session handles are not recognised. The shortest has 148 characters of base64url, and nothing distinguishes them
/// from other long texts.
pub fn looks_like_credential(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let jwt =
        JWT_BEGINNINGS.iter().any(|json| text.split(|c: char| !is_base64url(c)).any(|part| part.starts_with(json)));
    let encoded =
        decode_parts(text).iter().any(|inner| contains_opaque_secret(inner, 8) || contains_license_key(inner));
    contains_opaque_secret(&lower, 0) || jwt || contains_license_key(&lower) || encoded
}

/// Decodes each part of a text from base64 and from hexadecimal digits, in lower case and with a blank for every byte
/// that is not ASCII. Each part is decoded from each of its first four characters on, because it is not known where the
/// encoded text begins.
fn decode_parts(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || "+/-_".contains(c)));
    let decode_part = |part: &str| {
        let bytes = part.as_bytes();
        let all = (0..4.min(bytes.len()))
            .flat_map(|from| [decode_base64(&bytes[from..]), decode_hexadecimal(&bytes[from..])]);
        all.map(|bytes| {
            bytes.iter().map(|b| if b.is_ascii() { char::from(b.to_ascii_lowercase()) } else { ' ' }).collect()
        })
        .collect::<Vec<String>>()
    };
    parts.filter(|part| part.len() >= SHORTEST_ENCODED).flat_map(decode_part).collect()
}

/// Decodes base64 in either alphabet (RFC 4648, sections 4 and 5), up to the last complete group of four digits.
/// Returns no bytes if a character is not a digit.
fn decode_base64(digits: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .iter()
        .map(|b| match b {
            b'+' => b'-',
            b'/' => b'_',
            b => *b,
        })
        .collect();
    BASE64_URL_SAFE_NO_PAD.decode(&digits[..digits.len() / 4 * 4]).unwrap_or_default()
}

/// Decodes pairs of hexadecimal digits up to the first pair that has another character.
fn decode_hexadecimal(digits: &[u8]) -> Vec<u8> {
    let value = |b: &u8| char::from(*b).to_digit(16).map(|digit| digit as u8);
    digits.chunks_exact(2).map_while(|pair| Some(value(&pair[0])? << 4 | value(&pair[1])?)).collect()
}

/// True if the text contains the prefix of an API token, a vendor token or an invitation, followed by at least `least`
/// of its symbols.
fn contains_opaque_secret(lower: &str, least: usize) -> bool {
    SecretKind::ALL.iter().filter_map(|kind| kind.prefix().split('_').next()).any(|prefix| {
        lower.match_indices(prefix).any(|(at, _)| {
            let rest = lower[at + prefix.len()..].strip_prefix(['_', '-', '.']);
            let is_secret_symbol = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            rest.is_some_and(|rest| rest.chars().take_while(is_secret_symbol).count() >= least)
        })
    })
}

/// True if the text is a license key with or without its prefix, or contains the prefix and at least ten symbols of a
/// key.
fn contains_license_key(lower: &str) -> bool {
    let symbols: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    // People who dictate or type a key usually spell its prefix correctly; the symbols after it may be wrong.
    let with_prefix = symbols.match_indices("codi").any(|(at, prefix)| {
        let rest = symbols[at + prefix.len()..].chars().take_while(|c| base32::value(*c).is_some()).count();
        rest >= 10
    });
    with_prefix || LicenseKey::parse(&symbols).is_ok() || LicenseKey::parse(&format!("CODI{symbols}")).is_ok()
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{LicenseNumber, TenantId, draw_uuid},
        opaque::OpaqueSecret,
    };
    use base64::prelude::BASE64_STANDARD;
    use uuid::Uuid;

    #[test]
    fn every_credential_and_pieces_of_it_are_recognised_however_they_are_spelled() {
        let key = LicenseKey::draw(LicenseNumber::draw()).reveal();
        let mut all = vec![
            key.clone(),
            key.replace('-', ""),
            key.replace('-', "."),
            key.replace('-', "_"),
            key.replace('O', "0").replace('I', "1"),
            key["CODI-".len()..].to_owned(),
            key["CODI-".len()..].replace('-', ""),
            format!("req-{key}"),
            format!("{key}.7"),
            key[..25].to_owned(),
            // Mistyped.
            format!("{}{}", &key[..39], if key.ends_with('0') { '1' } else { '0' }),
            "eyJhbGciOiJSUzI1NiJ9".to_owned(),
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln".to_owned(),
            "Bearer.eyJhbGciOiJSUzI1NiJ9".to_owned(),
            "ewogICJhbGciOiAiUlMyNTYi".to_owned(),
        ];
        for &kind in SecretKind::ALL {
            let text = OpaqueSecret::draw(kind, TenantId(draw_uuid())).reveal();
            all.extend([text[..40].to_owned(), text.replace('_', "-"), format!("id.{text}"), text]);
        }
        for text in &all {
            for spelled in [text.to_lowercase(), text.to_uppercase(), text.clone()] {
                // Case is part of base64.
                let spelled = if text.contains("ey") || text.contains("ew") { text } else { &spelled };
                assert!(looks_like_credential(spelled), "{spelled}");
            }
        }
    }

    #[test]
    fn a_credential_is_recognised_in_base64_and_in_hexadecimal_digits() {
        let key = LicenseKey::draw(LicenseNumber::draw()).reveal();
        let token = OpaqueSecret::draw(SecretKind::ApiToken, TenantId(draw_uuid())).reveal();
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        for secret in [key.clone(), key.replace('-', ""), key.to_lowercase(), token.clone(), format!("user:{key}")] {
            for text in [
                BASE64_STANDARD.encode(&secret),
                BASE64_URL_SAFE_NO_PAD.encode(&secret),
                // Cut off, as an id is that may have 64 characters.
                BASE64_URL_SAFE_NO_PAD.encode(&secret)[..40].to_owned(),
                format!("id-{}.7", BASE64_URL_SAFE_NO_PAD.encode(&secret)),
                hex(&secret),
                hex(&secret).to_uppercase()[..60].to_owned(),
            ] {
                assert!(looks_like_credential(&text), "{text} is {secret}");
            }
        }
    }

    #[test]
    fn ids_of_requests_and_traces_are_none() {
        for _ in 0..10_000 {
            let uuid = Uuid::new_v4();
            assert!(
                !looks_like_credential(&uuid.to_string()) && !looks_like_credential(&uuid.simple().to_string()),
                "{uuid}"
            );
        }
        let ids = [
            "client-7.a_B",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "V1StGXR8_Z5jdHi6B-myT",
            "codify-42",
            "cdt",
            "acdi",
            "",
            "mine",
            "keys.e2e",
        ];
        for id in ids {
            assert!(!looks_like_credential(id), "{id}");
        }
    }
}

//! Telling texts that may be secrets from others, for whoever wants to write one down: a log line, an audit row, an echo.

use super::{base32, key::LicenseKey, opaque::Kind};

/// How base64url spells the beginning of a JSON object, and thus of a JWT: a brace, and a quote, a blank or a line end behind it
/// (RFC 7515, section 3.1).
const JSON: [&str; 5] = ["eyJ", "eyA", "ewo", "ew0", "ewk"];

/// Whether a text looks like a credential of this server or of an identity provider, or like a piece of one, however it is spelled: a license
/// key, an API token, an invitation, a JWT. Nothing is said about whether there is such a one, and a text that is none may look like one.
///
/// Session handles are not looked for: the shortest has 148 characters of base64url, and nothing tells them from other long texts.
pub fn looks_like_one(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    let opaque = Kind::ALL.iter().filter_map(|kind| kind.prefix().split('_').next()).any(|prefix| {
        small.match_indices(prefix).any(|(at, _)| small[at + prefix.len()..].starts_with(['_', '-', '.']))
    });
    let jwt = JSON.iter().any(|json| text.split(|c: char| !is_base64url(c)).any(|part| part.starts_with(json)));
    opaque || jwt || spells_a_key(&small)
}

/// A license key, whole or cut off, with its prefix or without, alone or within other text.
fn spells_a_key(small: &str) -> bool {
    let symbols: String = small.chars().filter(|c| c.is_alphanumeric()).collect();
    // People who read a key aloud or type it leave its beginning as it is; what follows need not be right.
    let named = symbols.match_indices("codi").any(|(at, prefix)| {
        let behind = symbols[at + prefix.len()..].chars().take_while(|c| base32::value(*c).is_some()).count();
        behind >= 10
    });
    named || LicenseKey::parse(&symbols).is_ok() || LicenseKey::parse(&format!("CODI{symbols}")).is_ok()
}

fn is_base64url(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::LicenseNumber, id::TenantId, opaque::Opaque};
    use base64::{
        Engine,
        prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
    };
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
        for &kind in Kind::ALL {
            let text = Opaque::draw(kind, TenantId(Uuid::now_v7())).reveal();
            all.extend([text[..40].to_owned(), text.replace('_', "-"), format!("id.{text}"), text]);
        }
        for text in &all {
            for spelled in [text.to_lowercase(), text.to_uppercase(), text.clone()] {
                // Case is part of base64.
                let spelled = if text.contains("ey") || text.contains("ew") { text } else { &spelled };
                assert!(looks_like_one(spelled), "{spelled}");
            }
        }
    }

    #[test]
    fn a_credential_is_recognised_in_base64_and_in_hexadecimal_digits() {
        let key = LicenseKey::draw(LicenseNumber::draw()).reveal();
        let token = Opaque::draw(Kind::ApiToken, TenantId(Uuid::now_v7())).reveal();
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
                assert!(looks_like_one(&text), "{text} is {secret}");
            }
        }
    }

    #[test]
    fn ids_of_requests_and_traces_are_none() {
        for _ in 0..10_000 {
            let uuid = Uuid::new_v4();
            assert!(!looks_like_one(&uuid.to_string()) && !looks_like_one(&uuid.simple().to_string()), "{uuid}");
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
            assert!(!looks_like_one(id), "{id}");
        }
    }
}

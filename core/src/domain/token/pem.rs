//! The textual form of keys (RFC 7468), as far as this server needs it: one block without headers.

use base64::{Engine, prelude::BASE64_STANDARD};

/// Writes bytes as a PEM block with that label.
pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for at in (0..text.len()).step_by(64) {
        out.push_str(&text[at..text.len().min(at + 64)]);
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

/// The bytes of a text that is exactly one PEM block with that label; `None` for every other text.
pub(crate) fn decode(label: &str, text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?;
    let body = body.strip_suffix(&format!("-----END {label}-----"))?;
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(packed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_back_and_nothing_else_is_read() {
        let der: Vec<u8> = (0..200).collect();
        let text = encode("PUBLIC KEY", &der);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(decode("PUBLIC KEY", &text), Some(der.clone()));
        assert_eq!(decode("PUBLIC KEY", &text.replace('\n', "\r\n")), Some(der));
        assert_eq!(decode("PRIVATE KEY", &text), None);
        assert_eq!(decode("PUBLIC KEY", &format!("{text}{text}")), None);
        assert_eq!(decode("PUBLIC KEY", ""), None);
    }
}

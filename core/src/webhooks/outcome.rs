//! What came of one attempt.

use super::names::AddressNotPublic;
use std::error::Error as StdError;
use std::io;

/// What came of one attempt, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// From the look at the address to the end of the answer, in milliseconds.
    pub took_ms: i64,
}

/// What came of one attempt. Only [`AttemptOutcome::Delivered`] is a success; after every other one the attempt may be
/// repeated, except after [`AttemptOutcome::Gone`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver answered with a status from 200 to 299.
    Delivered {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver answered with another status than those of the other outcomes.
    Refused {
        /// The HTTP status.
        status: u16,
        /// How the answer began: at most 4,096 bytes as they came, read as UTF-8. It has no control characters, so that
        /// PostgreSQL can store it. At most 4,096 characters.
        body: String,
    },
    /// The receiver answered with a status from 300 to 399. Where to was not looked at.
    Redirected {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver answered 410. As the specification says, the endpoint should be disabled.
    Gone,
    /// The endpoint's address is not one that may be sent to. Nothing was sent.
    NotAllowed,
    /// The endpoint's host name has no address, or it could not be looked up. Nothing was sent.
    Unresolved,
    /// No connection came about, or it ended before the answer.
    Unreachable,
    /// There was a connection, but the receiver's certificate was not accepted or the two did not agree on TLS. Nothing
    /// was sent.
    Tls,
    /// The time was over before the answer's status had come.
    TimedOut,
}

impl AttemptOutcome {
    /// The outcome of an attempt that was answered.
    pub(super) fn answered(status: u16, body: &[u8]) -> Self {
        match status {
            200..=299 => Self::Delivered { status },
            300..=399 => Self::Redirected { status },
            410 => Self::Gone,
            _ => Self::Refused { status, body: plain_text(body) },
        }
    }

    /// The outcome of an attempt that was not answered.
    pub(super) fn unanswered(error: &reqwest::Error) -> Self {
        let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
        if error.is_timeout() {
            Self::TimedOut
        } else if causes.clone().any(|cause| cause.is::<AddressNotPublic>()) {
            Self::NotAllowed
        } else if error.is_dns() {
            Self::Unresolved
        } else if error.is_connect() && causes.any(is_of_tls) {
            Self::Tls
        } else {
            Self::Unreachable
        }
    }

    /// The word for this outcome in records and answers.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Refused { .. } => "refused",
            Self::Redirected { .. } => "redirected",
            Self::Gone => "gone",
            Self::NotAllowed => "not_allowed",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::TimedOut => "timed_out",
        }
    }

    /// The HTTP status, where the receiver answered.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Delivered { status } | Self::Refused { status, .. } | Self::Redirected { status } => Some(*status),
            Self::Gone => Some(410),
            Self::NotAllowed | Self::Unresolved | Self::Unreachable | Self::Tls | Self::TimedOut => None,
        }
    }

    /// A sentence for the endpoint's owner. It has no URL, no address and no secret in it, and nothing that the
    /// receiver wrote.
    pub fn detail(&self) -> String {
        match self {
            Self::Delivered { status } => format!("The receiver accepted the message with status {status}."),
            Self::Refused { status, .. } => format!("The receiver answered with status {status}."),
            Self::Redirected { status } => {
                format!("The receiver answered with the redirect {status}, and redirects are not followed.")
            }
            Self::Gone => "The receiver answered with status 410, so it wants no more messages.".into(),
            Self::NotAllowed => "The receiver's host has an address that is not public.".into(),
            Self::Unresolved => "The receiver's host name could not be resolved.".into(),
            Self::Unreachable => "The receiver could not be connected to, or it closed the connection.".into(),
            Self::Tls => "The receiver's certificate was not accepted, or it does not speak TLS.".into(),
            Self::TimedOut => "The receiver did not answer in time.".into(),
        }
    }
}

/// True for an error that TLS made out of what the other side sent, or did not send. The sockets underneath fail with
/// other kinds.
fn is_of_tls(error: &(dyn StdError + 'static)) -> bool {
    // One I/O error may be wrapped in another one, which then leaves it out of its sources.
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            || error.get_ref().is_some_and(|inner| is_of_tls(inner))
    })
}

/// Bytes from outside as a text of one line that can be stored and shown: what is no UTF-8 becomes U+FFFD, and each
/// control character, with those that end a line, a space.
fn plain_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_came_of_an_attempt() {
        for (status, word) in [
            (200, "delivered"),
            (204, "delivered"),
            (299, "delivered"),
            (300, "redirected"),
            (304, "redirected"),
            (399, "redirected"),
            (400, "refused"),
            (409, "refused"),
            (410, "gone"),
            (411, "refused"),
            (429, "refused"),
            (503, "refused"),
            (999, "refused"),
            (101, "refused"),
        ] {
            let outcome = AttemptOutcome::answered(status, b"");
            assert_eq!((outcome.as_str(), outcome.status()), (word, Some(status)));
            assert!(outcome.detail().contains(&status.to_string()), "{}", outcome.detail());
        }
    }

    #[test]
    fn what_a_receiver_wrote_is_kept_as_one_line_of_plain_text() {
        assert_eq!(plain_text(b"down\0for\r\nrepairs\x1b[31m\x7f"), "down for  repairs [31m ");
        assert_eq!(plain_text("größer \u{85}\u{1f980}".as_bytes()), "größer  \u{1f980}");
        assert_eq!(plain_text(b"\xff\xfeabc\xf0\x9f"), "\u{fffd}\u{fffd}abc\u{fffd}");
    }
}

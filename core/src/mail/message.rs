//! A mail as it is sent: its headers, and its body as text and as HTML.

use super::content::{MailContent, one_line};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use std::{str::FromStr, time::SystemTime};
use uuid::Uuid;

/// Whom mails are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom(Mailbox);

/// The text is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a mailbox, such as license@example.com or Licenses <license@example.com>")]
pub struct InvalidMailbox;

impl FromStr for MailFrom {
    type Err = InvalidMailbox;
    fn from_str(text: &str) -> Result<Self, InvalidMailbox> {
        if one_line(text, 320) != text {
            return Err(InvalidMailbox);
        }
        let mailbox: Mailbox = text.parse().map_err(|_| InvalidMailbox)?;
        Ok(Self(Mailbox { email: with_ascii_domain(&mailbox.email).ok_or(InvalidMailbox)?, ..mailbox }))
    }
}

/// One mail before it is a message.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// What names it, in every try: its Message-ID is made of it.
    pub id: Uuid,
    /// To whom.
    pub to: &'a str,
    /// What it says.
    pub content: &'a MailContent,
    /// Where the recipient says that they want no more of these, with one POST (RFC 8058); `None`: nowhere.
    pub unsubscribe: Option<&'a str>,
    /// When it is sent.
    pub at: SystemTime,
}

/// A mail that can be sent.
#[derive(Clone)]
pub struct PreparedMail {
    /// What names it.
    pub id: Uuid,
    /// From whom and to whom, as the mail server is told.
    pub(super) envelope: Envelope,
    /// The message, in the form of RFC 5322.
    pub(super) message: Vec<u8>,
    /// To whom, as text.
    pub(super) to: String,
    /// What it says.
    pub(super) content: MailContent,
    /// When it is sent.
    pub(super) at: SystemTime,
}

impl PreparedMail {
    /// Makes the message. Its Message-ID is the same in every try, so that who gets it twice all the same, from a
    /// server that repeats, is shown it once.
    ///
    /// # Errors
    /// One word for why this can be sent to nobody: `address_invalid` or `not_composed`.
    pub fn new(letter: &Letter<'_>, from: &MailFrom) -> Result<Self, &'static str> {
        let to: Address = letter.to.parse().map_err(|_| "address_invalid")?;
        let to = with_ascii_domain(&to).ok_or("address_invalid")?;
        let raw = |name: &'static str, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        let mut builder = Message::builder()
            .from(from.0.clone())
            // Without a name: whatever people call themselves stays out of this header.
            .to(Mailbox::new(None, to.clone()))
            .subject(one_line(&letter.content.subject, 200))
            .message_id(Some(format!("<{}@{}>", letter.id, from.0.email.domain())))
            .date(letter.at)
            // RFC 3834: nobody's out-of-office notice is an answer to it.
            .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()));
        if let Some(url) = letter.unsubscribe {
            let url = url::Url::parse(url).map_err(|_| "not_composed")?;
            builder = builder
                .raw_header(raw("List-Unsubscribe", format!("<{url}>")))
                .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        let MailContent { text, html, .. } = letter.content.clone();
        let message = builder.multipart(MultiPart::alternative_plain_html(text, html)).map_err(|_| "not_composed")?;
        let (envelope, bytes) = (message.envelope().clone(), message.formatted());
        let (to, content) = (to.to_string(), letter.content.clone());
        Ok(Self { id: letter.id, envelope, message: bytes, to, content, at: letter.at })
    }

    /// The message, in the form of RFC 5322.
    pub fn message(&self) -> &[u8] {
        &self.message
    }
}

/// It has people's addresses in it.
impl std::fmt::Debug for PreparedMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreparedMail({})", self.id)
    }
}

/// The address with the form of its domain that every mail server understands (RFC 5891).
fn with_ascii_domain(address: &Address) -> Option<Address> {
    let domain = idna::domain_to_ascii(address.domain()).ok()?;
    Address::new(address.user(), domain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(subject: &str) -> MailContent {
        MailContent {
            subject: subject.into(), text: "Grüße\n.\n..\nFrom here\n".into(), html: "<p>Grüße</p>".into()
        }
    }

    fn prepared(to: &str, subject: &str) -> Result<String, &'static str> {
        let content = content(subject);
        let unsubscribe = Some("https://example.com/api/v1/mail/unsubscribe?token=abc");
        let letter = Letter { id: Uuid::from_u128(7), to, content: &content, unsubscribe, at: SystemTime::UNIX_EPOCH };
        let mail = PreparedMail::new(&letter, &"Licenses <license@example.com>".parse().unwrap())?;
        Ok(String::from_utf8(mail.message).unwrap())
    }

    /// The lines before the first empty one, unfolded.
    fn headers(message: &str) -> Vec<String> {
        let head = message.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_message_has_the_headers_that_mail_programs_go_by() {
        let message = prepared("ada@example.com", "Pool is full").unwrap();
        let headers = headers(&message);
        for header in [
            "From: Licenses <license@example.com>",
            "To: ada@example.com",
            "Subject: Pool is full",
            "Message-ID: <00000000-0000-0000-0000-000000000007@example.com>",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "Auto-Submitted: auto-generated",
            "List-Unsubscribe: <https://example.com/api/v1/mail/unsubscribe?token=abc>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "MIME-Version: 1.0",
        ] {
            assert!(headers.iter().any(|it| it == header), "{header} of {headers:#?}");
        }
        assert!(message.contains("text/plain") && message.contains("text/html"), "{message}");
        assert!(message.is_ascii(), "{message}");
    }

    #[test]
    fn no_subject_makes_another_header_or_a_long_line() {
        let long = "x".repeat(5_000);
        for subject in [
            "a\r\nBcc: b@example.com",
            "a\nBcc: b@example.com",
            "a\rBcc: b@example.com",
            "a\u{2028}Bcc: b@example.com",
            "a\0Bcc: b@example.com",
            "=?utf-8?q?a=0D=0ABcc:_b@example.com?=",
            "ä =?utf-8?b?DQpCY2M6IGJAZXhhbXBsZS5jb20=?= ö",
            "\r\n\r\nbody",
            long.as_str(),
            &"ü".repeat(5_000),
        ] {
            let message = prepared("ada@example.com", subject).unwrap();
            let names: Vec<String> =
                headers(&message).iter().map(|it| it.split(':').next().unwrap().to_lowercase()).collect();
            assert!(!names.iter().any(|name| name == "bcc" || name == "cc"), "{message}");
            assert_eq!(names.iter().filter(|name| *name == "subject").count(), 1, "{message}");
            assert_eq!(names.len(), headers(&prepared("ada@example.com", "a").unwrap()).len(), "{message}");
            assert!(
                message.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])),
                "{subject:?}"
            );
            assert!(!message.contains("=?utf-8?q?a=0D=0ABcc") && !message.contains("=?utf-8?b?DQpCY2M"), "{message}");
        }
    }

    #[test]
    fn only_an_address_is_one() {
        for to in [
            "",
            "ada",
            "ada@example.com\r\nBcc: b@example.com",
            "ada@example.com, b@example.com",
            "a b@example.com",
            "<ada@example.com>",
            "ada@example.com\0",
        ] {
            assert_eq!(prepared(to, "s").err(), Some("address_invalid"), "{to:?}");
        }
        let message = prepared("ada@bücher.example", "s").unwrap();
        assert!(message.contains("To: ada@xn--bcher-kva.example\r\n"), "{message}");
    }

    #[test]
    fn only_a_mailbox_is_whom_mails_are_from() {
        for good in ["license@example.com", "Licenses <license@example.com>", "\"A, B\" <license@example.com>"] {
            assert!(good.parse::<MailFrom>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "license",
            "a@example.com\r\nBcc: b@example.com",
            "a@example.com, b@example.com",
            "=?utf-8?q?a?= <a@example.com>",
        ] {
            assert_eq!(bad.parse::<MailFrom>(), Err(InvalidMailbox), "{bad:?}");
        }
    }
}

//! Mails on their way: one mail from its template to what a mail server said of it.
//!
//! To whom, what and when is decided elsewhere (`core/src/records/mails.rs`). What a mail says is partly other people's
//! words: names of organizations, people and licenses. So nothing of it gets into a header but through one function
//! ([`one_line`]), and in HTML all of it is escaped. Nothing of a mail is written into a log: neither a subject nor an
//! address, nor what a server answered, which often repeats the address. (The feature `tracing` of lettre would do it,
//! and is not used.)
//!
//! `server.rs`: which mail server · `content.rs`: what a mail says, from `templates/` · `message.rs`: the mail as it is
//! sent · `sender.rs`: the dialog with the server · `directory.rs`: mails as files, in place of a server

mod content;
mod directory;
mod message;
mod sender;
mod server;

pub use content::{MailContent, TemplateError, one_line, render};
pub use directory::{MailDirectory, StoredMail};
pub use message::{InvalidMailbox, Letter, MailFrom, PreparedMail};
pub use sender::{MailConnection, MailEnd, MailReport, MailSender};
pub use server::{InvalidMailUrl, MailServer, SmtpServer};

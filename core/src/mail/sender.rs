//! The dialog with a mail server, and what came of it.

use super::{
    directory::MailDirectory,
    message::{MailFrom, PreparedMail},
    server::{MailServer, MailTls, SmtpServer},
};
use crate::error::ErrorContext;
use lettre::transport::smtp::{
    Error as SmtpError,
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
    commands::{Data, Mail, Rcpt},
    extension::{ClientId, Extension, MailParameter},
    response::Severity,
};
use std::{path::PathBuf, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long one step of a dialog may take: to connect, to encrypt, to be answered.
const STEP: Duration = Duration::from_secs(10);

/// What became of a mail in one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailEnd {
    /// The server took it.
    Sent,
    /// The server refused it for good, or it can be sent to nobody.
    Failed,
    /// It was handed over, and no answer came. It may have been taken, so it is not sent again.
    Unknown,
    /// It surely was not taken: another try may do.
    Again,
}

/// What became of a mail in one try, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailReport {
    /// What became of it.
    pub end: MailEnd,
    /// One word for how: `sent`; `refused` (a 5xx for the recipient or the message), `address_unsupported`;
    /// `no_answer`;
    /// `unreachable`, `not_authenticated`, `sender_refused`, `deferred` (a 4xx), `disconnected`, `timed_out`,
    /// `not_kept`.
    pub outcome: &'static str,
}

impl MailReport {
    pub(super) const SENT: Self = Self { end: MailEnd::Sent, outcome: "sent" };

    pub(super) const fn again(outcome: &'static str) -> Self {
        Self { end: MailEnd::Again, outcome }
    }

    const fn failed(outcome: &'static str) -> Self {
        Self { end: MailEnd::Failed, outcome }
    }
}

/// Sends mails to one mail server, or keeps them in one directory.
pub struct MailSender {
    route: MailRoute,
    from: MailFrom,
}

enum MailRoute {
    Smtp { server: SmtpServer, tls: Option<TlsParameters> },
    Directory(MailDirectory),
}

/// A connection to the mail server, over which one mail after the other is sent.
pub enum MailConnection {
    /// To a server.
    Smtp(Box<AsyncSmtpConnection>),
    /// None: mails are kept.
    Directory(MailDirectory),
}

impl MailSender {
    /// A sender that has sent nothing yet. `ca`: the certificate authorities, as PEM, that a server must have its
    /// certificate from, in place of those of the operating system.
    ///
    /// # Errors
    /// `ca` is none, or TLS cannot be had.
    ///
    /// # Panics
    /// If no rustls crypto provider is installed.
    pub fn new(server: MailServer, from: MailFrom, ca: Option<&str>) -> Result<Self, ErrorContext> {
        let route = match server {
            MailServer::Directory(path) => MailRoute::Directory(MailDirectory::new(path)),
            MailServer::Smtp(server) => MailRoute::Smtp { tls: tls(&server, ca)?, server },
        };
        Ok(Self { route, from })
    }

    /// Whom mails are from.
    pub fn from(&self) -> &MailFrom {
        &self.from
    }

    /// The directory in which mails are kept, where no server sends them.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.route {
            MailRoute::Directory(directory) => Some(directory.path().to_owned()),
            MailRoute::Smtp { .. } => None,
        }
    }

    /// Connects, encrypts and signs in. Nothing of a mail is said yet.
    ///
    /// # Errors
    /// Why there is no connection: each is worth another try.
    pub async fn connect(&self, until: Instant) -> Result<MailConnection, MailReport> {
        let (server, tls) = match &self.route {
            MailRoute::Directory(directory) => return Ok(MailConnection::Directory(directory.clone())),
            MailRoute::Smtp { server, tls } => (server, tls),
        };
        let unreachable = |_| MailReport::again("unreachable");
        let hello = server.hello.clone().map_or_else(ClientId::default, ClientId::Domain);
        let wrapped = tls.clone().filter(|_| server.tls == MailTls::Wrapped);
        let address = (server.host.as_str(), server.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(address, Some(STEP), &hello, wrapped, None);
        let mut connection = step(until, connecting).await?.map_err(unreachable)?;
        if let Some(tls) = tls.clone().filter(|_| server.tls == MailTls::Required) {
            step(until, connection.starttls(tls, &hello)).await?.map_err(unreachable)?;
        }
        if let Some(login) = &server.login {
            let (user, password) = login.reveal().clone();
            let credentials = Credentials::new(user, password);
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let signed_in = step(until, connection.auth(&mechanisms, &credentials)).await?;
            signed_in.map_err(|error| match error.is_permanent() || error.is_client() {
                // The fault of a configuration, which may be mended within a day.
                true => MailReport::again("not_authenticated"),
                false => MailReport::again("unreachable"),
            })?;
        }
        Ok(MailConnection::Smtp(Box::new(connection)))
    }
}

fn tls(server: &SmtpServer, ca: Option<&str>) -> Result<Option<TlsParameters>, ErrorContext> {
    if server.tls == MailTls::None {
        return Ok(None);
    }
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Some(ca) = ca {
        let authorities = Certificate::from_pem(ca.as_bytes())
            .map_err(|error| ErrorContext::new("the certificate authorities of the mail server are none", error))?;
        parameters = parameters.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    }
    let parameters = parameters.build();
    parameters.map(Some).map_err(|error| ErrorContext::new("no TLS can be had with the mail server", error))
}

impl MailConnection {
    /// Sends one mail. After anything but [`MailEnd::Sent`] the connection is of no more use.
    pub async fn send(&mut self, mail: &PreparedMail, until: Instant) -> MailReport {
        match self {
            Self::Directory(directory) => match directory.keep(mail).await {
                Ok(()) => MailReport::SENT,
                Err(_) => MailReport::again("not_kept"),
            },
            Self::Smtp(connection) => match hand_over(connection, mail, until).await {
                Ok(()) => MailReport::SENT,
                Err(report) => report,
            },
        }
    }

    /// Takes leave of the server, as far as it listens.
    pub async fn quit(self) {
        if let Self::Smtp(mut connection) = self {
            // Everything was answered already.
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
        }
    }
}

/// The dialog of one mail. Until its content is being sent, whatever fails surely left it unsent; from then on only an
/// answer tells.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    mail: &PreparedMail,
    until: Instant,
) -> Result<(), MailReport> {
    let mut parameters = Vec::new();
    let addresses = mail.envelope.from().into_iter().chain(mail.envelope.to());
    if addresses.into_iter().any(|address| !AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(MailReport::failed("address_unsupported"));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let from = Mail::new(mail.envelope.from().cloned(), parameters);
    // That this sender may not send is nothing about the recipient: a configuration may be mended within a day.
    step(until, connection.command(from))
        .await?
        .map_err(|error| unsent(&error, MailReport::again("sender_refused")))?;
    for to in mail.envelope.to() {
        let to = Rcpt::new(to.clone(), Vec::new());
        step(until, connection.command(to)).await?.map_err(|error| unsent(&error, MailReport::failed("refused")))?;
    }
    step(until, connection.command(Data)).await?.map_err(|error| unsent(&error, MailReport::failed("refused")))?;
    const NO_ANSWER: MailReport = MailReport { end: MailEnd::Unknown, outcome: "no_answer" };
    let answered = step(until, connection.message(&mail.message)).await.map_err(|_| NO_ANSWER)?;
    answered.map(|_| ()).map_err(|error| match error.status().map(|code| code.severity) {
        Some(Severity::TransientNegativeCompletion) => MailReport::again("deferred"),
        Some(Severity::PermanentNegativeCompletion) => MailReport::failed("refused"),
        _ => NO_ANSWER,
    })
}

/// What became of a mail that was surely not handed over; `refused`: after an answer for good.
fn unsent(error: &SmtpError, refused: MailReport) -> MailReport {
    if error.is_permanent() {
        refused
    } else if error.is_transient() {
        MailReport::again("deferred")
    } else {
        MailReport::again("disconnected")
    }
}

/// Waits for one step, but not beyond `until`.
async fn step<T>(until: Instant, what: impl Future<Output = T>) -> Result<T, MailReport> {
    let until = until.min(Instant::now() + STEP);
    timeout_at(until, what).await.map_err(|_| MailReport::again("timed_out"))
}

//! Mail: where it goes, whom it is from, and where the links in it lead.

use super::{
    env::{ConfigResult, Environment, without_slash, wrong},
    variable::{DefaultValue::Unset, Variable, VariableReaders::Only},
};
use license_core::mail::{MailFrom, MailServer};

/// The variables of mail, in the order of the table, of which they are a part.
pub(super) const VARIABLES: [Variable; 4] = [
    Variable {
        name: "MAIL_URL",
        readers: Only(&["notify"]),
        default: Unset,
        meaning: "smtps://user:password@host, smtp://user:password@host?tls=required, or file:///directory; \
            unset, no mail is sent",
    },
    Variable {
        name: "MAIL_FROM",
        readers: Only(&["notify"]),
        default: Unset,
        meaning: "whom mails are from, such as Licenses <license@example.com>; wanted with MAIL_URL",
    },
    Variable {
        name: "MAIL_CA",
        readers: Only(&["notify"]),
        default: Unset,
        meaning: "PEM; whom the mail server must have its certificate from; unset, the system's authorities",
    },
    Variable {
        name: "CONSOLE_URL",
        readers: Only(&["notify"]),
        default: Unset,
        meaning: "the console: a mail's invitation is accepted at /join there; unset, the mail shows its secret",
    },
];

/// What mail is sent with.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// `MAIL_URL`: the mail server, and `MAIL_FROM`: whom mails are from. `None`: there is no mail server.
    pub server: Option<(MailServer, MailFrom)>,
    /// `MAIL_CA`: whom the mail server must have its certificate from, in place of the system's authorities.
    pub ca: Option<String>,
    /// `PUBLIC_URL`: where people take mails back; without it no mail has such a link.
    pub public_url: Option<String>,
    /// `CONSOLE_URL`: where invitations are accepted; without it a mail shows their secret.
    pub console_url: Option<String>,
}

impl MailConfig {
    /// Reads `MAIL_URL`, `MAIL_FROM`, `MAIL_CA`, `PUBLIC_URL` and `CONSOLE_URL`.
    pub fn from_env(env: &Environment) -> ConfigResult<Self> {
        let server = match (env.get("MAIL_URL"), env.get("MAIL_FROM")) {
            (None, _) => None,
            (Some(_), None) => return wrong("MAIL_FROM", "is not set, and MAIL_URL wants it: whom mails are from"),
            (Some(url), Some(from)) => {
                // It may have a password in it, and is not repeated.
                let server = match MailServer::parse(&url) {
                    Ok(server) => server,
                    Err(refusal) => return wrong("MAIL_URL", refusal.to_string()),
                };
                let Ok(from) = from.parse() else {
                    return wrong("MAIL_FROM", "must be a mailbox, such as Licenses <license@example.com>");
                };
                if env.on_cloud_run() && matches!(server, MailServer::Directory(_)) {
                    return wrong("MAIL_URL", "must be a mail server on Cloud Run, where no file is kept");
                }
                Some((server, from))
            }
        };
        let ca = env.get("MAIL_CA");
        if ca.as_ref().is_some_and(|ca| !ca.contains("-----BEGIN CERTIFICATE-----")) {
            return wrong("MAIL_CA", "must be certificates as PEM");
        }
        let link = |name| env.get(name).map(|_| env.url(name, None).map(without_slash)).transpose();
        Ok(Self { server, ca, public_url: link("PUBLIC_URL")?, console_url: link("CONSOLE_URL")? })
    }
}

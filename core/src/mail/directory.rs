//! Mails as files, where no mail server sends them: on one machine, to try things out.

use super::message::PreparedMail;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};
use time::OffsetDateTime;

/// So many mails are kept; of more, the oldest go.
const MOST: usize = 1_000;

/// A directory of mails.
///
/// Each is two files that only their owner reads: the message as it would have been sent (`.eml`,
/// which mail programs open), and what a page shows of it (`.json`). Clones are the same directory.
#[derive(Clone, Debug)]
pub struct MailDirectory(PathBuf);

/// A mail that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMail {
    /// When it was sent.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// To whom.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// What it says, as text.
    pub text: String,
    /// What it says, as HTML.
    pub html: String,
}

impl MailDirectory {
    /// The directory of this path. It is made when the first mail is kept.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps a mail.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub async fn keep(&self, mail: &PreparedMail) -> io::Result<()> {
        let (directory, mail) = (self.clone(), mail.clone());
        tokio::task::spawn_blocking(move || directory.write(&mail)).await.map_err(io::Error::other)?
    }

    fn write(&self, mail: &PreparedMail) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let since = mail.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("{:013}-{}", since.as_millis(), mail.id);
        let content = mail.content.clone();
        let stored = StoredMail {
            at: mail.at.into(),
            to: mail.to.clone(),
            subject: content.subject,
            text: content.text,
            html: content.html,
        };
        self.write_file(&format!("{name}.eml"), mail.message())?;
        // The one that is looked for comes last.
        self.write_file(&format!("{name}.json"), &serde_json::to_vec(&stored).map_err(io::Error::other)?)?;
        self.tidy()
    }

    /// Whole or not at all: whoever reads meanwhile sees no half file.
    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.0.join(format!("{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(bytes)?;
        fs::rename(&unfinished, self.0.join(name))
    }

    fn tidy(&self) -> io::Result<()> {
        let names = self.names()?;
        for name in names.iter().skip(MOST) {
            for ending in ["json", "eml"] {
                match fs::remove_file(self.0.join(format!("{name}.{ending}"))) {
                    // Another one was quicker.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The names of the mails, the newest first. None where nothing was kept yet.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    /// A mail by its name. `None`: there is none of that name.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<StoredMail>> {
        // Nothing else in a name leads out of the directory.
        if !name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Ok(None);
        }
        match fs::read(self.0.join(format!("{name}.json"))) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

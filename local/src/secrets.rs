//! Small secrets of one machine, kept in files that only their owner can read: made once, the same at every start.

use license_core::error::ErrorContext;
use rustix::{fs::OFlags, process::geteuid};
use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// The text in `path`, or what `make` gives, written there first (mode 0600). A file that is not ours alone is refused.
///
/// # Errors
/// If the file cannot be read or written, is no plain file of ours, or others may read it.
pub(crate) fn kept(path: &Path, make: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    let named = |error: io::Error| named(path, "cannot be read", error);
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make()?;
            write(path, &format!("{text}\n"))?;
            return Ok(text);
        }
        Err(error) => return Err(named(error)),
    };
    let meta = file.metadata().map_err(named)?;
    let refused = |what: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    if !meta.is_file() || meta.uid() != geteuid().as_raw() {
        return refused(format!("{} is no file of our own; remove it and start again", path.display()));
    }
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return refused(format!("{} can be read by others (mode {mode:o}): chmod 600 it", path.display()));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(named)?;
    Ok(text.trim_end().to_owned())
}

/// Replaces a file as a whole (mode 0600), so that a reader sees either the old text or the new one.
///
/// # Errors
/// If the file cannot be written; with its path.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let replace = || {
        // A file that an interrupted start has left would keep its mode, and a link would be followed.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    replace().map_err(|error| named(path, "cannot be written", error))
}

/// Says which file it was, with the error underneath.
fn named(path: &Path, what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), ErrorContext::new(format!("{} {what}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_readable_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        assert_eq!(kept(&path, || Ok("first".into())).unwrap(), "first");
        assert_eq!(kept(&path, || Ok("second".into())).unwrap(), "first");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(kept(&path, || Ok("third".into())).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_link_or_what_an_earlier_start_left_half_written_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = (dir.path().join("secret"), dir.path().join("theirs"));
        fs::write(&theirs, "theirs").unwrap();
        std::os::unix::fs::symlink(&theirs, &path).unwrap();
        assert!(kept(&path, || Ok("mine".into())).is_err());
        std::os::unix::fs::symlink(&theirs, path.with_extension("new")).unwrap();
        write(&path, "mine").unwrap();
        assert_eq!(
            (fs::read_to_string(&theirs).unwrap().as_str(), kept(&path, || Ok(String::new())).unwrap().as_str()),
            ("theirs", "mine")
        );
        fs::write(path.with_extension("new"), "half").unwrap();
        fs::set_permissions(path.with_extension("new"), fs::Permissions::from_mode(0o666)).unwrap();
        write(&path, "whole").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}

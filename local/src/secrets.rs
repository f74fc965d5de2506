//! Small secrets of one machine, kept in files that only their owner can read: made once, the same at every start.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

/// The text in `path`, or what `make` gives, written there first (mode 0600). A file others may read is refused.
///
/// # Errors
/// If the file cannot be read or written, or others may read it.
pub(crate) fn kept(path: &Path, make: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let mode = fs::metadata(path)?.mode() & 0o777;
            if mode & 0o077 != 0 {
                let what = format!("{} can be read by others (mode {mode:o}): chmod 600 it", path.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
            }
            Ok(text.trim_end().to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make()?;
            write(path, &format!("{text}\n"))?;
            Ok(text)
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

/// Replaces a file as a whole: a reader sees the old text or the new one. Mode 0600.
///
/// # Errors
/// If the file cannot be written; with its path.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let replace = || {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    replace().map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
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
}

//! A root key in a file: for one machine, and for tests.

use super::{RootKey, RootSigner, SigningFuture};
use crate::{
    Error, Result,
    domain::{secret, token::pem},
};
use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

const LABEL: &str = "PRIVATE KEY";

/// An RSA-4096 key held in memory, parsed once.
#[derive(Clone)]
pub struct LocalRoot {
    key: Arc<KeyPair>,
    public: RootKey,
    /// Published beside it, while one is being replaced by the other.
    other: Option<RootKey>,
}

impl LocalRoot {
    /// The key in the PKCS#8 PEM file at `path`; made and written there first (mode 0600) if there is no such file.
    /// Two processes that start together end up with one key.
    ///
    /// # Errors
    /// [`Error::Signer`] with what to do if the file cannot be read or written, others may read it, or it holds no
    /// RSA-4096 key. A file that is there is never replaced: clients may have pinned its key.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        // Drawing two primes of 2048 bits takes seconds.
        blocking(move || read(&path).and_then(|found| found.map_or_else(|| make(&path), Ok))).await
    }

    /// The same with the key in the file `path` published beside it, so that clients can pin both: the one that signs
    /// next, or the one before.
    ///
    /// # Errors
    /// [`Error::Signer`] as [`LocalRoot::open`], and if there is no such file: a key that nobody made is not published.
    pub async fn with_other_key(self, path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let other = blocking(move || read(&path)?.ok_or_else(|| failed(&path, "is not there"))).await?;
        // The same key under two names is one key.
        Ok(Self { other: Some(other.public).filter(|other| other.kid() != self.public.kid()), ..self })
    }

    /// A key that is already in memory.
    ///
    /// # Errors
    /// [`Error::Signer`] unless it has 4096 bits.
    pub fn new(key: KeyPair) -> Result<Self> {
        let public =
            RootKey::from_public_key(key.public_key()).map_err(|e| Error::signer("the root key cannot be used", e))?;
        Ok(Self { key: Arc::new(key), public, other: None })
    }
}

impl std::fmt::Debug for LocalRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalRoot({})", self.public.kid())
    }
}

impl RootSigner for LocalRoot {
    fn public_keys(&self) -> SigningFuture<'_, Result<Vec<RootKey>>> {
        Box::pin(async { Ok(std::iter::once(&self.public).chain(&self.other).cloned().collect()) })
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SigningFuture<'a, Result<Vec<u8>>> {
        let (key, message) = (self.key.clone(), message.to_vec());
        Box::pin(blocking(move || {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature)
                .map_err(|_| Error::Signer("the root key could not sign".into()))?;
            Ok(signature)
        }))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::signer("work on the root key was cut short", e))?
}

/// What is wrong with the file, and what to do.
fn failed(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::Signer(format!("root key file {}: {what}", path.display()).into())
}

/// The file could not be read.
fn unread(path: &Path, cause: std::io::Error) -> Error {
    Error::signer(format!("root key file {} cannot be read", path.display()), cause)
}

/// The file could not be written.
fn unwritten(path: &Path, cause: std::io::Error) -> Error {
    Error::signer(format!("root key file {} cannot be written", path.display()), cause)
}

/// The key in the file, or `None` if there is no file.
fn read(path: &Path) -> Result<Option<LocalRoot>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unread(path, e)),
    };
    let meta = file.metadata().map_err(|e| unread(path, e))?;
    if meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        return Err(failed(
            path,
            format!(
                "others may read it (mode {mode:04o}); run chmod 600 on it, and if somebody may have read it, replace \
                 the key"
            ),
        ));
    }
    let mut bytes = Vec::new();
    file.take(64 * 1024).read_to_end(&mut bytes).map_err(|e| unread(path, e))?;
    let key = pem::decode(LABEL, &String::from_utf8_lossy(&bytes)).and_then(|der| KeyPair::from_pkcs8(&der).ok());
    let key = key.ok_or_else(|| {
        failed(
            path,
            "holds no RSA private key in PKCS#8 PEM; restore it from a backup, or move it away to have a new \
            one made (clients then need the new public key)",
        )
    })?;
    LocalRoot::new(key).map(Some).map_err(|_| failed(path, "its key must have 4096 bits"))
}

/// Draws a key and puts it in place whole, unless another process was faster; then that one's is taken.
fn make(path: &Path) -> Result<LocalRoot> {
    let root = KeyPair::generate(KeySize::Rsa4096).map_err(|_| failed(path, "no key could be drawn"))?;
    let der = root.as_der().map_err(|_| failed(path, "the new key could not be written as PKCS#8"))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = dir.join(format!(".root-key-{}", secret::base64url(&secret::random::<9>())));
    let written = write_new(&draft, pem::encode(LABEL, der.as_ref()).as_bytes());
    // A link fails where the name is taken; a rename would replace a key that somebody already pinned.
    let placed = written.and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match placed {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(unwritten(path, e)),
    }
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| unwritten(path, e))?;
    read(path)?.ok_or_else(|| failed(path, "vanished while it was made"))
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

//! The root key in a file.

use super::keys;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use license_core::{
    Error,
    signer::{RootKey, RootSigner, local::LocalRoot},
};
use std::{os::unix::fs::PermissionsExt, path::Path};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_root_key_file_is_made_once_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.pem");
    let (one, two) = tokio::join!(LocalRoot::open(&path), LocalRoot::open(&path));
    let again = LocalRoot::open(&path).await.unwrap();
    let kid = |root: &[RootKey]| root[0].kid().to_owned();
    let first = kid(&one.unwrap().public_keys().await.unwrap());
    assert_eq!(first, kid(&two.unwrap().public_keys().await.unwrap()), "two that start together agree on one key");
    assert_eq!(first, kid(&again.public_keys().await.unwrap()));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft of a key is left behind");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = LocalRoot::open(&path).await.unwrap_err().to_string();
    assert!(refused.contains("chmod 600") && refused.contains("root.pem"), "{refused}");
}

#[tokio::test]
async fn a_broken_root_key_file_is_refused_and_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.pem");
    let small = keys::pkcs8_pem(&KeyPair::generate(KeySize::Rsa2048).unwrap());
    let whole = keys::pkcs8_pem(keys::root_pair());
    for (text, says) in
        [("", "PKCS#8"), ("\u{fffd}", "PKCS#8"), (&whole[..whole.len() / 2], "PKCS#8"), (&small, "4096")]
    {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let refused = LocalRoot::open(&path).await.unwrap_err();
        assert!(matches!(refused, Error::Signer(_)) && refused.to_string().contains(says), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    let nowhere = dir.path().join("missing").join("root.pem");
    assert!(LocalRoot::open(&nowhere).await.unwrap_err().to_string().contains("cannot be written"));
}

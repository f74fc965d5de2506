//! `license-local rotate`: replaces a key of this machine, with the old one accepted beside it until nothing needs it.
//!
//! Each rotation takes two or three commands. Each command is complete when it returns, and may be repeated after a
//! crash. All of them need the data directory for themselves, because a server that runs on it would go on using the
//! keys that it read at its start.

use crate::{
    data::{DataDirectory, KeyVersions},
    options::{ReplaceableKey, RotateCommand, RotationStep},
    stores::{self, PostgresServer, PostgresSettings},
};
use license_core::{
    Clock,
    domain::webhook::WebhookSecret,
    signer::{RootSigner, local::LocalRoot},
};
use license_functions::edge::{
    config::{Environment, webhook_keys},
    serve::StartError,
};
use sqlx::Connection;
use std::{collections::BTreeMap, fs, io, os::unix::fs::MetadataExt, path::PathBuf};
use uuid::Uuid;

/// How many licenses are named one by one at most.
const NAMED: i64 = 20;
/// For how many seconds what an `Idempotency-Key` was answered is kept (core/src/records/change.rs).
const ANSWERS_KEPT: i64 = 24 * 3600;

/// The other root key of a rotation: the next one, else the previous one.
pub(crate) fn other_root(data: &DataDirectory) -> Option<PathBuf> {
    [NEXT, PREVIOUS].into_iter().map(|name| data.path(name)).find(|path| path.exists())
}

const ROOT: &str = "root.pem";
const NEXT: &str = "root.next.pem";
const PREVIOUS: &str = "root.previous.pem";

/// Does one step and says what was done and what comes next.
///
/// # Errors
/// If the directory is in use, or the step is not the one that is due; a sentence that says what to do. Then nothing
/// was changed.
pub(crate) async fn rotate(wish: &RotateCommand) -> Result<String, StartError> {
    // Opening would make an empty directory, and a key that nobody needs in it.
    if !wish.data.join(wish.key.file()).exists() {
        let what = format!("{} holds no {}; is --data right?", wish.data.display(), wish.key.file());
        return Err(what.into());
    }
    let data = DataDirectory::open(&wish.data, false).await?;
    match (wish.key, wish.step) {
        (ReplaceableKey::Root, RotationStep::Begin) => draw_next_root(&data).await,
        (ReplaceableKey::Root, RotationStep::Switch) => switch_root(&data).await,
        (ReplaceableKey::Root, RotationStep::Finish) => forget_root(&data),
        (key, RotationStep::Finish) => forget(&data, key).await,
        (key, _) => draw(&data, key),
    }
}

/// A service key: the new one is used from the next start on, the old one accepted.
fn draw(data: &DataDirectory, key: ReplaceableKey) -> Result<String, StartError> {
    let name = key.word();
    let ring = data.service_keys(key.file())?;
    if let Some(previous) = ring.previous_version() {
        let what = format!(
            "{name} {previous} is still accepted beside {}; end that rotation first: \
             license-local rotate {name} --finish",
            ring.version()
        );
        return Err(what.into());
    }
    let next = data.replace_service_key(key.file(), &ring)?;
    let effect = match key {
        ReplaceableKey::Pepper => {
            "License keys that are made from now on are hashed with it; those there are stay good. \
             Give licenses new keys when it suits (rotate-key)"
        }
        ReplaceableKey::Webhook => {
            "The secrets of webhooks that are drawn from now on are sealed with it; those there are stay good. \
             Receivers notice nothing"
        }
        _ => "Sessions that begin from now on are signed with it; those there are go on",
    };
    Ok(format!(
        "{name} {next} is used from the next start on, and {name} {} is accepted beside it.\n\
         {effect}, then: license-local rotate {name} --finish\nBack up {} again.\n",
        ring.version(),
        key.file()
    ))
}

/// Ends the acceptance of the old service key if nothing needs it any more.
async fn forget(data: &DataDirectory, key: ReplaceableKey) -> Result<String, StartError> {
    let name = key.word();
    let ring = data.service_keys(key.file())?;
    let Some(previous) = ring.previous_version() else {
        return Err(format!(
            "there is one {name} alone, and no rotation to end; one begins with: license-local rotate {name}"
        )
        .into());
    };
    if key == ReplaceableKey::Pepper {
        let mut postgres = PostgresServer::start(&data.postgres(), PostgresSettings::default()).await?;
        let needed = needed(&postgres, &ring, data).await;
        postgres.stop().await;
        if let Some(why) = needed? {
            return Err(format!("pepper {previous} is still needed, and nothing was changed: {why}").into());
        }
    }
    if key == ReplaceableKey::Webhook {
        let mut postgres = PostgresServer::start(&data.postgres(), PostgresSettings::default()).await?;
        let sealed = seal_again(&postgres, &ring).await;
        postgres.stop().await;
        sealed?;
    }
    data.forget_service_key(key.file(), &ring)?;
    let effect = match key {
        ReplaceableKey::Pepper => "No license needs it",
        ReplaceableKey::Webhook => "Every secret of a webhook is sealed with the new one",
        _ => "Programs that have run since before the rotation are told 401 and acquire again",
    };
    Ok(format!(
        "{name} {previous} is accepted no more from the next start on. {effect}.\nBack up {} again.\n",
        key.file()
    ))
}

/// What would be lost with the previous pepper; `None`: nothing.
async fn needed(
    postgres: &PostgresServer,
    ring: &KeyVersions,
    data: &DataDirectory,
) -> Result<Option<String>, StartError> {
    let mut sql = stores::connect(&postgres.superuser()).await?;
    // Revoked licenses give no seat and get no key any more.
    let keys = "from license_keys k join licenses l using (tenant_id, license_id)
                where split_part(k.key_hmac, '.', 1) = $1 and l.status <> 'revoked' \
                and (k.valid_until is null or k.valid_until > now())";
    let version = ring.previous_version().map(|version| version.to_string());
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) {keys}")))
        .bind(&version)
        .fetch_one(&mut sql)
        .await?;
    if count > 0 {
        let named = format!("select distinct l.number {keys} order by 1 limit {NAMED}");
        let numbers: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(named)).bind(&version).fetch_all(&mut sql).await?;
        let more = if count > NAMED { ", …" } else { "" };
        return Ok(Some(format!(
            "{count} license keys are hashed with it, of the licenses {}{more}. \
             Give each a new key (POST …/rotate-key), and wait until the old ones are over. \
             The demo license gets one at the next start if the file license-key is deleted",
            numbers.join(", ")
        )));
    }
    let rotated = fs::metadata(data.path(ReplaceableKey::Pepper.file()))?.mtime();
    let sealed =
        "select exists (select from idempotency_keys where outcome is not null and created_at < to_timestamp($1::bigint)
                    and created_at > now() - make_interval(secs => $2::bigint))";
    let answers: bool = sqlx::query_scalar(sealed).bind(rotated).bind(ANSWERS_KEPT).fetch_one(&mut sql).await?;
    sql.close().await?;
    let left = rotated.saturating_add(ANSWERS_KEPT).saturating_sub(Clock::system().now_seconds());
    let hours = left.max(0).unsigned_abs().div_ceil(3600);
    Ok(answers
        .then(|| format!("answers kept for an Idempotency-Key are sealed with it. They are over in {hours} hours")))
}

/// Seals every secret of a webhook that is sealed with the previous key with the current one. What neither opens is left
/// as it is: it was lost before.
async fn seal_again(postgres: &PostgresServer, ring: &KeyVersions) -> Result<(), StartError> {
    let mut values = BTreeMap::from([("WEBHOOK_KEY".to_owned(), ring.current.reveal().clone())]);
    values.extend(ring.previous.as_ref().map(|key| ("WEBHOOK_KEY_PREVIOUS".to_owned(), key.reveal().clone())));
    let keys = webhook_keys(&Environment::map(values))?;
    let mut sql = stores::connect(&postgres.superuser()).await?;
    let mut transaction = sql.begin().await?;
    let rows: Vec<(Uuid, String, Option<String>)> =
        sqlx::query_as("select webhook_id, secret, previous_secret from webhooks").fetch_all(&mut *transaction).await?;
    for (webhook, secret, previous) in rows {
        let again = |sealed: &str| WebhookSecret::unseal(&keys, webhook, sealed)?.seal(&keys, webhook);
        let (secret, previous) = (again(&secret), previous.as_deref().and_then(again));
        let update = "update webhooks set secret = coalesce($2, secret), \
                      previous_secret = coalesce($3, previous_secret) where webhook_id = $1";
        sqlx::query(update).bind(webhook).bind(secret).bind(previous).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(sql.close().await?)
}

async fn kid(path: PathBuf) -> Result<String, StartError> {
    let keys = LocalRoot::open(path).await?.public_keys().await?;
    Ok(keys.first().map_or_else(String::new, |key| key.kid().to_owned()))
}

async fn draw_next_root(data: &DataDirectory) -> Result<String, StartError> {
    if data.path(PREVIOUS).exists() && !data.path(NEXT).exists() {
        return Err(
            "the root key before is still published; end that rotation first: license-local rotate root --finish"
                .into(),
        );
    }
    let next = kid(data.path(NEXT)).await?;
    Ok(format!(
        "{NEXT} holds the next root key, {next}. It is published beside the present one from the next start on\n\
         (/.well-known/license-keys), and signs nothing. Ship clients that pin both; \
         when every client that matters does:\n\
         license-local rotate root --switch\nBack up {NEXT} too.\n"
    ))
}

async fn switch_root(data: &DataDirectory) -> Result<String, StartError> {
    let (root, next, previous) = (data.path(ROOT), data.path(NEXT), data.path(PREVIOUS));
    if !next.exists() {
        return Err("there is no next root key; one is drawn with: license-local rotate root".into());
    }
    let (old, new) = (kid(root.clone()).await?, kid(next.clone()).await?);
    // The old key keeps a name of its own before the new one takes its place, so that after a crash between the two it
    // is still there.
    if let Err(error) = fs::hard_link(&root, &previous) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error.into());
        }
        if kid(previous).await? != old {
            let what =
                format!("{PREVIOUS} is of an earlier rotation; end that first: license-local rotate root --finish");
            return Err(what.into());
        }
    }
    fs::rename(&next, &root)?;
    fs::File::open(data.path(""))?.sync_all()?;
    Ok(format!(
        "{ROOT} holds {new} now, which signs from the next start on; {old} stays published from {PREVIOUS}.\n\
         Clients that pin the old one alone \
         believe what was signed before until it ends, and nothing after.\n\
         When the longest offline grace and 24 hours are over: license-local rotate root --finish\n"
    ))
}

fn forget_root(data: &DataDirectory) -> Result<String, StartError> {
    if data.path(NEXT).exists() {
        return Err("the next root key does not sign yet; license-local rotate root --switch comes first".into());
    }
    match fs::remove_file(data.path(PREVIOUS)) {
        Ok(()) => Ok("The root key before is gone and published no more.\n".into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("there is one root key alone, and no rotation to end; one begins with: license-local rotate root"
                .into())
        }
        Err(error) => Err(error.into()),
    }
}

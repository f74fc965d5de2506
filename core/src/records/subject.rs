//! Of an erasure: what a person or a machine is known by in the records.

use super::{act::ChangeRefusal, caller::Caller, connect::failed};
use crate::{
    Result,
    domain::{
        email,
        id::{InvalidText, TenantId},
        name,
        secret::{self, KeyRing},
    },
};
use sqlx::{PgConnection, Row};
use std::str::FromStr;
use uuid::Uuid;

const BELONGS: &str = "Somebody with this address belongs to the organization. Remove the person first (DELETE \
    …/people/{person}), then erase them.";
const OWN: &str = "Nobody erases themselves, since this very act is written down with who did it. Ask a colleague.";

/// What a person is known by, in the form in which such words are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectAddress(String);

impl SubjectAddress {
    /// The one place where what somebody typed becomes what is compared; as `history.names` in SQL.
    fn folded(text: &str) -> Self {
        Self(email::key(text))
    }
}

impl FromStr for SubjectAddress {
    type Err = InvalidText;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidText> {
        let address = Self::folded(text);
        let fits = (1..=255).contains(&address.0.chars().count()) && !address.0.chars().any(char::is_control);
        if fits {
            Ok(address)
        } else {
            Err(InvalidText("must be 1 to 255 characters, none of them a control character"))
        }
    }
}

/// Everything one is known by.
#[derive(Default)]
pub(super) struct SubjectIdentifiers {
    /// Addresses, or the machine's hash.
    pub(super) keys: Vec<String>,
    /// Names.
    pub(super) names: Vec<String>,
    /// Their ids among the people who left.
    pub(super) users: Vec<Uuid>,
    pub(super) hw: Option<String>,
}

/// Stands for somebody who never belonged: only who has the pepper can tell whether it is a given address.
pub(super) fn nobody(tenant: TenantId, address: &SubjectAddress, peppers: &KeyRing) -> String {
    let said = [b"erased-person-v1", tenant.0.as_bytes().as_slice(), address.0.as_bytes()].concat();
    format!("address {}", secret::base64url(&peppers.current.sign(&said)))
}

/// Everything this address is known to be of: who left the organization with it, what they were called, and what other
/// addresses they signed in with. An address that somebody else has who still belongs is theirs.
pub(super) async fn know(
    sql: &mut PgConnection,
    act: &Caller,
    address: &SubjectAddress,
) -> Result<std::result::Result<SubjectIdentifiers, ChangeRefusal>> {
    if SubjectAddress::folded(act.by.name()) == *address {
        return Ok(Err(ChangeRefusal::Conflict(OWN)));
    }
    let who = "select user_id, email, name, removed_at is null as belongs from users where tenant_id = $1 and address \
        = $2 order by user_id";
    let rows = sqlx::query(who).bind(act.tenant.0).bind(&address.0).fetch_all(&mut *sql).await.map_err(failed)?;
    let mut known = SubjectIdentifiers { keys: vec![address.0.clone()], ..SubjectIdentifiers::default() };
    for row in &rows {
        if row.try_get("belongs").map_err(failed)? {
            return Ok(Err(ChangeRefusal::Conflict(BELONGS)));
        }
        known.users.push(row.try_get("user_id").map_err(failed)?);
        let name: Option<String> = row.try_get("name").map_err(failed)?;
        known.names.extend(name.map(|name| name::fold(&name)).filter(|name| !name.is_empty()));
    }
    let ids: Vec<String> = known.users.iter().map(Uuid::to_string).collect();
    // By an index also where the plan was made while the log was short: the order leaves no other.
    let others = "select distinct a.actor_name from unnest($2) n (id), lateral (
          select e.actor_kind, e.actor_name from audit_log e where e.tenant_id = $1 and e.actor = n.id order by e.id) a
        where a.actor_kind = 'person' and a.actor_name <> 'erased' order by 1 limit 100";
    let others: Vec<String> =
        sqlx::query_scalar(others).bind(act.tenant.0).bind(ids).fetch_all(&mut *sql).await.map_err(failed)?;
    let others: Vec<String> = others.iter().map(|other| SubjectAddress::folded(other).0).collect();
    let belong = "select address from users where tenant_id = $1 and address = any ($2) and removed_at is null";
    let belong: Vec<String> =
        sqlx::query_scalar(belong).bind(act.tenant.0).bind(&others).fetch_all(sql).await.map_err(failed)?;
    known.keys.extend(others.into_iter().filter(|other| *other != address.0 && !belong.contains(other)));
    Ok(Ok(known))
}

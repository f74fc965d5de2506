//! The subject of an erasure: the identifiers of a person or a machine in PostgreSQL.

use super::Records;
use crate::{
    Result,
    domain::{
        email,
        id::{Hw, TenantId, UserId},
        name,
        secret::{self, KeyRing},
    },
    refusal::UnreadableText,
};
use sqlx::{PgConnection, Row};
use std::str::FromStr;
use uuid::Uuid;

/// Who or what is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErasureSubject {
    /// A person, by their address or whatever clients say their user is called.
    Person(SubjectAddress),
    /// A machine, by its public hash under one license.
    Machine(Hw),
}

/// What a person is known by, in the form in which such words are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectAddress(String);

impl SubjectAddress {
    /// The one place where what somebody typed becomes what is compared; as `history.names` in SQL.
    pub(crate) fn folded(text: &str) -> Self {
        Self(email::comparison_key(text))
    }
}

impl SubjectAddress {
    /// Stands in the audit log for somebody who never belonged: only who has the pepper can tell whether it is a given
    /// address.
    pub(crate) fn pseudonym(&self, tenant: TenantId, peppers: &KeyRing) -> String {
        let said = [b"erased-person-v1", tenant.0.as_bytes().as_slice(), self.0.as_bytes()].concat();
        format!("address {}", secret::base64url(&peppers.current.sign(&said)))
    }
}

impl FromStr for SubjectAddress {
    type Err = UnreadableText;

    fn from_str(text: &str) -> std::result::Result<Self, UnreadableText> {
        let address = Self::folded(text);
        let fits = (1..=255).contains(&address.0.chars().count()) && !address.0.chars().any(char::is_control);
        if fits { Ok(address) } else { Err(UnreadableText::SubjectAddress) }
    }
}

/// The identifiers of a subject.
#[derive(Debug, Default)]
pub(crate) struct SubjectIdentifiers {
    /// Addresses, or the machine's hash.
    pub(crate) keys: Vec<String>,
    /// Names.
    pub(crate) names: Vec<String>,
    /// Their ids among the people who left.
    pub(crate) users: Vec<Uuid>,
    pub(crate) hw: Option<String>,
}

impl SubjectIdentifiers {
    /// A machine is known by its hash alone.
    fn of_machine(hw: &Hw) -> Self {
        let hw = hw.to_string();
        Self { keys: vec![hw.clone()], hw: Some(hw), ..Self::default() }
    }
}

impl Records {
    /// What a subject is known by. Of a machine that is its hash. Of a person it is everything that the organization has
    /// of this address: the people who had it and left, what they were called, and other addresses they signed in with.
    /// An address that somebody else has who still belongs is theirs. `None`: somebody with this address still belongs.
    pub(crate) async fn subject_identifiers(
        sql: &mut PgConnection,
        tenant: TenantId,
        subject: &ErasureSubject,
    ) -> Result<Option<SubjectIdentifiers>> {
        let address = match subject {
            ErasureSubject::Machine(hw) => return Ok(Some(SubjectIdentifiers::of_machine(hw))),
            ErasureSubject::Person(address) => address,
        };
        let (known, belongs) = known_by_address(sql, tenant, address).await?;
        if belongs { Ok(None) } else { with_other_addresses(sql, tenant, known).await.map(Some) }
    }

    /// The same of somebody who belongs to the organization or left it, by their id: of everybody who had their address.
    /// `None`: the organization never had such a person. Of one who was erased there is no address and no name.
    pub(crate) async fn identifiers_of_person(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Option<SubjectIdentifiers>> {
        let mut sql = self.begin_patiently(tenant).await?;
        let address = "-- address_of_person
            select address from users where tenant_id = $1 and user_id = $2";
        let query = sqlx::query_scalar(address).bind(tenant.0).bind(user.0);
        let Some(address): Option<String> = query.fetch_optional(&mut *sql).await? else { return Ok(None) };
        if address == "erased@erased.invalid" {
            return Ok(Some(SubjectIdentifiers { users: vec![user.0], ..SubjectIdentifiers::default() }));
        }
        let (known, _) = known_by_address(&mut sql, tenant, &SubjectAddress(address)).await?;
        with_other_addresses(&mut sql, tenant, known).await.map(Some)
    }
}

/// What the organization has of the people who have or had this address, and whether one of them belongs to it.
async fn known_by_address(
    sql: &mut PgConnection,
    tenant: TenantId,
    address: &SubjectAddress,
) -> Result<(SubjectIdentifiers, bool)> {
    let people = "-- people_with_address
        select user_id, name, removed_at is null as belongs from users
        where tenant_id = $1 and address = $2 order by user_id";
    let rows = sqlx::query(people).bind(tenant.0).bind(&address.0).fetch_all(sql).await?;
    let mut known = SubjectIdentifiers { keys: vec![address.0.clone()], ..SubjectIdentifiers::default() };
    let mut belongs = false;
    for row in &rows {
        belongs |= row.try_get::<bool, _>("belongs")?;
        known.users.push(row.try_get("user_id")?);
        let name: Option<String> = row.try_get("name")?;
        known.names.extend(name.map(|name| name::fold(&name)).filter(|name| !name.is_empty()));
    }
    Ok((known, belongs))
}

/// The same with the other addresses that these people signed in with, but those that somebody has who belongs.
async fn with_other_addresses(
    sql: &mut PgConnection,
    tenant: TenantId,
    mut known: SubjectIdentifiers,
) -> Result<SubjectIdentifiers> {
    let others = other_addresses(sql, tenant, &known.users).await?;
    let belong = "-- addresses_that_belong
        select address from users where tenant_id = $1 and address = any ($2) and removed_at is null";
    let belong: Vec<String> = sqlx::query_scalar(belong).bind(tenant.0).bind(&others).fetch_all(sql).await?;
    let others: Vec<String> =
        others.into_iter().filter(|other| !known.keys.contains(other) && !belong.contains(other)).collect();
    known.keys.extend(others);
    Ok(known)
}

/// The addresses under which these people stand in the audit log, in the form in which addresses are compared.
async fn other_addresses(sql: &mut PgConnection, tenant: TenantId, users: &[Uuid]) -> Result<Vec<String>> {
    let ids: Vec<String> = users.iter().map(Uuid::to_string).collect();
    // The order leaves the planner no other index, also if the plan was made while the log was short.
    let others = "-- other_addresses
        select distinct a.actor_name from unnest($2) n (id), lateral (
          select e.actor_kind, e.actor_name from audit_log e
          where e.tenant_id = $1 and e.actor = n.id order by e.id) a
        where a.actor_kind = 'person' and a.actor_name <> 'erased' order by 1 limit 100";
    let others: Vec<String> = sqlx::query_scalar(others).bind(tenant.0).bind(ids).fetch_all(sql).await?;
    Ok(others.iter().map(|other| SubjectAddress::folded(other).0).collect())
}

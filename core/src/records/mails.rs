//! Mails on their way. notify finds which organizations have one due by explicit policy; everything else is a function
//! of the owner, for one organization.

use super::{change::AuditedChange, connect::Records, row::word};
use crate::{
    Result,
    domain::{
        id::{TenantId, UserId},
        mail::{MailKind, MailWishes},
        secret::{Secret, random},
    },
};
use serde_json::Value;
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A mail that was taken: nobody else takes it before [`Records::MAIL_HOLD`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenMail {
    /// The organization.
    pub tenant: TenantId,
    /// What names it.
    pub id: Uuid,
    /// The part of its key by which its month is found: when it was written.
    pub at: OffsetDateTime,
    /// Which try this one is, from 1.
    pub tries: i32,
}

/// What became of a mail that shall begin.
#[derive(Clone, Debug)]
pub enum BegunMail {
    /// It is sent now: nobody sends it again unless [`Records::finish_mail`] says that it surely was not.
    Sending(Box<MailDetails>),
    /// It is over instead: `no_recipient`, `refused` or `too_many`.
    Skipped(String),
    /// Somebody else took it meanwhile.
    Lost,
}

/// A mail that is being sent: to whom, and what it says.
#[derive(Clone, Debug)]
pub struct MailDetails {
    /// What it is about.
    pub kind: MailKind,
    /// To whom, if to one of the organization's people.
    pub user: Option<UserId>,
    /// Of which invitation, if it is one.
    pub invitation: Option<Uuid>,
    /// The recipient's address.
    pub email: Secret<String>,
    /// What the organization is called.
    pub organization: String,
    /// What its template needs.
    pub data: Value,
    /// The sealed secret of an invitation.
    pub sealed: Option<Secret<String>>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailFate {
    /// A mail server took it.
    Sent,
    /// It is refused for good.
    Failed,
    /// It was handed over and nobody knows.
    Unknown,
    /// It is tried again after this time.
    Again(Duration),
}

/// Whether the mail of an invitation was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationMail {
    /// It waits to be sent.
    Written,
    /// The organization had too many of them written within a day.
    TooMany,
    /// The invitation is over.
    NotOpen,
}

/// Organizations that one statement looks at. Each is a look into one index of every month there is.
const STEPS: i32 = 1_000;

/// Which organizations have a mail whose time came so many seconds ago. Every look is one step into one index, as of
/// `due_webhooks`.
const DUE_MAILERS: &str = "-- due_mailers
    with recursive open (tenant_id, step) as (
      (select m.tenant_id, 1 from mails m
       where m.next_at is not null and m.tenant_id > $1
         and m.at between now() - interval '90 days' and now() + interval '1 day'
       order by m.tenant_id, m.next_at limit 1)
      union all
      select next.tenant_id, o.step + 1 from open o cross join lateral (
        select m.tenant_id from mails m
        where m.next_at is not null and m.tenant_id > o.tenant_id
          and m.at between now() - interval '90 days' and now() + interval '1 day'
        order by m.tenant_id, m.next_at limit 1) next
      where o.step < $2)
    select o.tenant_id, first.next_at <= now() - make_interval(secs => $3) as due
    from open o cross join lateral (
      select m.next_at from mails m
      where m.next_at is not null and m.tenant_id = o.tenant_id
        and m.at between now() - interval '90 days' and now() + interval '1 day'
      order by m.tenant_id, m.next_at limit 1) first
    order by o.tenant_id";

impl Records {
    /// For how long a mail that was taken, or begun, belongs to whoever did. It is longer than a turn and what is
    /// written of it may take. After a crash before it was begun it is due again then; after one later it is unknown.
    pub const MAIL_HOLD: Duration = Duration::from_secs(120);

    /// Organizations with a mail whose time came `ago`, at most `limit`, and each of them as likely as any other where
    /// there are more. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn due_mailers(&self, limit: usize, ago: Duration) -> Result<Vec<TenantId>> {
        let (mut due, mut after, seconds) = (Vec::new(), Some(Uuid::nil()), ago.as_secs_f64());
        while let Some(behind) = after {
            let rows = self
                .repeat(|pool| async move {
                    sqlx::query(DUE_MAILERS).bind(behind).bind(STEPS).bind(seconds).fetch_all(&pool).await
                })
                .await?;
            after = None;
            for row in &rows {
                let tenant = TenantId(row.try_get("tenant_id")?);
                if row.try_get("due")? {
                    due.push(tenant);
                }
                // Behind the last of a full page there may be more.
                after = (rows.len() >= STEPS as usize).then_some(tenant.0);
            }
        }
        if due.len() > limit {
            let first = usize::from_le_bytes(random()) % due.len();
            due.rotate_left(first);
            due.truncate(limit);
        }
        Ok(due)
    }

    /// Takes up to `limit` mails (1 to 50) of an organization whose time has come and that nobody else takes, and
    /// counts a try of each. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`]. Some may have been taken then; they are due again after [`Records::MAIL_HOLD`].
    pub async fn take_mails(&self, tenant: TenantId, limit: i32) -> Result<Vec<TakenMail>> {
        let hold = Self::MAIL_HOLD.as_secs() as i32;
        let rows = self
            .repeat(|pool| async move {
                let taken = sqlx::query("select mail_id, at, tries from take_mails($1, $2, $3)");
                taken.bind(tenant.0).bind(limit).bind(hold).fetch_all(&pool).await
            })
            .await?;
        let taken = |row: &PgRow| {
            Ok(TakenMail { tenant, id: row.try_get("mail_id")?, at: row.try_get("at")?, tries: row.try_get("tries")? })
        };
        Ok(rows.iter().map(taken).collect::<sqlx::Result<_>>()?)
    }

    /// Begins to send a mail that was taken. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`]. It may have begun then, and must not be sent; it is unknown after
    /// [`Records::MAIL_HOLD`].
    pub async fn begin_mail(&self, mail: &TakenMail) -> Result<BegunMail> {
        let hold = Self::MAIL_HOLD.as_secs() as i32;
        let row = self
            .repeat(|pool| async move {
                let begun = sqlx::query(
                    "-- begin_mail
                     select skipped, kind, user_id, invitation_id, email, organization, data, sealed
                     from begin_mail($1, $2, $3, $4, $5)",
                );
                let begun = begun.bind(mail.tenant.0).bind(mail.id).bind(mail.at).bind(mail.tries);
                begun.bind(hold).fetch_optional(&pool).await
            })
            .await?;
        let Some(row) = row else { return Ok(BegunMail::Lost) };
        if let Some(why) = row.try_get("skipped")? {
            return Ok(BegunMail::Skipped(why));
        }
        Ok(BegunMail::Sending(Box::new(details(&row)?)))
    }

    /// Writes down what came of a try, and answers the new state. `None`: meanwhile somebody else had taken the mail,
    /// and nothing was written. As [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`]. A mail that was begun is unknown after [`Records::MAIL_HOLD`], unless it was written
    /// all the same.
    pub async fn finish_mail(&self, mail: &TakenMail, fate: MailFate, outcome: &str) -> Result<Option<String>> {
        let (state, next) = match fate {
            MailFate::Sent => ("sent", None),
            MailFate::Failed => ("failed", None),
            MailFate::Unknown => ("unknown", None),
            MailFate::Again(after) => ("waiting", Some(i32::try_from(after.as_secs().max(1)).unwrap_or(i32::MAX))),
        };
        self.repeat(|pool| async move {
            let finished = sqlx::query_scalar("select finish_mail($1, $2, $3, $4, $5, $6, $7)");
            let finished = finished.bind(mail.tenant.0).bind(mail.id).bind(mail.at).bind(mail.tries);
            finished.bind(state).bind(outcome).bind(next).fetch_one(&pool).await
        })
        .await
    }

    /// Ends the mails of an organization that wait for a day, where there is no mail server, and answers how many. As
    /// [`super::DatabaseRole::Notify`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn skip_mails(&self, tenant: TenantId) -> Result<i32> {
        self.repeat(
            |pool| async move { sqlx::query_scalar("select skip_mails($1)").bind(tenant.0).fetch_one(&pool).await },
        )
        .await
    }

    /// Writes that a person wants no mail of a kind. As [`super::DatabaseRole::Admin`].
    ///
    /// # Errors
    /// [`crate::Error::Records`], also if there is no such person.
    pub async fn refuse_mail(&self, tenant: TenantId, user: UserId, kind: MailKind) -> Result<()> {
        let mut transaction = self.begin(tenant).await?;
        refuse_mail(&mut transaction, tenant, user, kind, true).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Which mails a person wants; all of which they said nothing. `None`: no such person belongs to the organization.
    /// As [`super::DatabaseRole::Admin`].
    ///
    /// # Errors
    /// [`crate::Error::Records`].
    pub async fn mail_wishes(&self, tenant: TenantId, user: UserId) -> Result<Option<MailWishes>> {
        let mut transaction = self.begin(tenant).await?;
        wishes(&mut transaction, tenant, user).await
    }
}

/// Writes whether a person refuses mail of a kind; if they do so already, nothing.
async fn refuse_mail(
    sql: &mut PgConnection,
    tenant: TenantId,
    user: UserId,
    kind: MailKind,
    refused: bool,
) -> Result<()> {
    let text = "-- refuse_mail
        insert into mail_refusals (tenant_id, user_id, kind, refused) values ($1, $2, $3, $4)
        on conflict (tenant_id, user_id, kind) do update set refused = excluded.refused, changed_at = now()
        where mail_refusals.refused <> excluded.refused";
    let query = sqlx::query(text).bind(tenant.0).bind(user.0).bind(kind.as_str()).bind(refused);
    query.execute(sql).await?;
    Ok(())
}

async fn wishes(sql: &mut PgConnection, tenant: TenantId, user: UserId) -> Result<Option<MailWishes>> {
    let text = "-- mail_wishes
        select array(select r.kind from mail_refusals r
          where r.tenant_id = u.tenant_id and r.user_id = u.user_id and r.refused)
        from users u where u.tenant_id = $1 and u.user_id = $2 and u.removed_at is null";
    let refused: Option<Vec<String>> = sqlx::query_scalar(text).bind(tenant.0).bind(user.0).fetch_optional(sql).await?;
    let wants = |refused: &[String], kind: MailKind| !refused.iter().any(|it| it == kind.as_str());
    Ok(refused.map(|it| MailWishes { alert: wants(&it, MailKind::Alert), report: wants(&it, MailKind::Report) }))
}

impl AuditedChange<'_> {
    /// Which mails a person wants, in the transaction of this change.
    pub(crate) async fn mail_wishes(&mut self, user: UserId) -> Result<Option<MailWishes>> {
        let tenant = self.tenant();
        wishes(self.sql(), tenant, user).await
    }

    /// Writes which mails a person wants.
    pub(crate) async fn set_mail_wishes(&mut self, user: UserId, wishes: MailWishes) -> Result<()> {
        let tenant = self.tenant();
        refuse_mail(self.sql(), tenant, user, MailKind::Alert, !wishes.alert).await?;
        refuse_mail(self.sql(), tenant, user, MailKind::Report, !wishes.report).await
    }

    /// Writes the mail that invites somebody; `sealed` is the invitation's secret.
    pub(crate) async fn write_invitation_mail(&mut self, invitation: Uuid, sealed: &str) -> Result<InvitationMail> {
        let tenant = self.tenant().0;
        let written = sqlx::query_scalar("select write_invitation_mail($1, $2, $3)");
        let written: String = written.bind(tenant).bind(invitation).bind(sealed).fetch_one(self.sql()).await?;
        Ok(match written.as_str() {
            "written" => InvitationMail::Written,
            "too_many" => InvitationMail::TooMany,
            _ => InvitationMail::NotOpen,
        })
    }
}

fn details(row: &PgRow) -> sqlx::Result<MailDetails> {
    Ok(MailDetails {
        kind: word(row, "kind")?,
        user: row.try_get::<Option<Uuid>, _>("user_id")?.map(UserId),
        invitation: row.try_get("invitation_id")?,
        email: Secret::new(row.try_get("email")?),
        organization: row.try_get("organization")?,
        data: row.try_get::<Json<Value>, _>("data")?.0,
        sealed: row.try_get::<Option<String>, _>("sealed")?.map(Secret::new),
    })
}

//! Mails whose time has come: taken, begun, handed over, and written down.

use license_core::{
    Clock, Error, Result,
    domain::{
        id::TenantId,
        mail::{MailKind, Unsubscription, next_mail_delay, unseal_invitation},
        secret::{KeyRing, random},
    },
    mail::{Letter, MailConnection, MailEnd, MailReport, MailSender, PreparedMail, render},
    records::{BegunMail, MailDetails, MailFate, Records, TakenMail},
};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// Organizations that are asked for at once.
const DUE: usize = 200;
/// Connections to the mail server at the same time.
const AT_ONCE: usize = 4;
/// Mails of one organization's turn, one after the other.
const OF_A_TURN: i32 = 5;
/// Mails of one push.
const OF_A_PUSH: usize = 500;
/// So long mails are begun …
const BEGINNING: Duration = Duration::from_secs(30);
/// … and so long a dialog lasts: it ends before the push is cut off, which would leave a mail unknown.
const WORKING: Duration = Duration::from_secs(48);
/// Where there is no mail server, mails wait so long for one.
const PATIENCE: Duration = Duration::from_hours(24);

/// Sends mails. Clones share everything.
#[derive(Clone)]
pub struct Mailer(Arc<MailerInner>);

struct MailerInner {
    records: Records,
    sender: Option<MailSender>,
    keys: KeyRing,
    links: MailLinks,
    clock: Clock,
    told: AtomicBool,
}

/// Where the links in mails lead, without a slash at the end.
#[derive(Clone, Debug, Default)]
pub struct MailLinks {
    /// The API; `None`: mails have no link by which they are taken back.
    pub public_url: Option<String>,
    /// The console, where invitations are accepted; `None`: mails show their secret.
    pub console_url: Option<String>,
}

/// How many mails ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailTally {
    /// Those that a mail server took.
    pub sent: usize,
    /// Those that were for nobody, or that nobody could be sent.
    pub skipped: usize,
    /// Those that are tried again, have failed, or of which nobody knows.
    pub unsent: usize,
}

impl MailTally {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.skipped += other.skipped;
        self.unsent += other.unsent;
    }

    pub(super) fn looked_at(self) -> usize {
        self.sent + self.skipped + self.unsent
    }
}

/// What the workers of one push share.
struct PushWork {
    line: Mutex<VecDeque<TenantId>>,
    left: AtomicUsize,
    /// The mail server cannot be reached: nobody needs to try it again before the next push.
    is_down: AtomicBool,
    begin_until: Instant,
    end: Instant,
}

impl PushWork {
    fn next(&self) -> Option<TenantId> {
        if self.is_over() {
            return None;
        }
        // Whoever panicked here changed nothing by halves.
        self.line.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn is_over(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
            || self.left.load(Ordering::Relaxed) == 0
            || Instant::now() >= self.begin_until
    }

    fn spend(&self) {
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    }
}

impl Mailer {
    /// Sends mails of these records. `sender`: `None` where there is no mail server; `keys`: what secrets of
    /// invitations are sealed with.
    pub fn new(records: Records, sender: Option<MailSender>, keys: KeyRing, links: MailLinks, clock: Clock) -> Self {
        Self(Arc::new(MailerInner { records, sender, keys, links, clock, told: AtomicBool::new(false) }))
    }

    /// Sends what is due, one turn of each organization after the other, until nothing is, 500 were looked at, or 30 s
    /// are over. Where there is no mail server, ends what has waited for a day.
    ///
    /// # Errors
    /// [`Error::Records`]. What was begun is brought to its end before.
    pub async fn send_due(&self) -> Result<MailTally> {
        if self.0.sender.is_none() {
            return self.skip_overdue().await;
        }
        let now = Instant::now();
        let work = Arc::new(PushWork {
            line: Mutex::default(),
            left: AtomicUsize::new(OF_A_PUSH),
            is_down: AtomicBool::new(false),
            begin_until: now + BEGINNING,
            end: now + WORKING,
        });
        let mut total = MailTally::default();
        loop {
            let due = self.0.records.due_mailers(DUE, Duration::ZERO).await?;
            *work.line.lock().unwrap_or_else(PoisonError::into_inner) = due.into();
            let round = self.round(&work).await?;
            total.add(round);
            // Where something is due and nothing can be taken, somebody else has it.
            if round.looked_at() == 0 || work.is_over() {
                return Ok(total);
            }
        }
    }

    async fn skip_overdue(&self) -> Result<MailTally> {
        let mut skipped = 0;
        for tenant in self.0.records.due_mailers(DUE, PATIENCE).await? {
            skipped += usize::try_from(self.0.records.skip_mails(tenant).await?).unwrap_or(0);
        }
        if skipped > 0 && !self.0.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(skipped, "mails were waiting for a day and are not sent: MAIL_URL is not set");
        }
        Ok(MailTally { skipped, ..MailTally::default() })
    }

    async fn round(&self, work: &Arc<PushWork>) -> Result<MailTally> {
        let (mut workers, mut total, mut failure) = (JoinSet::new(), MailTally::default(), None);
        for _ in 0..AT_ONCE {
            let (mailer, work) = (self.clone(), Arc::clone(work));
            workers.spawn(async move { mailer.turns(&work).await });
        }
        while let Some(ended) = workers.join_next().await {
            match ended {
                Ok(Ok(tally)) => total.add(tally),
                Ok(Err(error)) => failure = Some(error),
                Err(error) => failure = Some(Error::internal("a turn of mails was not brought to its end", error)),
            }
        }
        failure.map_or(Ok(total), Err)
    }

    /// One turn after the other, over one connection as long as it lasts.
    async fn turns(&self, work: &PushWork) -> Result<MailTally> {
        let (mut total, mut connection) = (MailTally::default(), None);
        while let Some(tenant) = work.next() {
            for mail in self.0.records.take_mails(tenant, OF_A_TURN).await? {
                // Nothing was begun: what is left is due again when it is held no longer.
                if work.is_over() {
                    break;
                }
                work.spend();
                total.add(self.attempt(&mail, &mut connection, work).await?);
            }
        }
        if let Some(connection) = connection {
            connection.quit().await;
        }
        Ok(total)
    }

    /// One try of one mail.
    async fn attempt(
        &self,
        mail: &TakenMail,
        connection: &mut Option<MailConnection>,
        work: &PushWork,
    ) -> Result<MailTally> {
        let Some(sender) = &self.0.sender else { return Ok(MailTally::default()) };
        if connection.is_none() {
            match sender.connect(work.end).await {
                Ok(new) => *connection = Some(new),
                Err(report) => {
                    if !work.is_down.swap(true, Ordering::Relaxed) {
                        tracing::warn!(outcome = report.outcome, "the mail server cannot be used now");
                    }
                    return self.ended(mail, report).await;
                }
            }
        }
        let details = match self.0.records.begin_mail(mail).await? {
            BegunMail::Sending(details) => details,
            BegunMail::Skipped(why) => {
                tracing::debug!(mail = %mail.id, organization = %mail.tenant, why, "a mail is for nobody");
                return Ok(MailTally { skipped: 1, ..MailTally::default() });
            }
            BegunMail::Lost => return Ok(MailTally::default()),
        };
        let report = match (self.prepare(mail, &details, sender), connection.as_mut()) {
            (Ok(prepared), Some(connection)) => connection.send(&prepared, work.end).await,
            (Err(outcome), _) => MailReport { end: MailEnd::Failed, outcome },
            (Ok(_), None) => MailReport { end: MailEnd::Again, outcome: "unreachable" },
        };
        if report.end != MailEnd::Sent {
            *connection = None;
        }
        self.ended(mail, report).await
    }

    /// Writes down what came of a try.
    async fn ended(&self, mail: &TakenMail, report: MailReport) -> Result<MailTally> {
        let (id, organization, outcome, tries) = (mail.id, mail.tenant, report.outcome, mail.tries);
        let fate = match report.end {
            MailEnd::Sent => MailFate::Sent,
            MailEnd::Failed => MailFate::Failed,
            MailEnd::Unknown => MailFate::Unknown,
            MailEnd::Again => {
                let chance = f64::from(u32::from_le_bytes(random())) / f64::from(u32::MAX);
                next_mail_delay(tries.unsigned_abs(), chance).map_or(MailFate::Failed, MailFate::Again)
            }
        };
        let state = self.0.records.finish_mail(mail, fate, outcome).await?;
        if fate == MailFate::Sent {
            return Ok(MailTally { sent: 1, ..MailTally::default() });
        }
        // Ids and one word: neither an address nor what the server said, which may repeat it.
        if matches!(fate, MailFate::Again(_)) {
            tracing::debug!(mail = %id, %organization, outcome, tries, "a mail was not sent");
        } else {
            tracing::warn!(mail = %id, %organization, outcome, tries, state, "a mail is given up");
        }
        Ok(MailTally { unsent: 1, ..MailTally::default() })
    }

    /// The message, or one word for why there can be none.
    fn prepare(
        &self,
        mail: &TakenMail,
        details: &MailDetails,
        sender: &MailSender,
    ) -> std::result::Result<PreparedMail, &'static str> {
        let values = self.values(details)?;
        let unsubscribe = self.unsubscribe(mail.tenant, details);
        let mut values = with(details.data.clone(), values);
        if let Some(url) = &unsubscribe {
            values["unsubscribe"] = url.as_str().into();
        }
        let content = render(details.kind, &values).map_err(|_| "no_template")?;
        let letter = Letter {
            id: mail.id,
            to: details.email.reveal(),
            content: &content,
            unsubscribe: unsubscribe.as_deref(),
            at: std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.clock.now_seconds().unsigned_abs()),
        };
        PreparedMail::new(&letter, sender.from())
    }

    fn values(&self, details: &MailDetails) -> std::result::Result<Value, &'static str> {
        let mut values = json!({ "organization": details.organization });
        if details.kind != MailKind::Invitation {
            return Ok(values);
        }
        let (Some(id), Some(sealed)) = (details.invitation, &details.sealed) else { return Err("secret_unreadable") };
        let secret = unseal_invitation(&self.0.keys, id, sealed.reveal()).ok_or("secret_unreadable")?;
        match (&self.0.links.console_url, &self.0.links.public_url) {
            // Behind the number sign it is in no log of a server.
            (Some(console), _) => values["link"] = format!("{console}/join#{}", secret.reveal()).into(),
            (None, api) => {
                values["secret"] = secret.reveal().as_str().into();
                values["api"] = api.as_deref().unwrap_or_default().into();
            }
        }
        Ok(values)
    }

    fn unsubscribe(&self, tenant: TenantId, details: &MailDetails) -> Option<String> {
        let (user, url) = (details.user?, self.0.links.public_url.as_ref()?);
        let named = Unsubscription { tenant, user, kind: details.kind };
        let token = details.kind.can_be_refused().then(|| named.token(&self.0.keys))?;
        Some(format!("{url}/api/v1/mail/unsubscribe?token={token}"))
    }
}

/// Both objects in one; what the server says counts before what was written.
fn with(mut data: Value, more: Value) -> Value {
    if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
        data.extend(more);
    }
    data
}

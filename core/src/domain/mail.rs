//! Mails: their kinds, when one is tried again, how an invitation's secret waits in its row, and the token of the link
//! by which a person is sent no more of a kind.

use super::{
    id::{InvalidText, TenantId, UserId},
    secret::{self, KeyRing, KeyVersion, Secret},
};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, time::Duration};
use uuid::Uuid;

/// What a mail is about, which is also the name of its template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// Something needs a person's attention, or is back to normal.
    Alert,
    /// Somebody is asked into an organization.
    Invitation,
    /// What a month was like.
    Report,
}

impl MailKind {
    /// All kinds.
    pub const ALL: &[Self] = &[Self::Alert, Self::Invitation, Self::Report];

    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Invitation => "invitation",
            Self::Report => "report",
        }
    }

    /// Whether a person can say that they want none. An invitation goes to somebody who does not belong yet.
    pub const fn can_be_refused(self) -> bool {
        matches!(self, Self::Alert | Self::Report)
    }
}

/// Which mails a person wants of an organization. Invitations are not among them: they go to somebody who does not belong
/// yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailWishes {
    /// Alerts, as far as an alert rule sends them to the person's role.
    pub alert: bool,
    /// Monthly reports, as far as a rule sends them to the person's role.
    pub report: bool,
}

impl FromStr for MailKind {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(InvalidText("must be a kind of mail"))
    }
}

/// How long after the first, second, … try the next one is due, in minutes: 23 hours and 51 minutes together.
/// Greylisting wants a second try after some minutes; a mail server that is away for a night is no reason to lose a
/// mail.
const DELAYS_MIN: [u32; 9] = [1, 5, 15, 30, 60, 2 * 60, 4 * 60, 8 * 60, 8 * 60];

/// How long after the last of so many tries the next one is due; `None`: that was the last one.
///
/// `random` is a number from 0 to 1, drawn for each call. It makes the delay up to 10 % shorter or longer.
pub fn next_mail_delay(tries_made: u32, random: f64) -> Option<Duration> {
    let delay = DELAYS_MIN.get(tries_made.saturating_sub(1) as usize)?;
    let seconds = f64::from(*delay) * 60.0 * (0.9 + 0.2 * random.clamp(0.0, 1.0));
    Some(Duration::from_secs(seconds.round() as u64))
}

/// Encrypts the secret of an invitation for the row of its mail, under the current key of the ring. The version of the
/// key stands in front: `1.…`.
///
/// `None` only if the library refuses the input, which it does for no secret.
pub fn seal_invitation(keys: &KeyRing, invitation: Uuid, secret: &str) -> Option<String> {
    let sealed = secret::seal(&invitation_key(&keys.current, invitation), secret.as_bytes())?;
    Some(format!("{}.{sealed}", keys.current.version))
}

/// Decrypts what [`seal_invitation`] made for this invitation with the current or the previous key of the ring; `None`
/// for every other text.
pub fn unseal_invitation(keys: &KeyRing, invitation: Uuid, sealed: &str) -> Option<Secret<String>> {
    let (version, sealed) = sealed.split_once('.')?;
    let key = keys.get(version.parse().ok()?)?;
    String::from_utf8(secret::unseal(&invitation_key(key, invitation), sealed)?).ok().map(Secret::new)
}

/// Each invitation has a key of its own, so that a sealed secret that is moved to another row does not open there.
fn invitation_key(key: &KeyVersion, invitation: Uuid) -> [u8; 32] {
    secret::hash("invitation mail", &[key.key.reveal(), invitation.as_bytes()])
}

/// What the link in a mail names: whoever has it may have this person sent no more mail of this kind, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscription {
    /// The organization.
    pub tenant: TenantId,
    /// The person.
    pub user: UserId,
    /// What they are sent no more.
    pub kind: MailKind,
}

/// Version of the key, number of the kind, organization and person.
const NAMED: usize = 2 + 16 + 16;

impl Unsubscription {
    /// The token of the link: what it names, and an HMAC-SHA-256 over it under a key that is derived from the current
    /// one of the ring. It has no end, as RFC 8058 wants it, but that of the key.
    pub fn token(&self, keys: &KeyRing) -> String {
        let named = self.named(keys.current.version);
        secret::base64url(&[&named[..], &link_key(&keys.current).sign(&named)].concat())
    }

    /// What a token names; `None` for every text that is no token of the current or the previous key of the ring.
    pub fn parse(keys: &KeyRing, token: &str) -> Option<Self> {
        let bytes = secret::from_base64url(token)?;
        let (named, signature) = bytes.split_at_checked(NAMED)?;
        let key = keys.get(named[0])?;
        if !secret::equal_in_constant_time(&link_key(key).sign(named), signature) {
            return None;
        }
        let kind = *MailKind::ALL.get(usize::from(named[1]))?;
        let id = |at: usize| Uuid::from_slice(&named[at..at + 16]).ok();
        let named = Self { tenant: TenantId(id(2)?), user: UserId(id(18)?), kind };
        kind.can_be_refused().then_some(named)
    }

    fn named(&self, version: u8) -> Vec<u8> {
        let kind = MailKind::ALL.iter().position(|kind| *kind == self.kind).unwrap_or_default();
        [&[version, kind as u8][..], self.tenant.0.as_bytes(), self.user.0.as_bytes()].concat()
    }
}

fn link_key(key: &KeyVersion) -> KeyVersion {
    let derived = secret::hash("mail unsubscribe", &[key.key.reveal()]).to_vec();
    KeyVersion { version: key.version, key: Secret::new(derived) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Unsubscription {
        let (tenant, user) = (TenantId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        Unsubscription { tenant, user, kind: MailKind::Alert }
    }

    #[test]
    fn tries_are_spread_over_a_day_with_growing_delays() {
        let delays: Vec<Duration> = (1..10).map(|tries| next_mail_delay(tries, 0.5).unwrap()).collect();
        assert!(delays.is_sorted());
        assert_eq!(delays.iter().sum::<Duration>(), Duration::from_secs((23 * 60 + 51) * 60));
        assert_eq!((next_mail_delay(10, 0.5), next_mail_delay(u32::MAX, 0.5)), (None, None));
        assert_eq!(next_mail_delay(1, -5.0), Some(Duration::from_secs(54)));
    }

    #[test]
    fn a_link_names_what_it_was_made_for_and_no_changed_one_names_anything() {
        let keys = KeyRing::single(vec![7; 32]);
        let token = link().token(&keys);
        assert_eq!(Unsubscription::parse(&keys, &token), Some(link()));
        assert_eq!(Unsubscription::parse(&KeyRing::single(vec![8; 32]), &token), None);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Unsubscription::parse(&keys, std::str::from_utf8(&changed).unwrap()), None, "{at}");
        }
        for wrong in ["", "A", &token[1..], &format!("{token}AAAA")] {
            assert_eq!(Unsubscription::parse(&keys, wrong), None, "{wrong}");
        }
        // Signed, and of a kind that nobody can refuse.
        let invitation = Unsubscription { kind: MailKind::Invitation, ..link() };
        assert_eq!(Unsubscription::parse(&keys, &invitation.token(&keys)), None);
    }

    #[test]
    fn a_link_is_good_until_its_key_has_left_the_ring() {
        let version = |version: u8| KeyVersion { version, key: Secret::new(vec![version; 32]) };
        let ring =
            |current, previous: Option<u8>| KeyRing { current: version(current), previous: previous.map(version) };
        let token = link().token(&ring(1, None));
        assert_eq!(Unsubscription::parse(&ring(2, Some(1)), &token), Some(link()));
        assert_eq!(Unsubscription::parse(&ring(3, Some(2)), &token), None);
    }

    #[test]
    fn a_sealed_secret_opens_for_its_invitation_only() {
        let (keys, invitation) = (KeyRing::single(vec![7; 32]), Uuid::from_u128(1));
        let sealed = seal_invitation(&keys, invitation, "cdi_secret").unwrap();
        assert!(!sealed.contains("cdi_"));
        let opened = |keys: &KeyRing, id| unseal_invitation(keys, id, &sealed).map(|it| it.reveal().clone());
        assert_eq!(opened(&keys, invitation).as_deref(), Some("cdi_secret"));
        assert_eq!(opened(&keys, Uuid::from_u128(2)), None);
        assert_eq!(opened(&KeyRing::single(vec![8; 32]), invitation), None);
    }
}

//! What people read when a change is refused: one sentence for each reason of [`ChangeRefusal`], and its HTTP status.

use crate::{
    admin::answer::{insufficient_role, not_found, version_mismatch},
    edge::Problem,
};
use license_core::{
    ProblemCode,
    domain::trial::TrialLimit,
    refusal::{ChangeError, ChangeRefusal},
};

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(refusal) => problem(refusal),
            ChangeError::Unavailable(error) => error.into(),
        }
    }
}

/// The problem that a refusal is answered as. One table, so that a new refusal does not compile without its sentence.
fn problem(refusal: ChangeRefusal) -> Problem {
    use ChangeRefusal as Refusal;
    let conflict = |detail: &'static str| Problem::new(ProblemCode::Conflict, detail);
    match refusal {
        Refusal::NotFound => not_found(),
        Refusal::VersionMismatch => version_mismatch(),
        Refusal::RoleTooLow(role) => insufficient_role(role.as_str()),
        Refusal::IdempotencyKeyReused => Problem::new(
            ProblemCode::IdempotencyKeyReused,
            "This Idempotency-Key was sent with another request in the last 24 hours. Draw a new key for each thing \
             you want done.",
        ),
        Refusal::LeaverKeepsTokens => Problem::invalid(
            "api_tokens",
            "cannot be keep where you leave: the API tokens you made go with you, and somebody who stays makes others",
        ),
        Refusal::UnknownLicenses => Problem::invalid("license_ids", "must name licenses of this organization"),
        Refusal::TokenEndsInPast => Problem::invalid("expires_at", "must be in the future"),
        Refusal::UnknownPlan(field) => Problem::invalid(field, "is not a plan of this server"),
        Refusal::UnknownProduct => Problem::invalid("product", "is not a product of this server"),
        Refusal::FeaturesTooLarge => Problem::invalid("features", "must be at most 3 KiB as JSON text"),
        Refusal::InvalidTerms((field, problem)) => Problem::invalid(field, problem),
        Refusal::SessionsOfValidKey => {
            Problem::invalid("end_sessions", "must be false where the old key stays good for a while")
        }
        Refusal::UnknownErasure => Problem::invalid("cursor", "is not of an erasure of this that began today"),
        Refusal::OutcomeErased => conflict(
            "This request was carried out, but what it was answered has been erased together with somebody whom \
                it may have named. Look at what is there now, and draw a new key for anything else you want done.",
        ),
        Refusal::OutcomeUnreadable => conflict(
            "This request was carried out, but what it was answered cannot be read: another version of the server \
                kept it, or under a pepper that is no longer accepted. It is not carried out again. Look at what is \
                there now, and draw a new key for anything else you want done.",
        ),
        Refusal::LastOwner => conflict(
            "This is the organization's only owner. Make somebody else an owner first; an organization always has \
                one.",
        ),
        Refusal::AddressBelongs => conflict(
            "Somebody with this address belongs to the organization already. Change their role instead of \
                inviting them.",
        ),
        Refusal::TooManyInvitations => conflict(
            "A thousand invitations of yours are open. Revoke some, or wait until they are accepted or seven days \
                old.",
        ),
        Refusal::InvitationAccepted => {
            conflict("Somebody has joined with this invitation already. Remove the person instead.")
        }
        Refusal::InvitationForAnother => conflict(
            "This invitation is for another address than the one you signed in with. Sign in with the address it \
                was sent to, or ask for one to this address.",
        ),
        Refusal::InvitationUsed => {
            conflict("This invitation was used already. Ask an admin of the organization for another.")
        }
        Refusal::InvitationRevoked => {
            conflict("This invitation was taken back, or replaced by a later one. Use the last one you were given.")
        }
        Refusal::InvitationExpired => {
            conflict("This invitation is older than seven days. Ask an admin of the organization for another.")
        }
        Refusal::InviterMayNot => conflict(
            "Whoever sent this invitation may not invite anybody as this any more. Ask an admin of the \
                organization for another.",
        ),
        Refusal::MemberAlready => conflict("You belong to this organization already. An admin can change your role."),
        Refusal::ProjectNameTaken => conflict(
            "There is a project of this name already, perhaps an archived one; upper and lower case, accents \
                composed or not, and blanks make no difference. Choose another name, or bring that one back.",
        ),
        Refusal::TooManyTokens => {
            conflict("Two hundred API tokens that you made are in force. Revoke those that nothing uses any more.")
        }
        Refusal::DefaultProductNeeded => conflict(
            "A registration that names no product needs a default. Make another product the default first; this \
                one then is it no more.",
        ),
        Refusal::LicenseRevoked => conflict("This license was revoked for good and changes no more. Make another one."),
        Refusal::TooManyKeys => conflict(
            "Thirty-two earlier keys of this license are still good. Wait until one has run out, or end them all: \
                rotate with old_valid_for_in 0.",
        ),
        Refusal::SeatShared => conflict(
            "Processes of somebody else run on the same machine's seat and would end too. Ask an admin to end it.",
        ),
        Refusal::ErasesThemselves => {
            conflict("Nobody erases themselves, since this very act is written down with who did it. Ask a colleague.")
        }
        Refusal::ErasesMember => conflict(
            "Somebody with this address belongs to the organization. Remove the person first (DELETE \
                …/people/{person}), then erase them.",
        ),
        Refusal::TrialLimitReached(limit) => conflict(no_trial(limit)),
    }
}

/// The vendor gives no more trials: who asks is told by what they are counted, and how to go on without one.
fn no_trial(limit: TrialLimit) -> &'static str {
    match limit {
        TrialLimit::Mailbox => {
            "This mailbox has had its trial, by another way to sign in or another spelling of its address. \
             Sign in as you did then, or ask the vendor for a license."
        }
        TrialLimit::Domain => {
            "The mailboxes of your domain have had all the trials there are. Ask a colleague who has one to invite \
             you, or the vendor for a license."
        }
        TrialLimit::Network => {
            "Your network has had all the trials there are. Ask whoever has one there to invite you, or the vendor for \
             a license."
        }
    }
}

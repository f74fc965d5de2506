//! What people read when a change is refused: one sentence for each reason of [`ChangeRefusal`], and its HTTP status;
//! and what is wrong with a field that the records cannot read.

use crate::edge::Problem;
use license_core::{
    ProblemCode,
    domain::{
        terms::{InvalidTerm, TermBound},
        trial::TrialLimit,
    },
    refusal::{ChangeError, ChangeRefusal, PlanField, UnreadableText},
};
use std::str::FromStr;

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
            "This Idempotency-Key was sent with another request in the last 24 hours. Use a new key for each \
                 request.",
        ),
        Refusal::MailOfAnother => Problem::new(
            ProblemCode::InsufficientRole,
            "Which mails somebody wants, only they themselves say. Ask them to change it.",
        )
        .with("required", "person"),
        Refusal::LeaverKeepsTokens => Problem::invalid(
            "api_tokens",
            "must be revoke when you remove yourself: the API tokens that you made end when you leave",
        ),
        Refusal::UnknownLicenses => Problem::invalid("license_ids", "must name licenses of this organization"),
        Refusal::TokenEndsInPast => Problem::invalid("expires_at", "must be in the future"),
        Refusal::UnknownPlan(field) => Problem::invalid(plan_field(field), "is not a plan of this server"),
        Refusal::UnknownProduct => Problem::invalid("product", "is not a product of this server"),
        Refusal::FeaturesTooLarge => Problem::invalid("features", "must be at most 3 KiB as JSON text"),
        Refusal::InvalidTerms(why) => {
            let (field, problem) = invalid_term(why);
            Problem::invalid(field, problem)
        }
        Refusal::SessionsOfValidKey => {
            Problem::invalid("end_sessions", "must be false where old_valid_for_in keeps the old key valid")
        }
        Refusal::UnknownErasure => Problem::invalid(
            "cursor",
            "must be the next_cursor of an erasure of the same \
             person or machine that began today",
        ),
        Refusal::OutcomeErased => conflict(
            "This request was carried out, but its answer has been erased together with the data of somebody whom \
                 it may have named. Read the present state, and use a new Idempotency-Key for anything else that \
                 you want done.",
        ),
        Refusal::OutcomeUnreadable => conflict(
            "This request was carried out, but its answer cannot be read: another version of the server kept it, or \
                 it was sealed under a pepper that is no longer accepted. It is not carried out again. Read the \
                 present state, and use a new Idempotency-Key for anything else that you want done.",
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
            "A thousand invitations that you sent are open. Revoke some of them, or wait until they are accepted or \
                 have expired.",
        ),
        Refusal::TooManyInvitationMails => conflict(
            "A hundred invitations of this organization were sent by mail within 24 hours. Invite without send_mail \
                 and hand the secret to the person yourself, or wait.",
        ),
        Refusal::InvitationAccepted => {
            conflict("Somebody has joined with this invitation already. Remove the person instead.")
        }
        Refusal::InvitationForAnother => conflict(
            "This invitation is for another address than the one that you signed in with. Sign in with the address \
                 to which it was sent, or ask for an invitation to this address.",
        ),
        Refusal::InvitationUsed => {
            conflict("This invitation was used already. Ask an admin of the organization for another one.")
        }
        Refusal::InvitationRevoked => conflict(
            "This invitation was revoked, or replaced by a later one. Use the latest invitation that you \
                 were given.",
        ),
        Refusal::InvitationExpired => {
            conflict("This invitation is older than seven days. Ask an admin of the organization for another one.")
        }
        Refusal::InviterMayNot => conflict(
            "The person who sent this invitation may not invite anybody with its role any more. Ask an admin of the \
                 organization for another one.",
        ),
        Refusal::MemberAlready => conflict("You belong to this organization already. An admin can change your role."),
        Refusal::ProjectNameTaken => conflict(
            "A project of this name exists already; it may be archived. Names that differ only in upper and lower \
                 case, in blanks or in how accents are composed count as the same. Choose another name, or restore \
                 that project.",
        ),
        Refusal::TooManyTokens => {
            conflict("Two hundred API tokens that you made are in force. Revoke those that are no longer used.")
        }
        Refusal::TooManyWebhooks => {
            Problem::invalid("url", "is one too many: an organization has at most 20 webhooks. Delete one first")
        }
        Refusal::WebhookInactive => conflict(
            "Nothing is sent to this webhook: it is disabled, or it was paused because it failed for days. Enable it \
                 first.",
        ),
        Refusal::DeliveryUnderWay => conflict(
            "This event is due or being sent just now, so there is nothing to repeat. Read the delivery again in a \
                 minute.",
        ),
        Refusal::TooManyAlertRules => {
            Problem::invalid("kind", "is one too many: an organization has at most 50 alert rules. Delete one first")
        }
        Refusal::UnknownLicenseOfRule => Problem::invalid("license_id", "must be a license of this organization"),
        Refusal::DefaultProductNeeded => conflict(
            "There must always be a default product, for registrations that name none. Make another product the \
                 default first; this one then stops being the default.",
        ),
        Refusal::LicenseRevoked => conflict(
            "This license was revoked for good and cannot be changed any more. Make \
             another license.",
        ),
        Refusal::TooManyKeys => conflict(
            "Thirty-two earlier keys of this license are still valid. Wait until one of them has ended, or end all \
                 of them: rotate with old_valid_for_in 0.",
        ),
        Refusal::SeatShared => conflict(
            "Processes of other people run on the same seat and would end too. Ask an admin to end the session.",
        ),
        Refusal::ErasesThemselves => conflict(
            "You cannot erase yourself, because the erasure is recorded with your name. Ask a colleague to \
                 do it.",
        ),
        Refusal::ErasesMember => conflict(
            "Somebody with this address belongs to the organization. Remove the person first (DELETE \
                 …/people/{person}), and then erase them.",
        ),
        Refusal::ExternalIdTaken { organization, license } => {
            let (what, member, id) = match license {
                None => ("organization", "organization", organization.0),
                Some(license) => ("license", "license", license),
            };
            let detail = format!(
                "Another {what} has this external_id: {id}. An external_id names one {what}. Use that {what}, or send \
                 another external_id."
            );
            let problem = Problem::new(ProblemCode::Conflict, detail).with("organization", organization.to_string());
            if license.is_some() { problem.with(member, id.to_string()) } else { problem }
        }
        Refusal::TooMuchMetadata(why) => Problem::invalid("metadata", why.to_string()),
        Refusal::TrialLimitReached(limit) => conflict(no_trial(limit)),
    }
}

/// The vendor gives no more trials: who asks is told by what they are counted, and how to go on without one.
fn no_trial(limit: TrialLimit) -> &'static str {
    match limit {
        TrialLimit::Mailbox => {
            "A trial was already given to this mailbox, through another way to sign in or another spelling of its \
                 address. Sign in as you did then, or ask the vendor for a license."
        }
        TrialLimit::Domain => {
            "The mailboxes of your domain have received all the trials that one domain is given. Ask a colleague \
                 who has one to invite you, or ask the vendor for a license."
        }
        TrialLimit::Network => {
            "Your network has received all the trials that one network is given. Ask somebody there who has one to \
                 invite you, or ask the vendor for a license."
        }
    }
}

/// The field that named a plan.
fn plan_field(field: PlanField) -> &'static str {
    match field {
        PlanField::OfLicense => "plan",
        PlanField::OfRegistrations => "registration_plan",
    }
}

/// The field whose value contradicts the others, and what is wrong with it.
pub(crate) fn invalid_term(why: InvalidTerm) -> (&'static str, &'static str) {
    match why {
        InvalidTerm::EndsBeforeItBegins(TermBound::Begin) => ("not_before", "must be before the end of the term"),
        InvalidTerm::EndsBeforeItBegins(TermBound::End) => ("expires_at", "must be after the begin of the term"),
        InvalidTerm::GraceWithoutHours => ("grace_hours", "must be at least 1 with the offline_policy grace"),
        InvalidTerm::HoursWithoutGrace => ("grace_hours", "can be set only with the offline_policy grace"),
    }
}

/// Reads a field as something of the records, or says what it must be.
pub(crate) fn read<T: FromStr<Err = UnreadableText>>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|why| match why {
        UnreadableText::PageCursor => "must be a next_cursor that an earlier page answered",
        UnreadableText::ErasureCursor => "must be a next_cursor that an earlier request of this erasure answered",
        UnreadableText::InvitationState => "must be open, accepted, revoked or expired",
        UnreadableText::SubjectAddress => "must be 1 to 255 characters, none of them a control character",
    })
}

/// 403 for a person whose role is not enough, with the role that is.
pub(crate) fn insufficient_role(required: &'static str) -> Problem {
    let detail = format!("This needs the role {required}. Ask somebody who has it.");
    Problem::new(ProblemCode::InsufficientRole, detail).with("required", required)
}

/// Nothing of that id, or nothing the caller may see.
pub(crate) fn not_found() -> Problem {
    Problem::new(ProblemCode::NotFound, "Nothing with this id exists here, or you may not see it.")
}

/// The version that `If-Match` names is not the present one.
pub(crate) fn version_mismatch() -> Problem {
    let detail = "Somebody changed this since you read it, and nothing was written. Read it again, and send your \
         edit with the new ETag.";
    Problem::new(ProblemCode::PreconditionFailed, detail)
}

//! Why a change that people ask for is refused. These are values: the sentences that people read, and the HTTP status
//! of each, stand in `license-functions`, `refusals.rs`.

use crate::{
    Error,
    domain::{
        access::PersonRole,
        id::{InvalidText, TenantId},
        terms::InvalidTerm,
        trial::TrialLimit,
    },
};
use uuid::Uuid;

/// The result of a change that somebody asked for.
pub type ChangeResult<T> = std::result::Result<T, ChangeError>;

/// Why a change was not answered with its outcome.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The change was understood and refused. Nothing was written.
    #[error("refused: {0:?}")]
    Refused(ChangeRefusal),
    /// A store could not be asked. The change may have been made all the same.
    #[error(transparent)]
    Unavailable(#[from] Error),
}

impl From<ChangeRefusal> for ChangeError {
    fn from(refusal: ChangeRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Why a change was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRefusal {
    /// The organization has nothing of that id, or nothing that the caller may see.
    NotFound,
    /// It was changed since it was read: the version that `If-Match` names is not the present one.
    VersionMismatch,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The same request was carried out before, and its outcome was blanked by an erasure.
    OutcomeErased,
    /// The same request was carried out before, and its outcome was kept in a form that this version of the server
    /// cannot read, or under a pepper that is no longer accepted.
    OutcomeUnreadable,
    /// The caller needs at least this role.
    RoleTooLow(PersonRole),
    /// The organization would have no owner.
    LastOwner,
    /// Whoever leaves cannot keep the API tokens they made.
    LeaverKeepsTokens,
    /// Which mails a person wants, only they themselves say.
    MailOfAnother,
    /// Somebody with this address belongs to the organization already.
    AddressBelongs,
    /// One person may have a thousand open invitations.
    TooManyInvitations,
    /// An organization may have a hundred invitations a day sent by mail.
    TooManyInvitationMails,
    /// Somebody has joined with this invitation already, so it cannot be revoked.
    InvitationAccepted,
    /// The invitation is for another address than the caller's.
    InvitationForAnother,
    /// The invitation was used already.
    InvitationUsed,
    /// The invitation was revoked, or replaced by a later one.
    InvitationRevoked,
    /// The invitation is too old.
    InvitationExpired,
    /// Whoever sent the invitation may not give this role any more.
    InviterMayNot,
    /// The caller belongs to this organization already.
    MemberAlready,
    /// There is a project of this name, perhaps an archived one.
    ProjectNameTaken,
    /// A project names a license that the organization does not have.
    UnknownLicenses,
    /// One person may have as many API tokens in force as they have.
    TooManyTokens,
    /// An API token would end before it begins.
    TokenEndsInPast,
    /// There is no such plan; this field of the request named it.
    UnknownPlan(PlanField),
    /// There is no such product.
    UnknownProduct,
    /// The vendor gives no more trials of this product by this limit.
    TrialLimitReached(TrialLimit),
    /// The features are larger than 3 KiB as JSON text.
    FeaturesTooLarge,
    /// The terms would contradict each other.
    InvalidTerms(InvalidTerm),
    /// The vendor's catalog would have no default product.
    DefaultProductNeeded,
    /// The license was revoked for good.
    LicenseRevoked,
    /// Sessions cannot be ended where the old key stays valid for a while.
    SessionsOfValidKey,
    /// As many earlier keys of a license are valid as may be.
    TooManyKeys,
    /// Processes of other people run on the same seat and would end too.
    SeatShared,
    /// Nobody erases themselves.
    ErasesThemselves,
    /// Somebody with the address that is to be erased belongs to the organization.
    ErasesMember,
    /// The organization has as many webhooks as it may have.
    TooManyWebhooks,
    /// Nothing is sent to a webhook that is disabled or paused.
    WebhookInactive,
    /// The event is sent to the webhook without being asked for: it is due, or being sent.
    DeliveryUnderWay,
    /// The organization has as many alert rules as it may have.
    TooManyAlertRules,
    /// An alert rule is for a license that the organization does not have.
    UnknownLicenseOfRule,
    /// The cursor is not of an erasure of this subject that began today.
    UnknownErasure,
    /// Another organization, or another license, has this external id.
    ExternalIdTaken {
        /// The organization that has it, or whose license has it.
        organization: TenantId,
        /// The license that has it.
        license: Option<Uuid>,
    },
    /// The metadata would have more keys than it may.
    TooMuchMetadata(InvalidText),
}

/// The field of a request that names a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanField {
    /// `plan`, of a license.
    OfLicense,
    /// `registration_plan`, of a product.
    OfRegistrations,
}

/// A text of a request that the records cannot read as what it is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadableText {
    /// It is no cursor that a page of a list ended with.
    PageCursor,
    /// It is no cursor that an earlier request of an erasure ended with.
    ErasureCursor,
    /// It is no state of an invitation.
    InvitationState,
    /// It is too long for somebody's address or name, is empty, or has control characters.
    SubjectAddress,
}

//! What becomes of an event that is to be sent to a webhook.

use super::{access::text_enum, event::Event, id::InvalidText};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{fmt, str::FromStr};
use time::format_description::well_known::Rfc3339;

text_enum! {
    /// What became of a delivery: of one event for one webhook.
    DeliveryState = "must be one of waiting, delivered, failed, skipped";
    /// It was not tried yet, or is tried again.
    Waiting = "waiting",
    /// The receiver took it.
    Delivered = "delivered",
    /// It was tried for three days, or the receiver said that it is gone.
    Failed = "failed",
    /// It was not sent, because the webhook was disabled, paused or deleted, or the event is not kept any more.
    Skipped = "skipped",
}

/// The version of the form of what is sent.
const VERSION: u8 = 1;

impl Event {
    /// The body of the request that sends it to a webhook, as Standard Webhooks recommends (`type`, `timestamp`,
    /// `data`; <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). The same
    /// event always gives the same bytes.
    pub fn webhook_body(&self) -> String {
        // Years beyond 9999 cannot be written; no clock of PostgreSQL says them.
        let timestamp = self.created_at.format(&Rfc3339).unwrap_or_default();
        json!({
            "id": self.id, "type": self.kind, "version": VERSION, "timestamp": timestamp,
            "organization_id": self.tenant, "data": self.payload,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TenantId;
    use uuid::Uuid;

    #[test]
    fn a_body_has_what_the_standard_names_and_whose_it_is() {
        let event = Event {
            id: Uuid::from_u128(7),
            tenant: TenantId(Uuid::from_u128(9)),
            kind: "seat.denied".into(),
            created_at: time::macros::datetime!(2026-11-30 12:00:01.5 UTC),
            payload: json!({ "pool": "default" }),
        };
        let body: serde_json::Value = serde_json::from_str(&event.webhook_body()).unwrap();
        let expected = json!({
            "id": "00000000-0000-0000-0000-000000000007", "type": "seat.denied", "version": 1,
            "timestamp": "2026-11-30T12:00:01.5Z", "organization_id": "00000000-0000-0000-0000-000000000009",
            "data": { "pool": "default" },
        });
        assert_eq!(body, expected);
        assert_eq!(event.webhook_body(), event.webhook_body());
    }
}

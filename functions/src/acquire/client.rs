//! What a client says about itself: shown to people and kept with the session, trusted for nothing.

use crate::edge::Fields;
use license_core::domain::id::Hw;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The facts we keep; others may be sent, since `client` may grow, and are passed over.
const KNOWN: [&str; 7] = ["product", "version", "platform", "hostname", "deployment", "project", "user"];
const DEPLOYMENTS: [&str; 3] = ["desktop", "container", "ci"];
/// The longest host name there is (RFC 1035, section 2.3.4) fits; nobody needs more.
const MAX_CHARS: usize = 255;

/// What a client says of itself, each 1 to 255 characters without control characters. Other fields may be sent and are passed over.
#[derive(ToSchema)]
#[schema(as = ClientFacts)]
#[expect(dead_code, reason = "in the words of the document; a client may send more, so what is read is a map")]
pub(super) struct Facts {
    /// The license must be for it.
    #[schema(min_length = 1, max_length = 255)]
    product: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    version: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    platform: Option<String>,
    /// What others see of this holder; without it `machine` and eight characters of its hash.
    #[schema(min_length = 1, max_length = 255)]
    hostname: Option<String>,
    /// `desktop`, `container` or `ci`.
    #[schema(pattern = "^(desktop|container|ci)$")]
    deployment: Option<String>,
    /// What the seat is used for.
    #[schema(min_length = 1, max_length = 255)]
    project: Option<String>,
    /// Who works with it.
    #[schema(min_length = 1, max_length = 255)]
    user: Option<String>,
}

/// The known facts, each a plain text.
pub(super) struct Client(Map<String, Value>);

impl Client {
    pub(super) fn read(sent: Option<&Map<String, Value>>, fields: &mut Fields) -> Self {
        let mut kept = Map::new();
        for name in KNOWN {
            let field = format!("client.{name}");
            match sent.and_then(|sent| sent.get(name)) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => match plain(name, text) {
                    Ok(()) => drop(kept.insert(name.to_owned(), text.as_str().into())),
                    Err(problem) => fields.wrong(&field, problem),
                },
                Some(_) => fields.wrong(&field, "must be a string"),
            }
        }
        Self(kept)
    }

    /// What people are shown: the host name, or a piece of the machine's public hash, which the client can show too.
    pub(super) fn label(&self, hw: Hw) -> String {
        let hash = || format!("machine {}", &hw.to_string()[..8]);
        self.0.get("hostname").and_then(Value::as_str).map_or_else(hash, str::to_owned)
    }

    /// The product the client says it is, and everything as it is kept.
    pub(super) fn into_parts(self) -> (Option<String>, Value) {
        let product = self.0.get("product").and_then(Value::as_str).map(str::to_owned);
        (product, Value::Object(self.0))
    }
}

fn plain(name: &str, text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.chars().count() > MAX_CHARS || text.chars().any(char::is_control) {
        Err("must be 1 to 255 characters, none of them a control character")
    } else if name == "deployment" && !DEPLOYMENTS.contains(&text) {
        Err("must be desktop, container or ci")
    } else {
        Ok(())
    }
}

//! Who asks for a seat.

use super::{
    email,
    id::{Attempt, ClientPart, Holder, Hw, LicenseNumber},
    name,
};

/// The process start that asks for a seat, and the machine it runs on. It is made once, from the request; Redis and
/// PostgreSQL borrow it.
///
/// Only [`Claimant::new`] makes one, so its holders and its machine hash are always of the same license and machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claimant {
    /// The holder if the license counts machines.
    pub holder_by_machine: Holder,
    /// The holder if the license counts processes; `None` if the client did not say which instance it is.
    pub holder_by_process: Option<Holder>,
    /// The machine's public hash.
    pub hw: Hw,
    /// The process start; a retry repeats it.
    pub attempt: Attempt,
    /// The name that people are shown: a hostname, for example.
    pub label: String,
    /// What the client said about itself. It is kept with the session.
    pub client: serde_json::Value,
    /// The product that the client names, if it names one. A license for another product gives it no seat.
    pub product: Option<String>,
}

impl Claimant {
    /// The claimant of a license on the machine `hardware`, in the process `instance` if the client names it. People
    /// are shown a part of the machine's public hash, which the client can show too, until it has another label; of
    /// itself it has said nothing.
    pub fn new(license: LicenseNumber, hardware: &ClientPart, instance: Option<&ClientPart>, attempt: Attempt) -> Self {
        let hw = Hw::of(license, hardware);
        Self {
            holder_by_machine: Holder::machine(license, hardware),
            holder_by_process: instance.map(|instance| Holder::process(license, hardware, instance)),
            hw,
            attempt,
            label: format!("machine {}", &hw.to_string()[..8]),
            client: serde_json::json!({}),
            product: None,
        }
    }

    /// The address that the client says its user has, in the form in which addresses are compared.
    pub fn person(&self) -> Option<String> {
        self.compared("user", email::comparison_key)
    }

    /// The project that the client names, in the form in which names of projects are compared.
    pub fn project(&self) -> Option<String> {
        self.compared("project", name::fold)
    }

    /// A fact that the client said, in the form in which it is compared; `None` if nothing is left of it.
    fn compared(&self, fact: &str, form: impl Fn(&str) -> String) -> Option<String> {
        let text = self.client.get(fact).and_then(serde_json::Value::as_str).map(form);
        text.filter(|text| !text.is_empty())
    }
}

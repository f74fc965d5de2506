//! What the table of variables (`variables.rs`) says of each.

/// Who reads a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableReaders {
    /// Every service.
    Every,
    /// Every service that connects to Redis, as its row in [`crate::SERVICES`] says (and `migrate`, which is none).
    WithSeats,
    /// The same for PostgreSQL.
    WithRecords,
    /// The services of these names (and `migrate`, which is none).
    Only(&'static [&'static str]),
    /// No service: `license-local` itself.
    LocalMachine,
}

/// What holds where a variable is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing: the services that read it do not start.
    Required,
    /// The same as with this value (on Cloud Run, and after other variables, it may be another one: the meaning says
    /// so).
    Value(&'static str),
    /// What the meaning says.
    Unset,
}

/// A variable of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Who reads it.
    pub readers: VariableReaders,
    /// What holds where it is not set.
    pub default: DefaultValue,
    /// What it means, as `.env.sample` says it.
    pub meaning: &'static str,
}

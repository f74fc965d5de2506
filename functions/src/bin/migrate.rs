//! Schema, roles and rights of a database. `--help` says more.

fn main() -> std::process::ExitCode {
    license_functions::migrate::run()
}

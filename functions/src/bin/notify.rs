//! The notify service.

fn main() -> std::process::ExitCode {
    license_functions::edge::serve::run(license_functions::notify::service)
}

//! The admin service.

fn main() -> std::process::ExitCode {
    license_functions::edge::serve::run(license_functions::admin::service)
}

//! Everything on one machine. `--help` says more.

fn main() -> std::process::ExitCode {
    license_local::run()
}

//! A service without any room: the bootstrap, health and the layers alone. `./dev bench --cold` measures the functions against it.

use license_functions::edge::serve::{Service, run};

fn main() -> std::process::ExitCode {
    run(async |_, _| Ok(Service { router: axum::Router::new(), checks: Vec::new() }))
}

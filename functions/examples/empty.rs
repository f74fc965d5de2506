//! A service without any module of `core`: the bootstrap, health, the layers and one handler that does nothing.
//! `./dev bench` measures the services against it.

use license_functions::edge::serve::{Service, run};

fn main() -> std::process::ExitCode {
    run(async |_, _| {
        Ok(Service { router: axum::Router::new().route("/empty", axum::routing::get(async || ())), checks: Vec::new() })
    })
}

//! A service without any room: the bootstrap, health, the layers and one handler that does nothing. `./dev bench` measures the functions
//! against it.

use license_functions::edge::serve::{Service, run};

fn main() -> std::process::ExitCode {
    run(async |_, _| {
        Ok(Service { router: axum::Router::new().route("/empty", axum::routing::get(async || ())), checks: Vec::new() })
    })
}

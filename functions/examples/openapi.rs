//! Prints the OpenAPI document: `./dev openapi` keeps openapi.json with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    match license_functions::document::document().to_pretty_json() {
        Ok(document) => {
            println!("{document}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the document cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

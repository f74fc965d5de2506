//! Prints the OpenAPI document: `./dev openapi` keeps openapi.json with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    match license_functions::document::document_text() {
        Ok(document) => {
            print!("{document}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the document cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Lists `migrations/` for `src/records/migrate/`: number, name and text of each
//! file, in the order in which they are applied.

use std::{env, fmt::Write as _, fs, path::Path};

/// What lies in the folder and is no migration: the page about it, and what is run before the first of them.
const OTHERS: [&str; 2] = ["README.md", "roles.sql"];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let entries = entries.map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())));
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !OTHERS.contains(&name.as_str()));
    names.sort();

    let mut list = String::from("&[\n");
    let mut before = 0;
    for name in names {
        let number = number(&name)
            .unwrap_or_else(|| panic!("migrations/{name}: a migration is called NNNN_name.sql (migrations/README.md)"));
        assert!(number > before, "migrations/{name}: two migrations have the number {number}");
        before = number;
        let text = folder.join(&name).display().to_string();
        writeln!(list, "    ({number}, {:?}, include_str!({text:?})),", name.trim_end_matches(".sql"))
            .expect("a String takes what is written");
    }
    list.push_str("]\n");

    #[expect(clippy::disallowed_methods, reason = "cargo says by this variable where a build script may write")]
    let target = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let target = Path::new(&target).join("migrations.rs");
    fs::write(&target, list).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
}

/// The four digits that `NNNN_name.sql` begins with.
fn number(name: &str) -> Option<i64> {
    let (digits, rest) = name.split_at_checked(4)?;
    let named = rest.starts_with('_') && rest.ends_with(".sql") && digits.bytes().all(|byte| byte.is_ascii_digit());
    named.then(|| digits.parse().ok()).flatten()
}

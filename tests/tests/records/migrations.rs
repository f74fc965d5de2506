//! The files of `migrations/`: all of them are applied, and none that a release has is edited (`migrations/README.md`).

use super::Book;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The first release's tag. Databases that must be kept exist since then.
const RELEASE: &str = "v1";
/// What is run each time and not once, so that it may be edited.
const EDITABLE: &str = "migrations/roles.sql";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What git answers in a folder; `None` if it refuses. A hook sets variables that name another repository: they are
/// taken away.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    let output = command.output().expect("git is installed");
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// Every file of `migrations/` that a release's tag has and that was edited or is gone, and every new one that would
/// not be applied last. Empty as long as there is no such tag.
fn edited_since(folder: &Path, tag: &str) -> Vec<String> {
    let revision = format!("refs/tags/{tag}");
    let sql = |list: String| -> Vec<String> {
        list.lines().filter(|name| name.ends_with(".sql") && *name != EDITABLE).map(ToOwned::to_owned).collect()
    };
    let listed = git(folder, &["ls-tree", "-r", "--name-only", "--full-tree", &revision, "migrations"]);
    let Some(released) = listed.map(sql) else { return Vec::new() };
    let changed = ["diff", "--name-only", "--no-renames", "--diff-filter=a", &revision, "--", "migrations"];
    let mut wrong = sql(git(folder, &changed).expect("git compares with its own tag"));
    let newest = released.iter().max().cloned().unwrap_or_default();
    let present = fs::read_dir(folder.join("migrations")).unwrap();
    let present = present.map(|entry| format!("migrations/{}\n", entry.unwrap().file_name().display())).collect();
    wrong.extend(sql(present).into_iter().filter(|name| !released.contains(name) && *name < newest));
    wrong.sort();
    wrong
}

#[test]
fn no_migration_of_a_release_is_edited() {
    let edited = edited_since(&root(), RELEASE);
    assert_eq!(
        edited,
        Vec::<String>::new(),
        "{RELEASE} has these migrations: a change of the schema is a new file with a higher number"
    );
}

#[test]
fn an_edit_after_the_release_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join("migrations").join(name), text).unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        git(folder.path(), &[&identity[..], arguments].concat()).unwrap_or_else(|| panic!("git {arguments:?}"))
    };
    fs::create_dir(folder.path().join("migrations")).unwrap();
    git(&["init", "-q"]);
    for name in ["0100_plans.sql", "0101_products.sql", "0200_times.sql", "roles.sql", "README.md"] {
        write(name, "select 1;\n");
    }
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "tests: begin"]);
    write("0100_plans.sql", "select 2;\n");
    assert_eq!(edited_since(folder.path(), RELEASE), Vec::<String>::new(), "nothing is released yet");

    git(&["commit", "-q", "-a", "-m", "tests: edit"]);
    git(&["-c", "tag.gpgsign=false", "tag", RELEASE]);
    write("README.md", "pages may change\n");
    write("roles.sql", "-- run each time\n");
    write("0201_locks.sql", "select 1;\n");
    assert_eq!(edited_since(folder.path(), RELEASE), Vec::<String>::new(), "what is new comes last");

    write("0100_plans.sql", "select 3;\n");
    let path = |name: &str| folder.path().join("migrations").join(name);
    fs::rename(path("0101_products.sql"), path("0101_sold.sql")).unwrap();
    let wrong = ["migrations/0100_plans.sql", "migrations/0101_products.sql", "migrations/0101_sold.sql"];
    assert_eq!(edited_since(folder.path(), RELEASE), wrong, "an edit, and a new name");
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "tests: edit after the release"]);
    assert_eq!(edited_since(folder.path(), RELEASE), wrong, "the same once it is committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_applied_once_and_in_order() {
    let book = Book::open().await;
    let sql = "select string_agg(description || '.sql', ' ' order by installed_on, version)
        from _sqlx_migrations where success";
    let applied = book.truth_text(sql).await;
    let files = fs::read_dir(root().join("migrations")).unwrap();
    let mut files: Vec<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    files.retain(|name| name.ends_with(".sql") && name != "roles.sql");
    files.sort();
    assert_eq!(applied.split(' ').collect::<Vec<_>>(), files, "what was applied, and what the folder has");
}

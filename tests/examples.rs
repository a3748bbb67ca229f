//! The examples run, and end with what they promise.

use std::process::Command;

#[test]
fn embed() {
    let shown = run("embed");
    assert!(shown.contains("| Cairo   | 1 | 31.2 |"), "{shown}");
    assert!(shown.contains("| Oslo    | 2 | -1.0 |"), "{shown}");
}

#[test]
fn push() {
    let shown = run("push");
    // Partitions emit their windows apart, each in a table of its own width.
    let rows: Vec<String> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    let count = |end: &str| rows.iter().filter(|row| row.ends_with(end)).count();
    assert_eq!((count("|/about|20|"), count("|/|40|")), (3, 3), "{shown}");
}

#[test]
fn lookup() {
    let shown = run("lookup");
    let rows: Vec<String> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in ["|100|3|Edsger|", "|101|1|Ada|", "|103|9||"] {
        assert!(rows.iter().any(|known| known == row), "{row} in {shown}");
    }
}

/// Runs an example. Cargo builds them with the tests of a package; where this test alone was asked for, and they are not
/// there, they are built here.
fn run(name: &str) -> String {
    let tests = std::env::current_exe().expect("a test knows where it is");
    let folder = tests.ancestors().nth(2).expect("tests lie in target/profile/deps");
    let path = folder.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    if !path.exists() {
        let profile: &[&str] = if folder.ends_with("release") { &["--release"] } else { &[] };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", name]).args(profile);
        assert!(cargo.status().expect("cargo runs").success());
    }
    let ran = Command::new(&path).output().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

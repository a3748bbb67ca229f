//! `millstream kernel new`: a crate that builds to a shared library of kernels, ready to be changed.

use std::path::Path;

use millstream::error::{Error, Result};

use super::Stop;
use super::arguments::{Kernel, KernelArguments};

pub fn run(arguments: &KernelArguments) -> Result<(), Stop> {
    let Kernel::New { path, sdk } = &arguments.what;
    let name = lay_out(path, sdk.as_deref())?;
    let library = format!(
        "target/release/{}{}{}",
        std::env::consts::DLL_PREFIX,
        name.replace('-', "_"),
        std::env::consts::DLL_SUFFIX
    );
    println!("{} is there. Next:", path.display());
    println!("  cd {} && cargo test && cargo build --release", path.display());
    println!("  millstream --load {library} -c \"SELECT {}(3, 4)\"", function_name(&name));
    Ok(())
}

/// Writes the files; the crate's name.
fn lay_out(path: &Path, sdk: Option<&Path>) -> Result<String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(is_name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Error::user(format!("a crate's name is made of letters, digits, - and _: {name:?}")));
    }
    if path.exists() {
        return Err(Error::user(format!("it is there already: {}", path.display())));
    }
    let dependency = match sdk {
        Some(sdk) => format!("{{ path = {:?} }}", sdk.join("plugin")),
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
    };
    let files = [
        ("Cargo.toml", MANIFEST.replace("NAME", &name).replace("DEPENDENCY", &dependency)),
        ("src/lib.rs", LIBRARY.replace("FUNCTION", &function_name(&name))),
        ("README.md", README.replace("NAME", &name).replace("FUNCTION", &function_name(&name))),
        (".gitignore", "target\n".to_string()),
    ];
    for (file, text) in files {
        let file = path.join(file);
        let folder = file.parent().unwrap_or(path);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&file, text));
        written.map_err(|e| Error::outside(format!("cannot write: {}", file.display())).caused_by(e))?;
    }
    Ok(name)
}

fn function_name(name: &str) -> String {
    name.replace('-', "_").to_lowercase()
}

const MANIFEST: &str = r#"[package]
name = "NAME"
version = "0.1.0"
edition = "2024"

[lib]
crate-type = ["cdylib", "rlib"] # a shared library to load, and a library for the tests

[dependencies]
millstream-plugin = DEPENDENCY

[profile.release]
lto = true
codegen-units = 1
"#;

const LIBRARY: &str = r#"//! Kernels for Millstream: each becomes a function of SQL.

millstream_plugin::kernels! {
    /// The longest side of a right triangle.
    fn FUNCTION(a: f64, b: f64) -> f64 {
        (a * a + b * b).sqrt()
    }

    /// The root of the mean square of all rows, NULL without any.
    aggregate FUNCTION_of_all(state: (f64, u64) = (0.0, 0), x: f64) -> Option<f64> {
        update {
            state.0 += x * x;
            state.1 += 1;
        }
        merge(other) {
            state.0 += other.0;
            state.1 += other.1;
        }
        finish { (state.1 > 0).then(|| (state.0 / state.1 as f64).sqrt()) }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn three_and_four_make_five() {
        assert_eq!(super::FUNCTION(3.0, 4.0), 5.0);
    }
}
"#;

const README: &str = r#"# NAME

Kernels for Millstream.

    cargo test
    cargo build --release
    millstream --load target/release/libNAME.so -c "SELECT FUNCTION(3, 4)"

Or from SQL, where the engine's owner allows it (`--allow-native`):

    CREATE FUNCTION FUNCTION(DOUBLE, DOUBLE) RETURNS DOUBLE
    LANGUAGE NATIVE AS 'target/release/libNAME.so', 'FUNCTION';

Arguments and results are numbers, booleans and texts, or an `Option` of one. A `Result` tells an error.
"#;

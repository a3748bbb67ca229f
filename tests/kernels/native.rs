//! Kernels of shared libraries: one in C, compiled here, and one in Rust.

use std::path::{Path, PathBuf};
use std::process::Command;

use millstream::config::Config;
use millstream::engine::Engine;

use super::{error, rows};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles C to a shared library; `None` where there is no compiler.
fn compile(folder: &Path, name: &str, source: &Path) -> Option<PathBuf> {
    let library = folder.join(format!("lib{name}.so"));
    let mut command = Command::new("cc");
    command.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"]).arg(root().join("include"));
    match command.arg(source).arg("-o").arg(&library).arg("-lm").output() {
        Ok(done) => {
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            Some(library)
        }
        Err(_) => None,
    }
}

fn compile_text(folder: &Path, name: &str, text: &str) -> Option<PathBuf> {
    let source = folder.join(format!("{name}.c"));
    std::fs::write(&source, text).unwrap();
    compile(folder, name, &source)
}

fn engine() -> Engine {
    Engine::new(Config { batch_rows: 64, partitions: 2, allow_native: true, ..Config::default() })
}

const T: &str = "(VALUES (3.0, 4.0, 1), (NULL, 1.0, 1), (6.0, 8.0, 2), (5.0, NULL, 2)) AS t(a, b, k)";

fn sorted(engine: &Engine, sql: &str) -> Vec<String> {
    let mut rows = rows(engine, sql);
    rows.sort();
    rows
}

#[test]
fn the_example_in_c_runs() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = compile(folder.path(), "kernels", &root().join("examples/plugin-c/kernels.c")) else { return };
    let engine = engine();
    assert_eq!(engine.load(&library).unwrap(), ["hypotenuse", "squares"]);
    assert_eq!(rows(&engine, &format!("SELECT hypotenuse(a, b) FROM {T}")), ["5.0", "NULL", "10.0", "NULL"]);
    assert_eq!(rows(&engine, "SELECT hypotenuse(3, 4)"), ["5.0"]);
    assert_eq!(sorted(&engine, &format!("SELECT k, squares(a) FROM {T} GROUP BY k")), ["1 9.0", "2 61.0"]);
    assert_eq!(sorted(&engine, &format!("SELECT squares(a) FILTER (WHERE k = 2) FROM {T}")), ["61.0"]);
    assert_eq!(sorted(&engine, &format!("SELECT squares(DISTINCT k) FROM {T}")), ["5.0"]);
    let create = format!(
        "CREATE FUNCTION long_side(DOUBLE, DOUBLE) RETURNS DOUBLE LANGUAGE NATIVE AS '{}', 'hypotenuse_kernel'",
        library.display()
    );
    engine.execute(&create).unwrap();
    assert_eq!(rows(&engine, "SELECT long_side(3, 4)"), ["5.0"]);
    let again = engine.execute(&create).err().unwrap().to_string();
    assert!(again.contains("function exists already: long_side"), "{again}");
    engine.execute("DROP FUNCTION long_side").unwrap();
    engine.execute(&create).unwrap();
    let wrong = create.replace("CREATE FUNCTION long_side(DOUBLE, DOUBLE)", "CREATE FUNCTION other(BIGINT, DOUBLE)");
    let wrong = engine.execute(&wrong).err().unwrap().to_string();
    assert!(wrong.contains("the kernel is (DOUBLE, DOUBLE) RETURNS DOUBLE, and not (BIGINT, DOUBLE)"), "{wrong}");
    let closed = Engine::default();
    let refused = closed.execute(&create).err().unwrap().to_string();
    assert!(refused.contains("native code is not allowed here"), "{refused}");
}

#[test]
fn the_example_in_rust_runs() {
    // Built beside this test, because it depends on it.
    let library = std::env::current_exe().unwrap().parent().unwrap().join(format!(
        "{}millstream_plugin_example{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    assert!(library.exists(), "{}", library.display());
    let engine = engine();
    assert_eq!(engine.load(&library).unwrap().len(), 6);
    assert_eq!(
        rows(&engine, &format!("SELECT long_side(a, b), is_even(k) FROM {T}")),
        ["5.0 false", "NULL false", "10.0 true", "NULL true"]
    );
    let texts = "(VALUES ('ada@example.org'), ('nobody'), (NULL), ('a.very.long.mailbox@x')) AS t(a)";
    assert_eq!(
        rows(&engine, &format!("SELECT mailbox(a) FROM {texts}")),
        ["ada", "NULL", "NULL", "a.very.long.mailbox"]
    );
    assert_eq!(sorted(&engine, &format!("SELECT k, mean_square(b) FROM {T} GROUP BY k")), ["1 8.5", "2 64.0"]);
    assert_eq!(sorted(&engine, &format!("SELECT mean_square(b) FROM {T} WHERE k > 5")), ["NULL"]);
    let message = error(&engine, "SELECT root(x) FROM (VALUES (-1.0)) AS t(x)");
    assert!(message.contains("the function root failed: -1 has no root"), "{message}");
    let message = error(&engine, "SELECT quotient(x, x - 1) FROM (VALUES (1)) AS t(x)");
    assert!(message.contains("the function quotient failed: it panicked: attempt to divide by zero"), "{message}");
    assert_eq!(rows(&engine, "SELECT quotient(6, NULLIF(x, 1)) FROM (VALUES (1), (3)) AS t(x)"), ["NULL", "2"]);
}

/// A library with one kernel, whose body and description are given.
fn library(body: &str, fields: &str) -> String {
    format!(
        "#include \"millstream_kernel.h\"
         static int32_t run(const struct ArrowArray *const *args, int64_t rows, struct ArrowArray *out,
                            struct MillstreamError *error) {{
           (void)args; (void)rows; (void)out; (void)error;
           {body}
         }}
         const struct MillstreamKernel *kernel(void) {{
           static struct MillstreamKernel kernel = {{
             .abi_version = MILLSTREAM_KERNEL_ABI_VERSION, .struct_size = sizeof(struct MillstreamKernel),
             .name = \"k\", .signature = \"(BIGINT) -> BIGINT\", .evaluate = run }};
           {fields}
           return &kernel;
         }}"
    )
}

#[test]
fn what_a_library_does_wrong_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, body: &str, fields: &str, wanted: &str| {
        let Some(path) = compile_text(folder.path(), name, &library(body, fields)) else { return };
        let engine = engine();
        let create =
            format!("CREATE FUNCTION f(BIGINT) RETURNS BIGINT LANGUAGE NATIVE AS '{}', 'kernel'", path.display());
        let found = match engine.execute(&create) {
            Err(error) => error.to_string(),
            Ok(_) => error(&engine, "SELECT f(x) FROM (VALUES (1), (2)) AS t(x)"),
        };
        assert!(found.contains(wanted), "{name}: {found}");
        assert_eq!(rows(&engine, "SELECT 1"), ["1"]);
    };
    check("failing", "error->message[0] = 'n'; error->message[1] = 'o'; return 1;", "", "the function k failed: no");
    check("past", "((int64_t *)out->buffers[1])[rows] = 7; return 0;", "", "wrote past the end of its output");
    check("short", "out->length = rows - 1; return 0;", "", "it made 1 rows of 2");
    check("newer", "return 0;", "kernel.abi_version = 2u << 16;", "built for version 2.0 of the kernel interface");
    check("nothing", "return 0;", "kernel.evaluate = 0;", "neither evaluate nor init");
    check("typed", "return 0;", "kernel.signature = \"(MAP) -> BIGINT\";", "a type that kernels do not take: MAP");
    check("text", "return 0;", "kernel.signature = \"(BIGINT) -> VARCHAR\";", "and not (BIGINT) RETURNS BIGINT");
    let missing = engine().load(folder.path().join("none.so")).unwrap_err().to_string();
    assert!(missing.contains("library not found"), "{missing}");
}

#[test]
fn a_shorter_description_of_the_same_version_still_loads() {
    let folder = tempfile::tempdir().unwrap();
    let body = "const int64_t *in = args[0]->buffers[1]; int64_t *to = (int64_t *)out->buffers[1];
                for (int64_t row = 0; row < rows; row++) to[row] = in[row] + 1;
                return 0;";
    let fields = "kernel.struct_size = (uint32_t)((char *)&kernel.state_size - (char *)&kernel);
                  kernel.abi_version = MILLSTREAM_KERNEL_ABI_VERSION + 7;";
    let Some(path) = compile_text(folder.path(), "shorter", &library(body, fields)) else { return };
    let engine = engine();
    let create = format!("CREATE FUNCTION f(BIGINT) RETURNS BIGINT LANGUAGE NATIVE AS '{}', 'kernel'", path.display());
    engine.execute(&create).unwrap();
    assert_eq!(rows(&engine, "SELECT f(x) FROM (VALUES (1), (NULL)) AS t(x)"), ["2", "NULL"]);
}

/// An aggregate as the header of version 1.0 described it, without what came later.
#[test]
fn an_aggregate_of_an_older_minor_version_still_loads() {
    let folder = tempfile::tempdir().unwrap();
    let example = std::fs::read_to_string(root().join("examples/plugin-c/kernels.c")).unwrap();
    let older = example
        .replace(
            "struct_size = sizeof(struct MillstreamKernel)",
            "struct_size = offsetof(struct MillstreamKernel, update_one)",
        )
        .replace("abi_version = MILLSTREAM_KERNEL_ABI_VERSION", "abi_version = 1u << 16")
        .replace("#include <math.h>", "#include <math.h>\n#include <stddef.h>");
    let Some(path) = compile_text(folder.path(), "older", &older) else { return };
    let engine = engine();
    engine.load(&path).unwrap();
    assert_eq!(sorted(&engine, &format!("SELECT squares(a) FROM {T}")), ["70.0"]);
    assert_eq!(sorted(&engine, &format!("SELECT k, squares(a) FROM {T} GROUP BY k")), ["1 9.0", "2 61.0"]);
}

/// Rows of one group go by a way of their own, masked and not, of any number.
#[test]
fn rows_of_one_group_are_added_up_as_those_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = compile(folder.path(), "kernels", &root().join("examples/plugin-c/kernels.c")) else { return };
    let engine = engine();
    engine.load(&library).unwrap();
    let rust = std::env::current_exe().unwrap().parent().unwrap().join(format!(
        "{}millstream_plugin_example{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    engine.load(&rust).unwrap();
    for rows in [1, 7, 8, 9, 63, 64, 65, 200] {
        let values: Vec<String> =
            (0..rows).map(|i| if i % 5 == 3 { "(NULL, 1)".into() } else { format!("({i}.0, {})", i % 2) }).collect();
        let table = format!("(VALUES {}) AS t(x, k)", values.join(", "));
        let squares = |table: &str| format!("SELECT squares(x), mean_square(x), COUNT(x) FROM {table}");
        let wanted: f64 = (0..rows).filter(|i| i % 5 != 3).map(|i| f64::from(i * i)).sum();
        let count = (0..rows).filter(|i| i % 5 != 3).count();
        assert_eq!(sorted(&engine, &squares(&table)), [format!("{wanted:?} {:?} {count}", wanted / count as f64)]);
        let halves = squares(&format!("{table} GROUP BY k HAVING COUNT(x) > 0"));
        let halves = sorted(&engine, &format!("SELECT SUM(s) FROM ({}) AS h(s, m, c)", halves));
        assert_eq!(halves, [format!("{wanted:?}")]);
    }
}

#[test]
fn the_listing_in_c_runs() {
    let page = std::fs::read_to_string(root().join("docs/kernels.md")).unwrap();
    let listing = page.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let Some(path) = compile_text(folder.path(), "listing", listing) else { return };
    let engine = engine();
    let create = page.split("```text\nCREATE FUNCTION").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let create = format!("CREATE FUNCTION{}", create.replace("./libkernels.so", &path.display().to_string()));
    engine.execute(&create).unwrap();
    assert_eq!(rows(&engine, "SELECT long_side(3, 4)"), ["5.0"]);
}

#[test]
fn a_project_that_is_laid_out_builds() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("my-kernels");
    let made = Command::new(env!("CARGO_BIN_EXE_millstream")).args(["kernel", "new"]).arg(&project).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // Built by the compiler alone, against the helper crate that this test depends on.
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    let helper = std::fs::read_dir(&deps).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("libmillstream_plugin-") && name.ends_with(".rlib")
    });
    let newest = helper.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    let Some(helper) = newest else { return };
    let library = folder.path().join("libmy_kernels.so");
    let built = Command::new("rustc")
        .args(["--edition", "2024", "--crate-type", "cdylib", "--extern"])
        .arg(format!("millstream_plugin={}", helper.display()))
        .arg("-o")
        .arg(&library)
        .arg(project.join("src/lib.rs"))
        .output();
    let Ok(built) = built else { return };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let engine = engine();
    assert_eq!(engine.load(&library).unwrap(), ["my_kernels", "my_kernels_of_all"]);
    assert_eq!(
        rows(&engine, "SELECT my_kernels(3, 4), my_kernels_of_all(x) FROM (VALUES (3), (-3)) AS t(x)"),
        ["5.0 3.0"]
    );
}

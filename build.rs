//! How the command line is linked: at a fixed address, where that can be asked for.
//!
//! Its tables of functions and messages are full of addresses, 187,000 of them; a program that may lie anywhere writes each
//! one anew when it starts, into three megabytes that would else be read from the file where they are needed. That was a
//! third of the time of a short query, see `docs/decisions/0006-fixed-address.md`. The library is not touched by it.

fn main() {
    let of_target = |about: &str| std::env::var(format!("CARGO_CFG_TARGET_{about}")).unwrap_or_default();
    if of_target("OS") == "linux" && of_target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

# Every command of the house. `just` alone lists them.

set shell := ["bash", "-euo", "pipefail", "-c"]

default:
    @just --list

# All that CI runs, from formatting to docs.
ci:
    .ci/run

# What to run before a commit: the same, without building docs.
check: fmt-check clippy test

# Compiles only.
build:
    cargo check --workspace --all-targets

# Runs the tests; `just test datagen` only those with that name.
test *filter:
    cargo test --workspace {{filter}}

# The shape of the tree alone: a second.
tidy:
    cargo test --test tidy

fmt:
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Runs the benches; `just bench filter` only those with that name.
bench *filter:
    cargo bench --workspace {{filter}}

# Licences, duplicates and origins of dependencies; needs cargo-deny.
deny:
    cargo deny check licenses bans sources

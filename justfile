# What is done often. `just` lists it.

default:
    @just --list

# The main job, on this machine
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# All tests
test *ARGS:
    cargo test {{ARGS}}

# Format, lints and docs, as the CI wants them
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Benchmarks: each prints ratios to a reference in the same run
bench:
    cargo bench

# kill -9 while deploying
chaos *ARGS:
    scripts/chaos-tests.sh {{ARGS}}

# helm lint and helm template over the examples
charts:
    scripts/lint-charts.sh

# Record again what tests compare with
record:
    scripts/record-renderings.sh
    scripts/record-graphs.sh
    scripts/record-page.sh

# Everything that the CI runs
ci:
    .ci/run

//! Reading a customer of 55 services: the parser's bare events, our tree with positions, the whole catalogue with all
//! checks, and its graph. The events are the reference: no reader of YAML by this parser can be faster.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use argocd_orchestrator::domain::catalog::{Limits, Order};
use argocd_orchestrator::domain::graph::Graph;
use argocd_orchestrator::domain::values::{self, Expected};
use argocd_orchestrator::domain::yaml;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use saphyr_parser::Parser;

const FILE: &str = "examples/helm-charts/customers/customer-a/values.yaml";

fn parse(criterion: &mut Criterion) {
    let text = std::fs::read_to_string(FILE).unwrap();
    let limits = Limits::default();
    let expected = Expected::default();
    let (catalog, diagnostics) = values::read(FILE, &text, &expected, &limits);
    let catalog = catalog.unwrap();
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(catalog.enabled().count(), 55);

    let mut group = criterion.benchmark_group("values of 55 services");
    group.sample_size(30).throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("parser events (reference)", |bencher| {
        bencher.iter(|| Parser::new_from_str(black_box(&text)).count());
    });
    group.bench_function("tree with positions", |bencher| {
        bencher.iter(|| yaml::parse(FILE, black_box(&text), &limits));
    });
    group.bench_function("catalogue with all checks", |bencher| {
        bencher.iter(|| values::read(FILE, black_box(&text), &expected, &limits));
    });
    group.bench_function("catalogue to graph", |bencher| {
        bencher.iter(|| Graph::build(black_box(&catalog), Order::Waves, &limits));
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);

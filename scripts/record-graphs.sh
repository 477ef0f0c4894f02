#!/usr/bin/env bash
# Records the dependency graphs of the example customers, as `graph --output yaml`
# prints them, in examples/dependency-graphs/<customer>-dependencies.yaml. A test
# compares them with the examples of today.
#
# Usage:  scripts/record-graphs.sh [--check]
#   --check  change nothing; exit 1 if a recording is out of date
#
# Takes the binary from $ORCHESTRATOR, or builds it.
set -euo pipefail
cd "$(dirname "$0")/.."

check=
case "${1:-}" in
  "") ;;
  --check) check=1 ;;
  *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

graph() {
  if [ -n "${ORCHESTRATOR:-}" ]; then
    "$ORCHESTRATOR" graph "$1" --output yaml
  else
    cargo run --quiet --bin argocd-orchestrator -- graph "$1" --output yaml
  fi
}

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
status=0
for customer in customer-a customer-b; do
  recording=examples/dependency-graphs/$customer-dependencies.yaml
  graph "examples/helm-charts/customers/$customer/values.yaml" >"$new/$customer.yaml"
  if [ -z "$check" ]; then
    mkdir -p "$(dirname "$recording")"
    cp "$new/$customer.yaml" "$recording"
    echo "$recording: $(grep -c 'depends_on:' "$recording") dependencies"
  elif ! diff -u "$recording" "$new/$customer.yaml"; then
    echo "$recording is out of date: run scripts/record-graphs.sh" >&2
    status=1
  fi
done
exit $status

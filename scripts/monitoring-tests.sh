#!/usr/bin/env bash
# Checks what k8s/monitoring has: the rules by their unit tests, Alertmanager's routes, the operator's objects by the
# operator's own schemas, and each query of each dashboard by a real Prometheus that scrapes a real run. That Prometheus
# is asked what health checks ask as well, and a real OpenTelemetry Collector gets the run's traces.
#
#   scripts/monitoring-tests.sh [--keep] [--profile dev|release]
#
# Installs Prometheus and Alertmanager from Debian's packages where they are missing. With Go, builds the collector once
# (some minutes) into ~/.cache/argocd-orchestrator/bin, and gets the operator's schemas; without Go these two parts are
# left out, which is said. Listens on loopback alone. With --keep the folder of the run stays.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=dev keep=
while (($#)); do
  case $1 in
    --profile) [[ ${2:-} == dev || ${2:-} == release ]] || { echo "--profile is dev or release" >&2; exit 2; }; profile=$2; shift ;;
    --keep) keep=1 ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
  shift
done

if ! command -v promtool >/dev/null || ! command -v amtool >/dev/null; then
  apt-get update -q && apt-get install -yq --no-install-recommends prometheus prometheus-alertmanager
fi
python3 -c 'import yaml' 2>/dev/null || python3 -m pip install -q pyyaml || apt-get install -yq python3-yaml

folder=$(mktemp -d)
[ -n "$keep" ] && echo "kept in $folder" || trap 'rm -rf "$folder"' EXIT
# The operator's object carries the rules as they are.
python3 - k8s/monitoring/prometheus-rules.yaml "$folder/rules.yml" <<'PYTHON'
import sys, yaml
with open(sys.argv[1]) as source, open(sys.argv[2], "w") as rules:
    yaml.safe_dump(yaml.safe_load(source)["spec"], rules, width=10000)
PYTHON
cp k8s/monitoring/tests/rules.yaml "$folder/tests.yaml"
promtool check rules "$folder/rules.yml"
# Weeks of samples take their time; the run has its own.
promtool test rules "$folder/tests.yaml" >"$folder/unit-tests.log" 2>&1 &
unit_tests=$!
amtool check-config k8s/monitoring/alertmanager-config.yaml

operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
if ! command -v go >/dev/null; then
  echo "LEFT OUT: Go is missing, so the operator's objects are not checked against its schemas" >&2
elif ! command -v kubectl >/dev/null; then
  echo "LEFT OUT: kubectl is missing, so k8s/monitoring is not built, nor checked against the operator's schemas" >&2
else
  python3 -c 'import jsonschema' 2>/dev/null || python3 -m pip install -q jsonschema || apt-get install -yq python3-jsonschema
  kubectl kustomize k8s/monitoring >"$folder/objects.yaml"
  crds=$(go mod download -json "$operator" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  python3 tests/monitoring/crds.py "$crds/example/prometheus-operator-crd" "$folder/objects.yaml"
fi

version=$(sed -n 's/^  version: //p' tests/monitoring/collector.yaml)
collector=${XDG_CACHE_HOME:-$HOME/.cache}/argocd-orchestrator/bin/otelcol-$version
if [ ! -x "$collector" ] && command -v go >/dev/null; then
  echo "building the OpenTelemetry Collector $version, once"
  mkdir "$folder/collector"
  cp tests/monitoring/collector.yaml "$folder/collector/builder.yaml"
  (cd "$folder/collector" && CGO_ENABLED=0 go run "go.opentelemetry.io/collector/cmd/builder@v$version" \
    --config builder.yaml --ldflags "-s -w" >build.log 2>&1) || { tail -20 "$folder/collector/build.log" >&2; exit 1; }
  mkdir -p "${collector%/*}"
  # In one step: a build that is cut off leaves nothing that looks whole.
  install "$folder/collector/out/otelcol" "$collector.new" && mv "$collector.new" "$collector"
fi
if [ ! -x "$collector" ]; then
  echo "LEFT OUT: Go is missing, so no collector gets the run's traces" >&2
  collector=
fi

cargo build --locked --profile "$profile" --bin argocd-orchestrator --example queries
built=${CARGO_TARGET_DIR:-target}/$([[ $profile == dev ]] && echo debug || echo release)
mkdir "$folder/run"
python3 tests/monitoring/run.py "$built/argocd-orchestrator" "$built/examples/queries" "$folder/rules.yml" \
  "$folder/run" ${collector:+"$collector"}
wait "$unit_tests" || { cat "$folder/unit-tests.log" >&2; exit 1; }
cat "$folder/unit-tests.log"

#!/usr/bin/env bash
# Checks what k8s/monitoring has: the rules by their unit tests, Alertmanager's routes, and each query of each dashboard
# by a real Prometheus that scrapes a real run.
#
#   scripts/monitoring-tests.sh [--keep] [--profile dev|release]
#
# Installs Prometheus and Alertmanager from Debian's packages where they are missing. Listens on loopback alone. With
# --keep the folder of the run stays.
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
promtool test rules "$folder/tests.yaml"
amtool check-config k8s/monitoring/alertmanager-config.yaml

cargo build --locked --profile "$profile" --bin argocd-orchestrator
program=${CARGO_TARGET_DIR:-target}/$([[ $profile == dev ]] && echo debug || echo release)/argocd-orchestrator
mkdir "$folder/run"
python3 tests/monitoring/run.py "$program" "$folder/rules.yml" "$folder/run"

#!/usr/bin/env bash
# Runs the end-to-end scenarios: the real binary on a real Argo CD with real pods.
#
#   scripts/e2e-tests.sh [--all | --scenario NAME ...] [--keep] [--list] [--profile dev|release]
#
# Without --all or --scenario the smoke set runs. They talk to the cluster of KUBECONFIG; where that is not set, to the
# one that scripts/setup-test-env.sh starts. Exits 0 if every scenario passed, 1 if not, 2 where none could be run.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${KUBECONFIG:-}" ] || . tests/cluster/env.sh

profile=dev
arguments=()
while (($#)); do
  case $1 in
    --profile) [[ ${2:-} == dev || ${2:-} == release ]] || { echo "--profile is dev or release" >&2; exit 2; }; profile=$2; shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
cargo build --locked --profile "$profile" --bin argocd-orchestrator --example e2e
folder=${CARGO_TARGET_DIR:-target}/$([[ $profile == dev ]] && echo debug || echo release)
exec "$folder/examples/e2e" "${arguments[@]+"${arguments[@]}"}"

#!/usr/bin/env bash
# The real Argo Workflows before this server: the templates of workflow-templates/ run as real pods of the image, under the
# Pod Security Standard `restricted`, and ask a server on this host, with a simulated Argo CD. Exits 0 if every promise was
# kept, 1 if not, 2 for wrong arguments.
#
#   scripts/test-argo-workflows.sh [--scenario=NAME] [--server=host|pod] [--cluster=simulated|argo-cd] [--keep]
#                                  [--profile=dev|release] [--program=FILE]
#
#   lint                `argo lint --offline` takes every kind, the API server every object; the plugin's ConfigMap is what
#                       its manifest makes
#   deployment          customer-b through the eight steps; once more with nothing to do; parameters that try to be more
#                       than a value
#   failing-deployment  a service that does not become healthy: failed at that step, which says what and why
#   retry               the server is away before and meanwhile; a failed workflow goes on where it was
#   stop-and-terminate  a stopped workflow leaves the deployment alone, or aborts it where it was told to
#   fan-out             all customers; one that fails does not keep the others
#   by-waves            each wave as a step, one after the other
#   rollback            a customer is taken back
#   plugin              the same steps through the executor plugin
#   twice               two at once for one customer: the second waits
#
# --server=pod runs deployment, by-waves, rollback and plugin with the server in its own pod, --cluster=argo-cd with the real
# Argo CD behind it. --keep leaves what it put on the cluster. Needs python3, git, openssl and
# the test cluster with Argo Events and Argo Workflows: CLUSTER_PARTS="events workflows" scripts/setup-test-env.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/cluster/env.sh

profile=release
program=
arguments=()
if [[ " $* " == *" --program "* || " $* " == *" --profile "* ]]; then
  echo "write --program=FILE and --profile=NAME" >&2
  exit 2
fi
for argument in "$@"; do
  case $argument in
    --profile=dev | --profile=release) profile=${argument#*=} ;;
    --program=*) program=${argument#*=} ;;
    *) arguments+=("$argument") ;;
  esac
done

for kind in sensors workflows; do
  if ! kubectl -n argo-workflows get "$kind.argoproj.io" >/dev/null 2>&1; then
    echo "the test cluster is not up, or without $kind: CLUSTER_PARTS=\"events workflows\" scripts/setup-test-env.sh" >&2
    exit 1
  fi
done
if [[ -z $program ]]; then
  cargo build --locked --profile "$profile"
  folder=$profile
  [[ $profile == dev ]] && folder=debug
  program=${CARGO_TARGET_DIR:-target}/$folder/argocd-orchestrator
fi
# The steps are pods of it.
tests/cluster/load-orchestrator.sh "$program"
python3 scripts/argo_workflows_tests.py --program "$program" "${arguments[@]}"

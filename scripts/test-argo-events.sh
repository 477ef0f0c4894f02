#!/usr/bin/env bash
# The real Argo Events before this server: events posted to real EventSource pods go over a real NATS and through real
# Sensor pods to a server on this host, with a simulated Argo CD; or to a server in a pod, from its image and with the
# manifests of k8s/, which drives a simulated or the real Argo CD. Exits 0 if every promise was kept, 1 if not, 2 for wrong
# arguments.
#
#   scripts/test-argo-events.sh [--scenario=NAME] [--server=host|pod] [--cluster=simulated|argo-cd] [--down=TIME]
#                               [--kills=N] [--pushes=N] [--single=N] [--keep] [--profile=dev|release] [--program=FILE]
#
#   github-webhook      a signed push is deployed; a wrong signature, a ping and a foreign repository are not
#   deployment-trigger  somebody asks for a deployment; a wrong token asks for nothing
#   sync-wave           somebody asks for one wave
#   health-check-event  another system asks whether services are healthy
#   rollback-trigger    somebody takes a customer back
#   event-processing    200 pushes in a burst, with the Sensor's pod killed meanwhile, are a few deployments, and each is
#                       accounted for; a malformed one does not hold back the next; times of 100 single ones
#   lost-push           only with --server=host: a push that no EventSource took is found by the look at the refs, once
#   rate-limiting       a Sensor with a rateLimit: what arrives faster waits on the bus
#   retry-strategies    the server is killed again and again, then away for --down (15 s), then NATS is killed, while
#                       events of all kinds arrive: nothing is lost, nothing happens twice; what is left after all
#                       attempts comes by HTTP (dlqTrigger)
#   customer-pods       only with --cluster=argo-cd: a signed push becomes 55 services with healthy pods; a wrong signature
#                       goes nowhere; times of --single ones to the first `.operation`
#
# --keep leaves what it put on the cluster. Needs python3, git, openssl and the test cluster with Argo Events:
# CLUSTER_PARTS=events scripts/setup-test-env.sh (for --cluster=argo-cd CLUSTER_PARTS="argocd rollouts events")
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/cluster/env.sh

profile=release
program=
server=host
arguments=()
if [[ " $* " == *" --program "* || " $* " == *" --profile "* ]]; then
  echo "write --program=FILE and --profile=NAME" >&2
  exit 2
fi
for argument in "$@"; do
  case $argument in
    --profile=dev | --profile=release) profile=${argument#*=} ;;
    --program=*) program=${argument#*=} ;;
    --server=pod) server=pod; arguments+=("$argument") ;;
    *) arguments+=("$argument") ;;
  esac
done

if ! kubectl -n argo-events get sensors.argoproj.io >/dev/null 2>&1; then
  echo "the test cluster is not up, or without Argo Events: CLUSTER_PARTS=events scripts/setup-test-env.sh" >&2
  exit 1
fi
if [[ -z $program ]]; then
  cargo build --locked --profile "$profile"
  folder=$profile
  [[ $profile == dev ]] && folder=debug
  program=${CARGO_TARGET_DIR:-target}/$folder/argocd-orchestrator
fi
if [[ $server == pod ]]; then
  tests/cluster/load-orchestrator.sh "$program"
fi
python3 scripts/argo_events_tests.py --program "$program" "${arguments[@]}"

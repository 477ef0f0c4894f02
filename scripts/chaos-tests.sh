#!/usr/bin/env bash
# Breaks the real server on purpose and checks that it kept its promises.
#
#   scripts/chaos-tests.sh [--scenario=NAME] [--kills=N] [--seed=N] [--profile dev|release]
#
# Without --scenario all of them run. Exits 0 if every promise was kept, 1 if
# not (the folder with all that is left is kept and named), 2 for wrong
# arguments. Needs cargo and git.
set -euo pipefail
cd "$(dirname "$0")/.."

known=(kill)
scenarios=()
kills=200
seed=1
profile=release

usage() {
  echo "$1" >&2
  echo "known scenarios: ${known[*]}" >&2
  echo "usage: scripts/chaos-tests.sh [--scenario=NAME] [--kills=N] [--seed=N] [--profile dev|release]" >&2
  exit 2
}

while (($#)); do
  case $1 in
    --*=*) name=${1%%=*} value=${1#*=} ;;
    --scenario | --kills | --seed | --profile)
      (($# > 1)) || usage "$1 needs a value"
      name=$1 value=$2
      shift
      ;;
    *) usage "unknown argument: $1" ;;
  esac
  shift
  case $name in
    --scenario)
      [[ " ${known[*]} " == *" $value "* ]] || usage "unknown scenario: $value"
      scenarios+=("$value")
      ;;
    --kills) [[ $value =~ ^[1-9][0-9]*$ ]] || usage "--kills needs a number from 1" && kills=$value ;;
    --seed) [[ $value =~ ^[0-9]+$ ]] || usage "--seed needs a number" && seed=$value ;;
    --profile) [[ $value == dev || $value == release ]] || usage "--profile is dev or release" && profile=$value ;;
    *) usage "unknown argument: $name" ;;
  esac
done
((${#scenarios[@]})) || scenarios=("${known[@]}")

cargo build --locked --profile "$profile" --bin argocd-orchestrator --example chaos
folder=${CARGO_TARGET_DIR:-target}/$([[ $profile == dev ]] && echo debug || echo release)
for scenario in "${scenarios[@]}"; do
  "$folder/examples/chaos" --scenario "$scenario" --kills "$kills" --seed "$seed"
done

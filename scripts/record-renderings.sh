#!/usr/bin/env bash
# Records what the example charts render to: one line of facts per service, in
# tests/fixtures/renderings/<customer>.json. The tests compare these with what
# our own reader makes of the same values files.
#
# Usage:  scripts/record-renderings.sh [--check]
#   --check  change nothing; exit 1 if a recording is out of date
#
# Needs helm 3 on PATH, and python3 with PyYAML.
set -euo pipefail
cd "$(dirname "$0")/.."

check=
case "${1:-}" in
  "") ;;
  --check) check=1 ;;
  *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
command -v helm >/dev/null || { echo "helm is not on PATH; install helm 3: https://helm.sh/docs/intro/install/" >&2; exit 3; }
python3 -c 'import yaml' 2>/dev/null || { echo "python3 with PyYAML is needed: pip install pyyaml" >&2; exit 3; }

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
status=0

for customer in customer-a customer-b; do
  recording=tests/fixtures/renderings/$customer.json
  # Helm reports the symbolic link to the base chart on stderr: kept for failures only.
  if ! helm template recording "examples/helm-charts/customers/$customer" >"$new/$customer.yaml" 2>"$new/log"; then
    cat "$new/log" >&2
    exit 1
  fi
  python3 - "$new/$customer.yaml" >"$new/$customer.json" <<'PYTHON'
import json
import sys

import yaml

services = {}
with open(sys.argv[1]) as rendered:
    for obj in yaml.safe_load_all(rendered):
        if not obj or obj["kind"] not in ("Deployment", "Rollout"):
            continue
        meta = obj["metadata"]
        notes = meta["annotations"]
        services[meta["labels"]["orchestrator.rtte.com/service"]] = {
            "image": obj["spec"]["template"]["spec"]["containers"][0]["image"],
            "kind": obj["kind"],
            "sync-wave": notes["argocd.argoproj.io/sync-wave"],
            "replicas": obj["spec"]["replicas"],
            "dependencies": json.loads(notes.get("orchestrator.rtte.com/dependencies", "[]")),
        }
print(json.dumps(services, indent=2, sort_keys=True))
PYTHON
  if [ -z "$check" ]; then
    mkdir -p "$(dirname "$recording")"
    cp "$new/$customer.json" "$recording"
    echo "$recording: $(grep -c '"image"' "$recording") services"
  elif ! diff -u "$recording" "$new/$customer.json"; then
    echo "$recording is out of date: run scripts/record-renderings.sh" >&2
    status=1
  fi
done
exit $status

#!/usr/bin/env bash
# Every Kubernetes object that this repository ships, before a real API server with the real CRDs: a server-side dry run of
# each, where a warning counts as a failure, and pods under the Pod Security Standard `restricted`.
#
#   scripts/manifest-tests.sh
#
# Talks to the cluster of KUBECONFIG or to the test cluster:
# CLUSTER_PARTS="argocd rollouts events workflows" scripts/setup-test-env.sh
# Kinds whose CRD the cluster lacks are named at the end, and not counted. The last line is for CI.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${KUBECONFIG:-}" ] || . tests/cluster/env.sh

passed=0 failed=0 lacking=
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Namespaces that objects are in; a dry run makes none.
for namespace in argocd argo-events argo-workflows monitoring argocd-orchestrator; do
  kubectl create namespace "$namespace" >/dev/null 2>&1 || true
done
restricted=argocd-orchestrator-manifest-tests
kubectl create namespace "$restricted" >/dev/null 2>&1 || true
kubectl label namespace "$restricted" --overwrite pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null
trap 'rm -rf "$work"; kubectl delete namespace "$restricted" --wait=false >/dev/null' EXIT

dry_run() { # WHAT FILE [NAMESPACE]
  local said
  if said=$(kubectl ${3:+-n "$3"} apply --server-side --force-conflicts --dry-run=server --warnings-as-errors -f "$2" 2>&1); then
    passed=$((passed + 1))
  elif [[ $said == *"no matches for kind"* ]]; then
    lacking+=" $(sed -n 's/.*no matches for kind "\([^"]*\)".*/\1/p' <<<"$said" | head -1)"
  else
    failed=$((failed + 1))
    echo "FAILED $1"
    sed 's/^/  /' <<<"$said"
  fi
}

# Each object on its own, so that one that is refused hides no other.
objects() { # NAME, manifests on standard input
  python3 - "$work" "$1" <<'PYTHON'
import json, sys, yaml
folder, name = sys.argv[1:]
for number, found in enumerate(yaml.safe_load_all(open(f"{folder}/all"))):
    if found is None:
        continue
    with open(f"{folder}/{number:03}.json", "w") as file:
        json.dump(found, file)
    kind, meta = found["kind"], found["metadata"]
    print(number, f"{name}: {kind} {meta.get('namespace', '')}/{meta.get('name') or meta.get('generateName')}", sep="\t")
    if kind == "StatefulSet":
        # One that is there already may have been made with another volume, which cannot be changed.
        meta["name"] += "-dry-run"
        with open(f"{folder}/{number:03}.json", "w") as file:
            json.dump(found, file)
    template = found.get("spec", {}).get("template") if kind in ("StatefulSet", "Deployment") else None
    if template:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dry-run"}, "spec": template["spec"]}
        pod["spec"].pop("serviceAccountName", None)
        mounts = {mount["name"] for container in pod["spec"]["containers"] for mount in container.get("volumeMounts", [])}
        volumes = pod["spec"].setdefault("volumes", [])
        for claim in found["spec"].get("volumeClaimTemplates", []):
            volumes.append({"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": "dry-run"}})
        with open(f"{folder}/{number:03}.pod.json", "w") as file:
            json.dump(pod, file)
PYTHON
}

while read -r kustomization; do
  folder=$(dirname "$kustomization")
  kubectl kustomize "$folder" >"$work/all"
  rm -f "$work"/*.json
  while IFS=$'\t' read -r number what; do
    file=$work/$(printf %03d "$number")
    dry_run "$what" "$file.json"
    if [ -e "$file.pod.json" ]; then dry_run "$what, its pod under restricted" "$file.pod.json" "$restricted"; fi
  done < <(objects "$folder")
  # kustomizations that only patch others have none of their own
done < <(git ls-files '*kustomization.yaml' | grep -Ev '^tests/cluster/tools/')

# What is no part of a kustomization.
while read -r file; do
  cp "$file" "$work/all"
  rm -f "$work"/*.json
  while IFS=$'\t' read -r number what; do dry_run "$what" "$work/$(printf %03d "$number").json"; done < <(objects "$file")
done < <(git ls-files 'k8s/rbac/*.yaml' | grep -v kustomization)

if [ -n "$lacking" ]; then echo "not on this cluster:$(tr ' ' '\n' <<<"$lacking" | sort -u | tr '\n' ' ')"; fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

#!/usr/bin/env bash
# Takes away what the end-to-end tests left on the cluster of KUBECONFIG: everything that carries a customer's label.
# The cluster itself stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${KUBECONFIG:-}" ] || . tests/cluster/env.sh
label=orchestrator.rtte.com/customer
# Sets of several customers carry no customer's label.
kubectl -n argocd delete applicationsets -l app.kubernetes.io/managed-by=argocd-orchestrator --ignore-not-found --wait=false
kubectl -n argocd delete applicationsets,applications -l "$label" --ignore-not-found --wait=false
kubectl delete namespaces -l "$label" --ignore-not-found --wait=false
kubectl -n argocd wait applications -l "$label" --for=delete --timeout=120s 2>/dev/null || true
kubectl wait namespaces -l "$label" --for=delete --timeout=180s 2>/dev/null || true
kubectl -n argocd delete appprojects -l "$label" --ignore-not-found
echo "clean"

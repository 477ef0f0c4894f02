"""The server as it is meant to run: from its image, in a pod of k8s/, with its repository behind TLS."""

import json
import os
import signal
import socket
import subprocess

from argo_events_stack import CLUSTER_RUN, HOST, NAME, TOKEN, Server, check, run, until
from git_server import GitServer

NAMESPACE = "argocd-orchestrator"
GIT_PORT = 8444
VOLUME = f"{CLUSTER_RUN}/orchestrator-data"


def kubectl(*arguments, stdin=None):
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


class Pod(Server):
    """The server in its pod; killed, it is made anew on the same volume."""

    in_pod = True

    def __init__(self, folder, repository, argo_cd):
        self.argo_cd = argo_cd
        super().__init__(folder, None, repository)
        self.git = GitServer((HOST, GIT_PORT), folder)
        self.made = False

    def settings(self):
        settings = super().settings()
        tls = {"certificate": "/etc/argocd-orchestrator-tls/tls.crt", "key": "/etc/argocd-orchestrator-tls/tls.key"}
        settings["grpc"] |= {"listen": "0.0.0.0:50051", "tls": tls}
        settings["grpc"]["tokens"][0]["token"] = "${SENSOR_TOKEN}"
        settings["http"] |= {"listen": "0.0.0.0:8443", "tls": tls,
                             "metrics": {"listen": "0.0.0.0:9090", "allow-plaintext": True}}
        source = settings["sources"][0]
        source["url"] = f"https://{HOST}:{GIT_PORT}/repository/.git"
        del source["allow-file"]
        if self.argo_cd:
            settings["cluster"] = {"argo-cd": {"value-files": ["/examples/helm-charts/overlays/small.yaml"]}}
            settings["sync-wave"] = {"degraded-grace": "2s", "dependency-resolution": {"retry-delay": "1s"}}
        return settings

    def install(self):
        """Puts the manifests on the cluster; an earlier run's pod and data go."""
        remove()
        os.makedirs(VOLUME, exist_ok=True)
        subprocess.run(["rm", "-rf", f"{VOLUME}/data"], check=True)
        os.makedirs(f"{VOLUME}/data")
        # As a provisioner would: for this claim alone. `local`, because a hostPath does not belong to the pod's group.
        run("kubectl", "apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "argocd-orchestrator-data"},
            "spec": {
                "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": f"{VOLUME}/data"},
                "claimRef": {"namespace": NAMESPACE, "name": "data-argocd-orchestrator-0"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                    {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"]}]}]}},
            }}))
        kubectl("create", "secret", "generic", "argocd-orchestrator", f"--from-literal=SENSOR_TOKEN={TOKEN}")
        kubectl("create", "secret", "generic", "argocd-orchestrator-tls",
                *(f"--from-file={name}={self.folder}/{name}" for name in ("tls.crt", "tls.key", "ca.crt")))
        overlay = f"{self.folder}/overlay"
        os.makedirs(overlay, exist_ok=True)
        os.replace(f"{self.folder}/config.yaml", f"{overlay}/config.yaml")
        with open(f"{overlay}/kustomization.yaml", "w") as file:
            json.dump({
                "resources": [os.path.relpath("tests/cluster/orchestrator", os.path.realpath(overlay))],
                "configMapGenerator": [{"name": "argocd-orchestrator", "namespace": NAMESPACE, "behavior": "replace",
                                        "files": ["config.yaml"]}],
            }, file)
        run("kubectl", "apply", "--server-side", "--force-conflicts", "-k", overlay)
        if self.argo_cd:
            # Argo CD believes the repository's certificate by the host's name.
            with open(f"{self.folder}/ca.crt") as source, open(f"{CLUSTER_RUN}/argocd/tls/{HOST}", "w") as to:
                to.write(source.read())
        self.made = True

    def start(self):
        if not self.made:
            self.install()
        kubectl("scale", "statefulset/argocd-orchestrator", "--replicas=1")
        kubectl("rollout", "status", "statefulset/argocd-orchestrator", "--timeout=120s")
        self.address = kubectl("get", "service", "argocd-orchestrator", "-o", "jsonpath={.spec.clusterIP}")
        self.ready()

    def stop(self):
        kubectl("scale", "statefulset/argocd-orchestrator", "--replicas=0")
        kubectl("wait", "pod/argocd-orchestrator-0", "--for=delete", "--timeout=60s")

    def kill(self):
        """kill -9 of the process; its pod goes as well, because kubelet waits longer and longer before it starts another
        container in the same pod."""
        uid = kubectl("get", "pod", "argocd-orchestrator-0", "-o", "jsonpath={.metadata.uid}")
        pid = process_of(uid)
        os.kill(pid, signal.SIGKILL)
        kubectl("delete", "pod", "argocd-orchestrator-0", "--grace-period=0", "--force", "--wait=false")
        until("the killed process is gone", lambda: not os.path.exists(f"/proc/{pid}"), 20)

        def another():
            found = subprocess.run(["kubectl", "-n", NAMESPACE, "get", "pod", "argocd-orchestrator-0", "-o",
                                    "jsonpath={.metadata.uid}"], capture_output=True, text=True)
            return found.returncode == 0 and found.stdout != uid

        until("another pod is made", another, 60)

    def log(self):
        return kubectl("logs", "argocd-orchestrator-0")

    def connection(self):
        connection = super().connection()
        # The certificate is for the Service's name, which this host does not look up.
        connection.host = NAME
        connection._create_connection = lambda address, *rest: socket.create_connection(
            (self.address, address[1]), *rest)
        return connection

    def close(self, keep):
        self.git.shutdown()
        if keep:
            return
        remove()
        if self.argo_cd:
            run("scripts/clean-test-data.sh")


def process_of(uid):
    """The server's process in the pod."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as command, open(f"/proc/{pid}/cgroup") as groups:
                if command.read().startswith(b"/bin/argocd-orchestrator\0serve") and uid in groups.read():
                    return int(pid)
        except OSError:
            pass
    check(False, f"no process of the pod {uid} is found")


def remove():
    """Takes away pod, volume and secrets."""
    kubectl("delete", "statefulset,service,poddisruptionbudget,networkpolicy,configmap", "--ignore-not-found",
            "-l", "app.kubernetes.io/name=argocd-orchestrator")
    kubectl("delete", "endpointslice", "argocd-orchestrator-host", "--ignore-not-found")
    kubectl("delete", "service", "argocd-orchestrator", "--ignore-not-found")
    until("the pod is gone", lambda: not json.loads(kubectl("get", "pods", "-o", "json"))["items"], 60)
    kubectl("delete", "pvc", "data-argocd-orchestrator-0", "--ignore-not-found")
    run("kubectl", "delete", "pv", "argocd-orchestrator-data", "--ignore-not-found")
    kubectl("delete", "secret", "--ignore-not-found", "argocd-orchestrator", "argocd-orchestrator-tls")

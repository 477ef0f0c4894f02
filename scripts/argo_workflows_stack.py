"""What the tests of Argo Workflows stand on: that of Argo Events, and tests/cluster/argo-workflows/ on the test cluster."""

import datetime
import json
import os

from argo_events_stack import ON_HOST, SECRETS, Server, Stack, check, run, until

MANIFESTS = "tests/cluster/argo-workflows"
EXAMPLES = "workflow-templates/examples"
NAMESPACE = "argo-workflows"
# A StatefulSet in the place of the orchestrator's, which is a process of this host here.
STAND_IN = {
    "apiVersion": "apps/v1", "kind": "StatefulSet",
    "metadata": {"name": "argocd-orchestrator", "namespace": "argocd-orchestrator",
                 "labels": {"app.kubernetes.io/name": "argocd-orchestrator"}},
    "spec": {
        "serviceName": "argocd-orchestrator", "replicas": 1, "selector": {"matchLabels": {"app": "stand-in"}},
        "template": {
            "metadata": {"labels": {"app": "stand-in"}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": "health", "image": "localhost/health:1",
                    "securityContext": {"runAsUser": 65532, "allowPrivilegeEscalation": False,
                                        "capabilities": {"drop": ["ALL"]}},
                }],
            },
        },
    },
}
OVER = {"Succeeded", "Failed", "Error"}


def kubectl(*arguments, stdin=None):
    return run("kubectl", "-n", NAMESPACE, *arguments, stdin=stdin)


def argo(*arguments):
    return run("argo", "-n", NAMESPACE, *arguments)


def get(*what):
    return json.loads(kubectl("get", *what, "-o", "json"))


class Workflow:
    """A workflow that was submitted."""

    def __init__(self, name):
        self.name = name

    def read(self):
        return get("workflow.argoproj.io", self.name)

    def phase(self):
        return self.read().get("status", {}).get("phase")

    def over(self, phase, seconds=600):
        """Waits for its end, which has to be this one; answers it."""
        until(f"{self.name} is over", lambda: self.phase() in OVER, seconds)
        found = self.read()
        status = found["status"]
        told = {node["displayName"]: node.get("message") for node in status.get("nodes", {}).values()
                if node["phase"] not in ("Succeeded", "Skipped", "Omitted")}
        why = f"{status.get('message')}; {told}"
        check(status["phase"] == phase, f"{self.name} is {status['phase']}, not {phase}: {why}")
        return found

    def nodes(self, name, template=None):
        """Its nodes that are called so, pods and plugin calls, the oldest first."""
        found = [node for node in self.read().get("status", {}).get("nodes", {}).values()
                 if node["type"] in ("Pod", "Plugin") and plain(node) == name
                 and (template is None or template in node["name"])]
        return sorted(found, key=lambda node: (node["startedAt"], attempt(node)))

    def node(self, name, template=None):
        """The last of them."""
        found = self.nodes(name, template)
        check(found, f"{self.name} has no step {name}")
        return found[-1]

    def reaches(self, name, phase, seconds=300):
        """Waits until a step is in this phase."""
        def found():
            nodes = self.nodes(name)
            return nodes and nodes[-1]["phase"] == phase and nodes[-1]

        return until(f"{name} of {self.name} is {phase}", found, seconds)


def plain(node):
    """A step's name, without the number of an attempt."""
    return node["displayName"].split("(")[0]


def attempt(node):
    return int(node["displayName"].split("(")[1].rstrip(")")) if "(" in node["displayName"] else 0


def outputs(node):
    return {output["name"]: output.get("value") for output in node.get("outputs", {}).get("parameters", [])}


def moment(text):
    return datetime.datetime.fromisoformat(text).timestamp()


def submit(path, name=None, **parameters):
    """Makes the workflow of a file, with other parameters; answers it."""
    found = json.loads(kubectl("create", "--dry-run=client", "-o", "json", "-f", path))
    if "workflowSpec" in found["spec"]:
        found = {"apiVersion": found["apiVersion"], "kind": "Workflow", "spec": found["spec"]["workflowSpec"],
                 "metadata": {"namespace": NAMESPACE, "generateName": f"{found['metadata']['name']}-"}}
    if name is None and "name" in found["metadata"]:
        # Many of one example.
        found["metadata"]["generateName"] = f"{found['metadata'].pop('name')}-"
    given = {entry["name"]: entry for entry in found["spec"]["arguments"]["parameters"]}
    for key, value in parameters.items():
        key = key.replace("_", "-")
        given[key] = {"name": key, "value": value}
    found["spec"]["arguments"]["parameters"] = list(given.values())
    made = json.loads(kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(found)))
    return Workflow(made["metadata"]["name"])


def one(step, **parameters):
    """A workflow of one step."""
    given = [{"name": key.replace("_", "-"), "value": value} for key, value in parameters.items()]
    call = {"name": step, "templateRef": {"name": step, "template": step}, "arguments": {"parameters": given}}
    made = json.loads(kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"generateName": f"{step}-", "namespace": NAMESPACE},
        "spec": {"entrypoint": "one", "templates": [{"name": "one", "steps": [[call]]}]},
    })))
    return Workflow(made["metadata"]["name"])


def deploy(**parameters):
    return submit(f"{EXAMPLES}/deploy-customer-b.yaml", **{"image_tag": "", "timeout": "5m", **parameters})


class Simulated(Server):
    """The server on this host, with an Argo CD that behaves as it is told."""

    def __init__(self, folder, program, repository):
        self.simulated = {"speed": 100}
        super().__init__(folder, program, repository)

    def settings(self):
        # A failure counts soon.
        waves = {"degraded-grace": "2s", "dependency-resolution": {"retry-delay": "1s"}}
        return {**super().settings(), "cluster": {"simulated": self.simulated}, "sync-wave": waves}

    def configure(self, simulated):
        """From its next start on."""
        self.simulated = {"speed": 100, **simulated}
        with open(f"{self.folder}/config.yaml", "w") as file:
            json.dump(self.settings(), file)


class Workflows(Stack):
    """The server, the pods of Argo Events, and the templates of Argo Workflows."""

    def up(self):
        # Steps run as the Pod Security Standard allows, or not at all.
        run("kubectl", "label", "namespace", NAMESPACE, "--overwrite", "pod-security.kubernetes.io/enforce=restricted")
        super().up()

    def secrets(self, folder):
        super().secrets(folder)
        secret = lambda name, *given: kubectl("create", "secret", "generic", name, *given)
        secret("argocd-orchestrator-workflow", f"--from-literal=token={SECRETS['reader']}")
        secret("argocd-orchestrator-ca", f"--from-file=ca.crt={folder}/ca.crt")
        # Where the plugin finds it.
        secret("argo-workflows-agent-ca-certificates", f"--from-file=ca.crt={folder}/ca.crt")

    def apply(self):
        super().apply()
        run("kubectl", "apply", "--server-side", "--force-conflicts", "-k", MANIFESTS)
        if self.manifests == ON_HOST:
            run("kubectl", "apply", "-f", "-", stdin=json.dumps(STAND_IN))
            run("kubectl", "-n", "argocd-orchestrator", "rollout", "status", "statefulset/argocd-orchestrator",
                "--timeout=60s")

    def remove(self):
        super().remove()
        if self.manifests == ON_HOST:
            run("kubectl", "delete", "-f", "-", "--ignore-not-found", stdin=json.dumps(STAND_IN))
        kubectl("delete", "workflows.argoproj.io,cronworkflows.argoproj.io,workflowtemplates.argoproj.io", "--all",
                "--ignore-not-found")
        kubectl("delete", "secrets", "--ignore-not-found", "argocd-orchestrator-workflow", "argocd-orchestrator-ca",
                "argo-workflows-agent-ca-certificates")

    def again(self, **simulated):
        """The server, stopped and started with an Argo CD that behaves so."""
        self.server.stop()
        self.server.configure(simulated)
        self.server.start()

    def commit(self, customer="customer-b"):
        """Another image tag for all services of a customer; answers the payload of its push."""
        self.repository.values = f"{self.repository.path}/examples/helm-charts/customers/{customer}/values.yaml"
        return self.repository.commit()

    def place(self, customer="customer-b"):
        return self.server.get(f"/api/v1/customers?customer={customer}")["items"][0]

    def deployment(self, id):
        return {row["id"]: row for row in self.server.all("/api/v1/deployments")}[id]


def failing(service, **how):
    """An Argo CD in which one service of customer-b does not become healthy."""
    return {"services": {f"customer-b-{service}": {"fail": {"how": "degraded", **how}}}}


def linted(folder):
    """Everything that `argo lint` is to look at, as files in a folder: kustomizations as they are applied."""
    os.makedirs(folder)
    for name, path in (("templates", "workflow-templates"), ("cluster", "k8s/argo-workflows/overlays/cluster-scope")):
        os.makedirs(f"{folder}/{name}")
        with open(f"{folder}/{name}/all.yaml", "w") as file:
            file.write(run("kubectl", "kustomize", path))
    return [f"{folder}/templates", EXAMPLES, "k8s/argo-workflows/deployment-workflow.yaml"], [f"{folder}/cluster"]

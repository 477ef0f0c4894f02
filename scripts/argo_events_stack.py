"""What the tests of Argo Events stand on: a server on this host, and tests/cluster/argo-events/ on the test cluster."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import uuid

HOST = os.environ.get("CLUSTER_HOST_IP", "10.77.0.1")
ON_HOST = "tests/cluster/argo-events-on-host"
IN_POD = "tests/cluster/argo-events"
CLUSTER_RUN = os.environ.get("CLUSTER_RUN", "")
NAME = "argocd-orchestrator.argocd-orchestrator.svc"
REPOSITORY = "example/customers"
# The sensors' token stands in the kustomization as well.
TOKEN = "token-of-the-sensor"
SECRETS = {name: uuid.uuid4().hex for name in ("github", "requests", "dead-letters", "reader")}
# With these values each service is one small pod that starts fast and fails fast.
SMALL = {
    "image": "localhost/health:1", "port": 8080, "replicas": 1, "volumes": False,
    "resources": {"requests": {"cpu": "1m", "memory": "2Mi"}},
    "healthCheck": {"intervalSeconds": 1, "timeoutSeconds": 2},
    "startupSeconds": 60, "progressDeadlineSeconds": 30, "terminationGracePeriodSeconds": 1,
    "podSecurityContext": {"runAsNonRoot": True, "runAsUser": 65532},
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "2s"}}, {"setWeight": 100}]},
    "blueGreen": {"autoPromotionEnabled": True, "scaleDownDelaySeconds": 5},
}


class Failed(Exception):
    """A promise that was not kept."""


def check(kept, otherwise):
    if not kept:
        raise Failed(otherwise)


def until(what, found, seconds=90):
    """What `found` answers as soon as that is something."""
    deadline = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        check(time.monotonic() < deadline, f"{what}: not within {seconds} s")
        time.sleep(0.2)


def run(*command, stdin=None):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def kubectl(*arguments, stdin=None):
    return run("kubectl", "-n", "argo-events", *arguments, stdin=stdin)


def restart_nats():
    """Kills the test cluster's NATS; goes on once it is there again."""
    with open(f"{CLUSTER_RUN}/pid/nats") as file:
        pid = int(file.read())
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read().split(b"\0")[:-1]
    check(command[0] == b"nats-server", f"process {pid} is no NATS")
    os.kill(pid, signal.SIGKILL)
    until("NATS is gone", lambda: not os.path.exists(f"/proc/{pid}") or state(pid) == "Z", 20)
    yield
    with open(f"{CLUSTER_RUN}/log/nats.log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=CLUSTER_RUN, start_new_session=True)
    with open(f"{CLUSTER_RUN}/pid/nats", "w") as file:
        file.write(f"{process.pid}\n")


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


class Repository:
    """The customers' repository; every commit changes the image tag of all services."""

    def __init__(self, folder):
        self.path = f"{folder}/repository"
        shutil.copytree("examples/helm-charts", f"{self.path}/examples/helm-charts")
        os.makedirs(f"{self.path}/examples/helm-charts/overlays", exist_ok=True)
        with open(f"{self.path}/examples/helm-charts/overlays/small.yaml", "w") as file:
            json.dump({"overrides": SMALL}, file)
        run("git", "init", "--quiet", "--initial-branch=main", self.path)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "The example customers")
        self.values = os.path.join(self.path, "examples/helm-charts/customers/customer-a/values.yaml")
        self.commits = 0

    def git(self, *arguments):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        return run("git", "-C", self.path, *identity, *arguments)

    def head(self):
        return self.git("rev-parse", "HEAD")

    def commit(self, service=None):
        """Another image tag, of all services or of one; answers the payload of its push."""
        before = self.head()
        self.commits += 1
        tag = f"v9.{self.commits}.0"
        was, now = r'imageTag: ".*"', f'imageTag: "{tag}"'
        if service:
            was, now = rf"image: rtte/{service}:.*", f"image: rtte/{service}:{tag}"
        with open(self.values) as file:
            text = file.read()
        with open(self.values, "w") as file:
            file.write(re.sub(was, now, text, count=1))
        self.git("commit", "--quiet", "--all", "--message", tag)
        return self.push(before, self.head())

    def push(self, before, after):
        return {
            "ref": "refs/heads/main", "before": before, "after": after, "created": False, "deleted": False,
            "forced": False, "commits": [], "head_commit": {"id": after}, "pusher": {"name": "anna"},
            "repository": {"full_name": REPOSITORY, "created_at": 1764122400},
        }


class Server:
    """The server, as a process that can be killed and started again on the same data."""

    def __init__(self, folder, program, repository):
        self.folder, self.program, self.repository = folder, program, repository
        self.certificates()
        with open(f"{folder}/config.yaml", "w") as file:
            json.dump(self.settings(), file)
        self.context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        self.process = None

    in_pod = False

    def change(self, how):
        """Changes the configuration; it holds from the next start on."""
        with open(f"{self.folder}/config.yaml") as file:
            settings = json.load(file)
        how(settings)
        with open(f"{self.folder}/config.yaml", "w") as file:
            json.dump(settings, file)

    def settings(self):
        sha256 = lambda text: hashlib.sha256(text.encode()).hexdigest()
        tls = {"certificate": f"{self.folder}/tls.crt", "key": f"{self.folder}/tls.key"}
        return {
            "sources": [{
                "name": "customers", "url": f"file://{self.repository.path}", "allow-file": True,
                # What a sensor loses must not be found in another way.
                "poll": "0s", "repository": REPOSITORY,
                "targets": [{"ref": "refs/heads/main", "environment": "production"}],
            }],
            "cluster": {"simulated": {"speed": 100}},
            "grpc": {
                "listen": f"{HOST}:50051", "tls": tls,
                "tokens": [{"name": "argo-events", "token": TOKEN, "sources": ["customers"]}],
            },
            "http": {
                "listen": f"{HOST}:8443", "tls": tls, "rate-limit": {"per-second": 0},
                "tokens": [{
                    "name": "test", "sha256": sha256(SECRETS["reader"]),
                    "roles": [{"role": "admin", "customers": "all"}],
                }],
                "webhooks": {"argo-events": [{"name": "sensor", "sha256": sha256(SECRETS["dead-letters"])}]},
            },
        }

    def certificates(self):
        at = lambda name: f"{self.folder}/{name}"
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        run(*new, "-keyout", at("ca.key"), "-out", at("ca.crt"), "-subj", "/CN=test-ca")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", at("tls.key"), "-out", at("tls.csr"),
            "-subj", f"/CN={NAME}")
        with open(at("extensions"), "w") as file:
            file.write(f"subjectAltName=DNS:{NAME},IP:{HOST}\nextendedKeyUsage=serverAuth\n")
        run("openssl", "x509", "-req", "-in", at("tls.csr"), "-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-days", "2",
            "-CAcreateserial", "-extfile", at("extensions"), "-out", at("tls.crt"))

    def start(self):
        with open(f"{self.folder}/server.log", "a") as log:
            self.process = subprocess.Popen(
                [self.program, "--config", f"{self.folder}/config.yaml", "--data-dir", f"{self.folder}/data", "serve"],
                stdout=log, stderr=log)

        self.ready()

    def ready(self):
        def is_ready():
            if self.process is not None and self.process.poll() is not None:
                sys.exit(f"the server did not come up:\n{self.log()[-4000:]}")
            try:
                return self.get("/actuator/health/readiness")
            except (OSError, http.client.HTTPException, Failed):
                return None

        until("the server is ready", is_ready, 60)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def kill(self):
        """Without a warning; it is not started again."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def close(self, keep):
        self.kill()

    def log(self):
        """What it said so far."""
        with open(f"{self.folder}/server.log") as log:
            return log.read()

    def connection(self):
        return http.client.HTTPSConnection(HOST, 8443, timeout=30, context=self.context)

    def get(self, path):
        connection = self.connection()
        try:
            connection.request("GET", path, headers={"authorization": f"Bearer {SECRETS['reader']}"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        check(answer.status == 200, f"{path}: {answer.status} {body[:300]}")
        return json.loads(body)

    def all(self, path):
        """All rows of a list."""
        rows, cursor = [], ""
        while True:
            page = self.get(f"{path}?limit=1000{cursor}")
            rows += page["items"]
            if not page.get("next"):
                return rows
            cursor = f"&cursor={page['next']}"

    def events(self):
        return self.all("/api/v1/events")

    def event(self, id):
        """The one event of a delivery or request; none where there is none yet."""
        found = [event for event in self.events() if identity(event) == id]
        check(len(found) <= 1, f"{id} is {len(found)} events")
        return found[0] if found else None

    def letters(self, word=""):
        """Dead letters in which it stands; those of `Stack.connect` only where it is asked for them."""
        text = lambda letter: letter["payload"] + letter["resource"]
        return [letter for letter in self.all("/api/v1/dead-letters")
                if word in text(letter) and (word.startswith("probe-") or "probe-" not in text(letter))]

    def settled(self, id):
        """The event, once it led to something."""
        return until(f"{id} is settled", lambda: (event := self.event(id)) and event["state"] != "accepted" and event)

    def over(self, id, limit=180):
        """The one deployment that the event led to, once it is over."""
        event = self.settled(id)
        check(event["state"] == "planned", f"{id} is {event['state']}: {event.get('reason')}")
        check(len(event["deployments"]) == 1, f"{id} led to {event['deployments']}")
        rows = lambda: {row["id"]: row for row in self.all("/api/v1/deployments")}
        finished = lambda: (row := rows()[event["deployments"][0]])["finished"] and row
        deployment = until(f"the deployment of {id} is over", finished, limit)
        check(deployment["state"] == "succeeded", f"the deployment of {id} is {deployment['state']}: {deployment}")
        return event, deployment

    def quiet(self):
        """Waits until nothing is under way."""
        def found():
            waiting = self.get("/api/v1/events?state=accepted&limit=1")["items"]
            return not waiting and not self.get("/api/v1/deployments?finished=false&limit=1")["items"]

        until("all is over", found, 300)

    def place(self):
        return self.get("/api/v1/customers?customer=customer-a")["items"][0]


def identity(event):
    """By what a sender knows an event again."""
    trigger = event["request"]["trigger"]
    return trigger.get("delivery") or trigger.get("id")


class Stack:
    """The server and the pods before it."""

    def __init__(self, folder, make, manifests=ON_HOST):
        """`make` makes the server of a folder and a repository."""
        self.folder, self.manifests = folder, manifests
        self.token = SECRETS["requests"]
        self.repository = Repository(folder)
        self.server = make(folder, self.repository)

    def up(self):
        self.remove()
        self.secrets(self.folder)
        self.apply()
        self.addresses = {name: kubectl("get", "service", f"{name}-eventsource-svc", "-o", "jsonpath={.spec.clusterIP}")
                          for name in ("github", "requests", "sns")}
        self.connect()

    def secrets(self, folder):
        secret = lambda name, *given: kubectl("create", "secret", "generic", name, *given)
        secret("argocd-orchestrator-ca", f"--from-file=ca.crt={folder}/ca.crt")
        secret("argocd-orchestrator-github", f"--from-literal=secret={SECRETS['github']}")
        secret("argocd-orchestrator-requests", f"--from-literal=token={SECRETS['requests']}")
        secret("argocd-orchestrator-sensor", f"--from-literal=authorization=Bearer {SECRETS['dead-letters']}")

    def apply(self):
        run("kubectl", "apply", "--server-side", "--force-conflicts", "-k", self.manifests)
        for kind, names in (("eventbus", ["default"]), ("eventsources", ["github", "requests", "sns"]),
                            ("sensors", ["orchestrator-push", "orchestrator-requests"])):
            for name in names:
                kubectl("wait", f"{kind}/{name}", "--for=condition=Deployed", "--timeout=60s")
        self.running(5)

    def running(self, count):
        """Waits for so many pods, all of them ready."""
        def found():
            pods = json.loads(kubectl("get", "pods", "-o", "json"))["items"]
            ready = [any(condition["type"] == "Ready" and condition["status"] == "True"
                         for condition in pod["status"].get("conditions", [])) for pod in pods]
            return len(pods) == count and all(ready)

        until("the pods are ready", found, 120)

    def connect(self):
        """A sensor reads nothing from before its first start, and does not say when it has begun."""
        for post, word in ((self.push, "github"), (self.request, "requests"), (self.message, "sns")):
            probe = f"probe-{word}-{uuid.uuid4()}"

            def arrived():
                # Without a `ref` and without a customer: kept as a dead letter.
                post({"after": "0" * 40, "id": probe, "probe": probe})
                return self.server.letters(probe)

            until(f"the sensor of {word} reads", arrived, 120)

    def remove(self):
        kubectl("delete", "sensors,eventsources,eventbus", "--all", "--ignore-not-found")
        kubectl("delete", "secrets", "--ignore-not-found", *(f"argocd-orchestrator-{name}" for name in
                                                            ("ca", "github", "requests", "sensor")))
        until("old pods are gone", lambda: not json.loads(kubectl("get", "pods", "-o", "json"))["items"], 120)

    def close(self, keep):
        try:
            if not keep:
                self.remove()
        finally:
            self.server.close(keep)

    def post(self, source, path, body, headers):
        connection = http.client.HTTPConnection(self.addresses[source], 12000, timeout=30)
        try:
            connection.request("POST", path, body, {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            # Nobody took it.
            return 0
        finally:
            connection.close()

    def push(self, payload, delivery=None, event="push", secret=None, **headers):
        """Posts what GitHub would; answers the status."""
        body = json.dumps(payload).encode()
        mac = hmac.new((secret or SECRETS["github"]).encode(), body, hashlib.sha256).hexdigest()
        return self.post("github", "/push", body, {
            "x-github-event": event, "x-github-delivery": delivery or str(uuid.uuid4()),
            "x-hub-signature-256": f"sha256={mac}", **headers})

    def pushed(self, payload, **more):
        """A push that has to be taken; answers the delivery's id."""
        delivery = str(uuid.uuid4())
        status = self.push(payload, delivery, **more)
        check(status == 200, f"the EventSource answers {status} to a push")
        return delivery

    def request(self, body, token=None):
        """Posts a request; answers the status."""
        return self.post("requests", "/request", json.dumps(body).encode(),
                         {"authorization": f"Bearer {token or SECRETS['requests']}"})

    def message(self, body):
        """Posts what Amazon SNS would; answers the status."""
        message = body if isinstance(body, str) else json.dumps(body)
        return self.post("sns", "/sns", json.dumps({"Type": "Notification", "Message": message}).encode(), {})

    def asked(self, **body):
        """A request for customer-a that has to be taken; answers its id."""
        id = body.setdefault("id", f"test-{uuid.uuid4()}")
        status = self.request({"customer": "customer-a", "requested-by": "anna", **body})
        check(status == 200, f"the EventSource answers {status} to a request")
        return id

    def sensor_is(self, name, right):
        """Whether a sensor has one pod, ready, and it works by a definition of which this holds."""
        pods = json.loads(kubectl("get", "pods", "-l", f"sensor-name={name}", "-o", "json"))["items"]
        if len(pods) != 1:
            return False
        variables = {entry["name"]: entry.get("value", "") for entry in pods[0]["spec"]["containers"][0]["env"]}
        definition = json.loads(base64.b64decode(variables["SENSOR_OBJECT"]))
        containers = pods[0]["status"].get("containerStatuses", [])
        return right(definition) and bool(containers) and all(container["ready"] for container in containers)

    def kill_sensor(self, name):
        kubectl("delete", "pods", "-l", f"sensor-name={name}", "--grace-period=0", "--force", "--wait=false")

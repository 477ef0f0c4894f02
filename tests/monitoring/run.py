"""A real Prometheus scrapes a real run, and is asked what the dashboards ask, what the alerts say and what health checks
ask; a real OpenTelemetry Collector gets its traces.

Usage: run.py PROGRAM QUERIES RULES FOLDER [COLLECTOR] (see scripts/monitoring-tests.sh). The run is one of the examples
on the simulated cluster: a push that succeeds, one that fails and is taken back, one that makes it right again, and what
is refused.
"""

import hashlib
import hmac
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

import collector

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = b"a secret of this run alone"
TOKEN = "the token of this run's scraper"
REPOSITORY = "rtte/cac-configs"
# What a dashboard says of a panel that has no data here.
EXCUSE = "No data on a simulated cluster"
# Alerts that this run must have raised.
RAISED = ["DeploymentFailed", "DeploymentRolledBack", "OrchestratorDeadLetters", "OrchestratorWebhooksRefused"]
# What the sender of the first push says of its trace.
SENDER = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fetch(url, data=None, headers=None):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def until(what, condition):
    """Waits for a condition, and gives what it gave."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            found = condition()
        except OSError:
            found = None
        if found:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"never: {what}")
        time.sleep(0.2)


class Repository:
    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "examples/helm-charts", folder / "examples/helm-charts", symlinks=True)
        self.git("init", "--quiet", "--initial-branch=main")
        # The commits are there before anything runs, so that one of them can be made to fail; the ref moves later.
        self.commits = [self.commit(tag) for tag in ("v2.1.0", "v2.2.0", "v2.3.0")]

    def git(self, *arguments):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        run = subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return run.stdout.strip()

    def commit(self, tag):
        """A commit with this image tag."""
        for values in self.folder.glob("examples/helm-charts/customers/*/values.yaml"):
            values.write_text(re.sub(r"^(\s+imageTag:).*$", rf'\1 "{tag}"', values.read_text(), flags=re.M))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Image tag {tag}")
        return self.git("rev-parse", "HEAD")

    def push(self, number):
        """Moves the ref to a commit, and gives the push that tells of it."""
        self.git("update-ref", "refs/heads/main", self.commits[number])
        return {
            "ref": "refs/heads/main",
            "before": self.commits[number - 1] if number else "0" * 40,
            "after": self.commits[number],
            "repository": {"full_name": REPOSITORY},
            "pusher": {"name": "test"},
        }


class Run:
    def __init__(self, program, rules, folder, otelcol):
        self.folder = folder
        self.repository = Repository(folder / "repository")
        self.http, self.metrics, self.prometheus, self.otlp = (f"127.0.0.1:{free_port()}" for _ in range(4))
        self.traced = otelcol is not None
        self.write("config.json", json.dumps(self.config()))
        self.write("token", TOKEN)
        # All rules as often as is scraped: nobody wants to wait for a minute to be over.
        groups = yaml.safe_load(rules.read_text())["groups"]
        self.write("rules.json", json.dumps({"groups": [group | {"interval": "1s"} for group in groups]}))
        self.write("prometheus.yml", json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rules.json")],
            "scrape_configs": [{
                "job_name": "argocd-orchestrator",
                "authorization": {"credentials_file": str(folder / "token")},
                "static_configs": [{"targets": [self.metrics]}],
            }],
        }))
        self.children = {}
        if otelcol:
            self.write("collector.json", collector.config(self.otlp))
            self.start("collector", [otelcol, f"--config=file:{folder}/collector.json"])
        self.start("orchestrator", [program, "--config", folder / "config.json", "serve"])
        self.start("prometheus", [
            "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address={self.prometheus}", "--log.level=warn",
        ])

    def config(self):
        tracing = {"tracing": {"otlp-endpoint": f"http://{self.otlp}"}} if self.traced else {}
        return tracing | {
            "data-dir": str(self.folder / "data"),
            "grpc": {"listen": "127.0.0.1:0"},
            "http": {
                "listen": self.http,
                "metrics": {"listen": self.metrics, "token-sha256": hashlib.sha256(TOKEN.encode()).hexdigest()},
                "webhooks": {"github": [{"source": "examples", "secrets": [SECRET.decode()]}]},
            },
            "sources": [{
                "name": "examples",
                "url": f"file://{self.repository.folder}",
                "allow-file": True,
                "repository": REPOSITORY,
                "targets": [{"ref": "refs/heads/main", "environment": "production"}],
            }],
            "sync-wave": {"refresh-pause": "25ms", "dependency-resolution": {"retry-delay": "1s"}},
            "cluster": {"simulated": {
                "speed": 40,
                "services": {"payment-service": {
                    "fail": {"how": "sync-failed", "at": {"revision": self.repository.commits[1]}},
                }},
            }},
        }

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def start(self, name, command):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.children[name] = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)

    def stop(self, *names):
        """Stops some, or all that run."""
        children = [self.children.pop(name) for name in names or list(self.children)]
        for child in children:
            child.terminate()
        for child in children:
            child.wait(timeout=20)

    def webhook(self, body, secret=SECRET, headers=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return fetch(f"http://{self.http}/api/v1/webhooks/github", body, (headers or {}) | {
            "content-type": "application/json",
            "x-github-event": "push",
            "x-hub-signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
        })

    def ended(self, state, count):
        """That so many deployments ended so, as Prometheus has it."""
        query = f'sum(argocd_orchestrator_deployments_total{{state="{state}"}}) >= {count}'
        until(f"{count} deployments {state}", lambda: self.ask("query", query=query))

    def ask(self, what, **parameters):
        _, body = fetch(f"http://{self.prometheus}/api/v1/{what}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(body)
        if answer["status"] != "success":
            sys.exit(f"{parameters}: {answer}")
        return answer["data"].get("result", answer["data"])

    def deploy(self):
        until("the orchestrator is ready", lambda: fetch(f"http://{self.http}/actuator/health/readiness")[0] == 200)
        until("Prometheus scrapes", lambda: self.ask("query", query='up{job="argocd-orchestrator"} == 1'))
        self.began = time.time()
        accepted = lambda push, **more: expect("a push is accepted", self.webhook(push, **more), 202)
        accepted(self.repository.push(0), headers={"traceparent": "00-{}-{}-01".format(*SENDER)})
        self.ended("succeeded", 2)
        accepted(self.repository.push(1))
        for _ in range(8):
            expect("a wrong signature is refused", self.webhook({}, b"another secret"), 401)
        expect("what can never succeed is kept", self.webhook({"repository": {"full_name": REPOSITORY}, "ref": 1}), 422)
        self.ended("failed", 2)
        accepted(self.repository.push(2))
        self.ended("succeeded", 4)
        restored = "sum(argocd_orchestrator_time_to_restore_seconds_count) == 2"
        until("what failed is restored", lambda: self.ask("query", query=restored))

    def range(self, query):
        # One step more, so that the newest sample is looked at as well.
        return self.ask("query_range", query=query, start=self.began, end=time.time() + 2, step=2)

    def panels(self):
        """Every query of every panel gives data, or its panel says why not."""
        silent, asked = [], 0
        for file in sorted((ROOT / "k8s/monitoring/dashboards").glob("*.json")):
            for panel in json.loads(file.read_text())["panels"]:
                for target in panel["targets"]:
                    query = target["expr"].replace("$__rate_interval", "10s").replace("$customer", ".*")
                    found = [value for series in self.range(query) for _, value in series["values"] if value != "NaN"]
                    asked += 1
                    if bool(found) == (EXCUSE in panel["description"]):
                        silent.append(f"{file.name}: {panel['title']}: {len(found)} values: {query}")
        if silent:
            sys.exit("no data, or data where none was expected:\n" + "\n".join(silent))
        print(f"{asked} queries of the dashboards give what they promise")

    def alerts(self):
        for group in self.ask("rules")["groups"]:
            for rule in group["rules"]:
                if rule["health"] != "ok":
                    sys.exit(f"{rule['name']}: {rule['health']} {rule.get('lastError')}")
        for alert in RAISED:
            until(f"{alert} is raised", lambda: self.range(f'ALERTS{{alertname="{alert}",alertstate="firing"}}'))
        raised = sorted({series["metric"]["alertname"] for series in self.range('ALERTS{alertstate="firing"}')})
        print(f"alerts raised: {', '.join(raised)}")


    def deployments(self):
        """What is done with its services, the end and the sender of each deployment, by its id."""
        read = lambda path: json.loads(fetch(f"http://{self.http}/api/v1/{path}")[1])
        ids = [one["id"] for one in read("deployments")["items"]]
        all_of_them = [read(f"deployments/{deployment}") for deployment in ids]
        sender = lambda one: SENDER if one["revision"] == self.repository.commits[0] else None
        # What is left as it is has no time of its own.
        services = lambda one: {of["service"]: of["action"] for of in one["services"] if of["action"] in ("sync", "gate")}
        return {one["id"]: (services(one), one["state"], sender(one)) for one in all_of_them}

    def traces(self):
        """The collector has one trace of each push, from its arrival to the last healthy service."""
        sent, log = self.deployments(), self.folder / "collector.log"
        told = lambda: [span for span in collector.spans(log) if span["name"] == "deployment"]
        until("all deployments are told to the collector", lambda: len(told()) >= len(sent))
        spans = collector.spans(log)
        wrong = collector.faults(spans, sent)
        if wrong:
            sys.exit("what the collector got is wrong:\n" + "\n".join(wrong))
        traces = len({span["trace"] for span in spans})
        print(f"a collector got {len(spans)} spans of {len(sent)} deployments in {traces} traces, one of them the sender's")

    def health_checks(self, queries):
        """What the health check makes of a Prometheus that answers, and of one that is stopped."""
        url = f"http://{self.prometheus}"
        subprocess.run([queries, url], check=True)
        self.stop("prometheus")
        subprocess.run([queries, url, "down"], check=True)


def expect(what, answer, status):
    if answer[0] != status:
        sys.exit(f"{what}: {answer[0]} {answer[1].decode(errors='replace')}")


def main():
    program, queries, rules, folder, *rest = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    run = Run(program, rules, folder, *(rest or [None]))
    try:
        run.deploy()
        run.panels()
        run.alerts()
        if run.traced:
            run.traces()
        run.health_checks(queries)
    finally:
        run.stop()


main()

#!/usr/bin/env python3
"""Loads a server on this machine and says how it fared; see load-tests.sh.

Every scenario has a server of its own, on what a demo left (55 services for each customer). Times of the overview stand
beside those of a bare query for the same rows, written as JSON, in the same run.
"""

import argparse
import hashlib
import hmac
import http.client
import json
import random
import re
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

OVERVIEW = "/api/v1/customers?limit=1000"


def copies(database, customers):
    """Copies what the demo left to further customers."""
    db = sqlite3.connect(database)
    db.execute("PRAGMA synchronous = OFF")
    tables = {
        "deployments": ["id", "customer"],
        "briefs": ["deployment", "brief"],
        "customers": ["customer"],
        "service_revisions": ["customer", "deployment", "baseline"],
    }
    rows = {}
    for table in tables:
        cursor = db.execute(f"SELECT * FROM {table}")
        rows[table] = ([column[0] for column in cursor.description], cursor.fetchall())
    ids = [row[rows["deployments"][0].index("id")] for row in rows["deployments"][1]]
    seq = max(row[rows["deployments"][0].index("seq")] for row in rows["deployments"][1])
    states = ["succeeded"] * 8 + ["failed", "rejected"]
    for number in range(1, customers):
        name = f"customer-{number:04}"

        def changed(text):
            text = text.replace("customer-a", name)
            for id in ids:
                text = text.replace(id, f"{id}-{number}")
            return text

        for table, (columns, found) in rows.items():
            for row in found:
                row = [changed(value) if isinstance(value, str) else value for value in row]
                if table == "deployments":
                    seq += 1
                    row[columns.index("seq")] = seq
                    row[columns.index("state")] = states[number % len(states)]
                marks = ", ".join("?" * len(row))
                db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", row)
    db.commit()
    db.close()


SECRET = "the-secret-of-the-webhook"


class Server:
    """The server, and what it takes of this machine."""

    def __init__(self, program, folder, speed):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = os.path.join(folder, "config.yaml")
        with open(config, "w") as file:
            json.dump({
                "sources": [{
                    "name": "examples", "url": f"file://{folder}/data/repository", "allow-file": True,
                    "repository": "rtte/argocd-orchestrator",
                    "targets": [{"ref": "refs/heads/main", "environment": "production"}],
                }],
                "cluster": {"simulated": {"speed": speed}},
                # All that is sent comes from one address here.
                "http": {
                    "rate-limit": {"per-second": 0},
                    "webhooks": {"github": [{"source": "examples", "secrets": [SECRET]}]},
                },
            }, file)
        self.log = open(os.path.join(folder, "server.log"), "w")
        self.process = subprocess.Popen(
            [program, "--config", config, "--data-dir", f"{folder}/data", "serve", "--listen", "127.0.0.1:0",
             "--listen-http", f"127.0.0.1:{self.port}"], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.get("/actuator/health/readiness")[0] == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"the server did not come up: {open(self.log.name).read()}")
            time.sleep(0.05)

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path, connection=None, body=None):
        connection = connection or self.connection()
        headers = {"content-type": "application/json"} if body else {}
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) / 1024

    def seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def timed(action, times):
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def p99(times):
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


def overview(server, database, customers, rounds):
    """The overview over one connection, by turns with the bare query for the same rows."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    query = """SELECT d.*, c.revision, c.updated_at FROM deployments d LEFT JOIN customers c
        ON c.customer = d.customer AND c.environment = d.environment WHERE d.seq IN
        (SELECT max(seq) FROM deployments GROUP BY customer, environment) ORDER BY d.customer LIMIT 1000"""
    connection = server.connection()

    def ask(path=OVERVIEW, least=1):
        status, body = server.get(path, connection)
        items = json.loads(body)["items"]
        assert status == 200 and len(items) >= least, (status, len(items))
        return items

    assert len(ask()) == min(customers, 1000), "one request is not enough"
    ours, bare = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        status, body = server.get(OVERVIEW, connection)
        ours.append((time.perf_counter() - start) * 1000)
        bare += timed(lambda: json.dumps([row[:16] for row in db.execute(query)]), 1)
    found = {
        "customers": customers,
        "bytes": len(body),
        "median_ms": statistics.median(ours),
        "p99_ms": p99(ours),
        "bare_query_ms": statistics.median(bare),
        "ratio": statistics.median(ours) / statistics.median(bare),
    }
    for name, path in (
        ("search", "/api/v1/customers?search=007"),
        ("state", "/api/v1/customers?state=failed&limit=1000"),
    ):
        found[f"{name}_median_ms"] = statistics.median(timed(lambda: ask(path), rounds))
    return found


def resource_intensive(options, program, folder):
    """A database of so many customers, and the overview of all of them."""
    database = demo(program, folder)
    copies(database, options.customers)
    server = Server(program, folder, options.speed)
    try:
        found = overview(server, database, options.customers, options.rounds)
        found["memory_mib"] = server.memory()
        check(found["median_ms"] < 100, "the overview takes 100 ms or more")
        return found
    finally:
        server.stop()


def large_deployments(options, program, folder):
    """So many clients on the event stream while 55 services are deployed, with all the other customers in the store."""
    database = demo(program, folder)
    copies(database, options.customers)
    server = Server(program, folder, options.speed)
    try:
        return streams(server, options.users)
    finally:
        server.stop()


def streams(server, count):
    """So many clients on the event stream, while 55 services are deployed."""
    moved, failed = [0] * count, []
    ready = threading.Barrier(count + 1, timeout=60)
    over = threading.Event()

    def follow(place):
        try:
            connection = server.connection()
            connection.request("GET", "/api/v1/events/stream")
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            ready.wait()
            while True:
                line = answer.readline()
                if not line:
                    return
                if line == b"event: moved\n":
                    moved[place] += 1
                if line.startswith(b"data:") and b'"state":"succeeded"' in line:
                    over.set()
                    return
        except Exception as error:
            failed.append(error)
            ready.abort()

    threads = [threading.Thread(target=follow, args=(place,), daemon=True) for place in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    memory, cpu, start = server.memory(), server.seconds(), time.monotonic()
    status, body = server.get("/api/v1/deployments", body={"customer": "customer-a", "force": True})
    assert status == 202, body
    slow = []
    while not over.is_set() and time.monotonic() - start < 300:
        slow += timed(lambda: server.get(OVERVIEW), 1)
        time.sleep(0.2)
    for thread in threads:
        thread.join(30)
    took = time.monotonic() - start
    assert not failed, failed
    assert len(set(moved)) == 1, f"the streams saw different numbers of events: {sorted(set(moved))}"
    return {
        "clients": count,
        "took_s": took,
        "events_each": moved[0],
        "memory_before_mib": memory,
        "memory_mib": server.memory(),
        "cpu_s": server.seconds() - cpu,
        "overview_meanwhile_median_ms": statistics.median(slow),
    }


READS = [
    "/api/v1/customers", "/api/v1/deployments?limit=20", "/api/v1/deployments/{id}", "/api/v1/deployments/{id}/graph",
    "/api/v1/deployments/{id}/why", "/api/v1/sync-waves?customer=customer-a", "/api/v1/events?limit=20", "/metrics",
]


def high_concurrency(options, program, folder):
    """So many users read all at once, while ten customers of 55 services are deployed."""
    demo(program, folder, customers=10)
    server = Server(program, folder, options.speed)
    taken, wrong = [], []
    start = time.monotonic()
    end = start + options.ramp_up + options.duration

    def user(number):
        time.sleep(options.ramp_up * number / options.users)
        connection, chance = server.connection(), random.Random(number)
        while time.monotonic() < end:
            path = chance.choice(READS).replace("{id}", deployments[0])
            began = time.perf_counter()
            try:
                status, _ = server.get(path, connection)
            except Exception as error:
                wrong.append(f"{path}: {error}")
                return
            taken.append((time.perf_counter() - began) * 1000)
            if status != 200:
                wrong.append(f"{path}: {status}")

    try:
        deployments = [row["id"] for row in json.loads(server.get("/api/v1/deployments?limit=1")[1])["items"]]
        cpu = server.seconds()
        threads = [threading.Thread(target=user, args=(number,), daemon=True) for number in range(options.users)]
        for thread in threads:
            thread.start()
        names = [row["customer"] for row in json.loads(server.get("/api/v1/customers")[1])["items"]]
        for name in names:
            status, body = server.get("/api/v1/deployments", body={"customer": name, "force": True})
            check(status == 202, body)
        for thread in threads:
            thread.join(end - time.monotonic() + 60)
        lasted = time.monotonic() - start
        settled(server, len(names))
        check(not wrong, f"{len(wrong)} answers were wrong, such as {wrong[:3]}")
        return {
            "users": options.users,
            "customers": len(names),
            "requests": len(taken),
            "per_second": len(taken) / lasted,
            "median_ms": statistics.median(taken),
            "p99_ms": p99(taken),
            "cpu_s": server.seconds() - cpu,
            "memory_mib": server.memory(),
        }
    finally:
        server.stop()


def rapid_updates(options, program, folder):
    """Commits as fast as git makes them, each told by a signed push that arrives twice, in any order."""
    demo(program, folder)
    server = Server(program, folder, options.speed)
    repository = os.path.join(folder, "data", "repository")
    values = os.path.join(repository, "examples/helm-charts/customers/customer-a/values.yaml")
    chance = random.Random(options.commits)

    def git(*arguments):
        command = ["git", "-c", "user.name=load", "-c", "user.email=load@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run([*command, *arguments], cwd=repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def deliver(id, body):
        signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        connection = server.connection()
        connection.request("POST", "/api/v1/webhooks/github/examples", body, {
            "content-type": "application/json", "x-github-event": "push", "x-github-delivery": id,
            "x-hub-signature-256": signature,
        })
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    try:
        before_all = len(json.loads(server.get("/api/v1/deployments?limit=1000")[1])["items"])
        start, taken, again, events = time.monotonic(), [], [], set()
        for number in range(options.commits):
            before = git("rev-parse", "HEAD")
            text = open(values).read()
            open(values, "w").write(re.sub(r'imageTag: ".*"', f'imageTag: "v9.{number}.0"', text, count=1))
            git("commit", "--quiet", "--all", "--message", f"v9.{number}.0")
            head = git("rev-parse", "HEAD")
            body = json.dumps({
                "ref": "refs/heads/main", "before": before, "after": head, "created": False, "deleted": False,
                "forced": False, "commits": [], "pusher": {"name": "load"},
                "repository": {"full_name": "rtte/argocd-orchestrator"},
            }).encode()
            new = (str(uuid.uuid4()), body)
            again.append(new)
            late = [again.pop(chance.randrange(len(again)))] if chance.random() < 0.3 else []
            for delivery in [new, *late]:
                began = time.perf_counter()
                status, receipt = deliver(*delivery)
                taken.append((time.perf_counter() - began) * 1000)
                check(status in (200, 202), f"{status}: {receipt}")
                events.add(receipt["event"])
        told = time.monotonic() - start
        for delivery in again:
            status, receipt = deliver(*delivery)
            check(status in (200, 202), f"{status}: {receipt}")
            events.add(receipt["event"])
        settled(server, 1)
        place = json.loads(server.get("/api/v1/customers?customer=customer-a")[1])["items"][0]
        check(place["deployed"]["revision"] == head, f"{place['deployed']} is not the newest commit, {head}")
        check(len(events) == options.commits, f"{len(events)} events of {options.commits} pushes")
        made = len(json.loads(server.get("/api/v1/deployments?limit=1000")[1])["items"]) - before_all
        check(made <= options.commits, f"{made} deployments of {options.commits} commits")
        return {
            "pushes": options.commits,
            "told_in_s": told,
            "deployments": made,
            "answer_median_ms": statistics.median(taken),
            "answer_p99_ms": p99(taken),
            "newest_healthy_after_s": time.monotonic() - start,
        }
    finally:
        server.stop()


def settled(server, places):
    """Waits until nothing is under way any more, and so many places stand at what succeeded."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        waiting = json.loads(server.get("/api/v1/events?state=accepted&limit=1")[1])["items"]
        under_way = json.loads(server.get("/api/v1/deployments?finished=false&limit=1")[1])["items"]
        if not waiting and not under_way:
            rows = json.loads(server.get("/api/v1/customers?limit=1000")[1])["items"]
            states = [row["latest"]["state"] for row in rows]
            check(states == ["succeeded"] * places, f"the newest deployments are {states}")
            return
        time.sleep(0.2)
    raise Failed("deployments are under way after five minutes")


class Failed(Exception):
    """A promise that was not kept."""


def check(kept, otherwise):
    if not kept:
        raise Failed(otherwise)


def demo(program, folder, customers=1):
    """The data of a demo; answers its database."""
    done = subprocess.run(
        [program, "--data-dir", f"{folder}/data", "demo", "--speed", "400", "--customers", str(customers)],
        capture_output=True, text=True)
    check(done.returncode == 0, done.stdout + done.stderr)
    return os.path.join(folder, "data", "orchestrator.db")


def seconds(text):
    """A length of time, such as `90`, `30s`, `5m` or `1h`."""
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time, such as 30s, 5m or 1h")
    return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


SCENARIOS = {
    "high-concurrency": high_concurrency,
    "large-deployments": large_deployments,
    "rapid-updates": rapid_updates,
    "resource-intensive": resource_intensive,
}


def main():
    parser = argparse.ArgumentParser(prog="scripts/load-tests.sh")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--scenario", choices=SCENARIOS, help="only this one")
    parser.add_argument("--users", type=int, default=100, help="who read, or watch the stream, at once (%(default)s)")
    parser.add_argument("--duration", type=seconds, default=10, help="of high-concurrency, such as 30m (%(default)s s)")
    parser.add_argument("--ramp-up", type=seconds, default=2, help="until all users are there (%(default)s s)")
    parser.add_argument("--customers", type=int, default=1000, help="in the database, of 55 services each (%(default)s)")
    parser.add_argument("--commits", type=int, default=50, help="of rapid-updates (%(default)s)")
    parser.add_argument("--rounds", type=int, default=50, help="requests that are timed (%(default)s)")
    parser.add_argument("--speed", type=float, default=20, help="of the simulated cluster (%(default)s)")
    options = parser.parse_args()
    failed = 0
    for name in [options.scenario] if options.scenario else SCENARIOS:
        print(f"==> {name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(json.dumps(SCENARIOS[name](options, options.program, folder), indent=2), flush=True)
            except Failed as error:
                failed += 1
                print(f"FAILED {name}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

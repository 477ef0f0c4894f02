#!/usr/bin/env python3
"""Loads a server on this machine and says how it fared; see load-tests.sh.

The database of a demo (one customer, 55 services, two deployments) is copied to as many customers as wanted. Times of
the overview stand beside those of a bare query for the same rows, written as JSON, in the same run.
"""

import argparse
import http.client
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time

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
        ("page", "/api/v1/overview?limit=1000"),
    ):
        found[f"{name}_median_ms"] = statistics.median(timed(lambda: ask(path), rounds))
    return found


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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--scenario", choices=["overview", "streams", "all"], default="all")
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--speed", type=float, default=20)
    options = parser.parse_args()
    database = os.path.join(options.folder, "data", "orchestrator.db")
    copies(database, options.customers)
    server = Server(options.program, options.folder, options.speed)
    fine = True
    try:
        if options.scenario in ("overview", "all"):
            found = overview(server, database, options.customers, options.rounds)
            print("overview", json.dumps(found, indent=2))
            fine &= max(found["median_ms"], found["page_median_ms"]) < 100
        if options.scenario in ("streams", "all"):
            print("streams", json.dumps(streams(server, options.clients), indent=2))
        print(f"resident at the end: {server.memory():.1f} MiB")
    finally:
        server.stop()
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()

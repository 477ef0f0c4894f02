"""How long it takes from an EventSource's answer to what follows from it."""

import datetime
import json
import statistics
import subprocess
import threading
import time

from argo_events_stack import identity, until

# Of the first wave: nothing but the customer's shared part has to be proved healthy before it.
TIMED = "config-server"


def single(stack, count):
    """From the EventSource's 200 to the stored event."""
    # The connection is there after the first one.
    stack.server.settled(stack.pushed(stack.repository.commit()))
    answered = {}
    for _ in range(count):
        payload, began = stack.repository.commit(), time.time()
        delivery = stack.pushed(payload)
        answered[delivery] = (began, time.time())
        newest = lambda: stack.server.get("/api/v1/events?limit=5")["items"]
        until(f"{delivery} is stored", lambda: delivery in map(identity, newest()), 60)
    taken = {"stored_after_post": [], "stored_after_200": []}
    for event in stack.server.events():
        if identity(event) in answered:
            stored = datetime.datetime.fromisoformat(event["received_at"]).timestamp()
            for times, since in zip(taken.values(), answered[identity(event)]):
                times.append((stored - since) * 1000)
    found = {"single": count}
    for name, times in taken.items():
        found |= spread(name, times)
    return found


def to_operation(stack, count):
    """From the EventSource's 200 to the first request for a sync that Argo CD's API shows."""
    watch = subprocess.Popen(
        ["kubectl", "get", "--raw", "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications?watch=1"],
        stdout=subprocess.PIPE, text=True)
    seen = {}

    def follow():
        for line in watch.stdout:
            found = json.loads(line)["object"].get("operation")
            if found and found.get("sync", {}).get("revision"):
                seen.setdefault(found["sync"]["revision"], time.time())

    threading.Thread(target=follow, daemon=True).start()
    stored, requested = [], []
    try:
        for _ in range(count):
            payload = stack.repository.commit(TIMED)
            delivery = stack.pushed(payload)
            answered = time.time()
            event, _ = stack.server.over(delivery)
            taken = datetime.datetime.fromisoformat(event["received_at"]).timestamp()
            until("an operation is seen", lambda: payload["after"] in seen, 10)
            stored.append((taken - answered) * 1000)
            requested.append((seen[payload["after"]] - answered) * 1000)
    finally:
        watch.kill()
    return {"single": count, **spread("stored_after_200", stored), **spread("operation_after_200", requested)}


def spread(name, times):
    times = sorted(times)
    return {f"{name}_median_ms": round(statistics.median(times), 1),
            f"{name}_p99_ms": round(times[min(len(times) - 1, int(len(times) * 0.99))], 1)}

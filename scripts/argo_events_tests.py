#!/usr/bin/env python3
"""Sends events through the real Argo Events; see test-argo-events.sh."""

import argparse
import concurrent.futures
import datetime
import json
import os
import random
import re
import sys
import tempfile
import time
import traceback
import uuid

from argo_events_pod import Pod
from argo_events_pod import remove as remove_pod
from argo_events_stack import IN_POD, Failed, Server, Stack, check, identity, kubectl, restart_nats, run, until
from argo_events_times import single, to_operation

def github_webhook(stack, options):
    server, repository = stack.server, stack.repository
    payload = repository.commit()
    known = len(server.events())
    letters = len(server.letters())
    trace = uuid.uuid4().hex
    delivery = stack.pushed(payload, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    event, deployment = server.over(delivery)
    check(event["request"]["kind"] == "deployment", event)
    check(event["request"]["requested_by"] == "anna", event)
    check(event["request"]["trigger"]["after"] == payload["after"], event)
    check(trace in server.log(), "the deployment does not go on the sender's trace")
    place = server.place()
    check(place["deployed"]["revision"] == payload["after"], place)
    check(set(place["progress"]["states"]) == {"healthy"} and place["progress"]["services"] >= 55, place)

    # What goes nowhere. The sensor reads in order: what comes after them says that they did not come.
    next_one = repository.commit()
    check(stack.push(next_one, secret="another") == 400, "a wrong signature is taken")
    check(stack.post("github", "/push", json.dumps(next_one).encode(), {"x-github-event": "push"}) == 400,
          "a push without a signature is taken")
    check(stack.push({"zen": "Design for failure.", "hook_id": 1}, event="ping") == 200, "a ping is refused")
    check(stack.push(next_one, event="pull_request") == 200, "what is no push is refused")
    # Delivered again, as GitHub does by hand.
    check(stack.push(payload, delivery) == 200, "a delivery that is sent again is refused")
    foreign = {**next_one, "repository": {"full_name": "somebody/else"}}
    foreign_delivery = stack.pushed(foreign)
    last = stack.pushed(next_one)
    server.over(last)
    check(len(server.events()) == known + 2, f"there are {len(server.events()) - known} events of two pushes")
    found = server.letters(foreign_delivery)
    check(len(found) == 1 and "somebody/else" in json.dumps(found[0]["faults"]), found)
    check(len(server.letters()) == letters + 1, "something became a dead letter")
    return {"services": place["progress"]["services"], "took_s": seconds(deployment)}


def deployment_trigger(stack, options):
    server = stack.server
    based(stack)
    known = len(server.events())
    check(stack.request({"customer": "customer-a"}, token="another") == 401, "a wrong token is taken")
    # A number and a truth value: the trigger's `spec` has texts only.
    id = stack.asked(kind="deployment", environment="production", force=True, order="dependencies")
    event, deployment = server.over(id)
    request = event["request"]
    check(request["kind"] == "deployment" and request["requested_by"] == "anna", request)
    check(request["trigger"]["force"] is True and request["order"] == "dependencies", request)
    check(deployment["purpose"] == "deploy" and deployment["customer"] == "customer-a", deployment)
    # The same id is the same request; no kind is a deployment; no id of its own is the event's.
    stack.asked(kind="deployment", environment="production", force=True, order="dependencies", id=id)
    check(stack.request({"customer": "customer-a", "requested-by": "bert"}) == 200, "a request is refused")
    until("the request without an id", lambda: [event for event in server.events()
                                                if event["request"]["requested_by"] == "bert"])
    server.quiet()
    check(len(server.events()) == known + 2, f"there are {len(server.events()) - known} events of two requests")
    # The same as the text of a message of Amazon SNS; a message that is no JSON is kept.
    message = f"sns-{uuid.uuid4()}"
    check(stack.message({"kind": "health-check", "customer": "customer-a", "id": message}) == 200, "a message is refused")
    check(server.over(message)[1]["purpose"] == "check", "a message of SNS is another request")
    kept = len(server.letters())
    check(stack.message("deploy it") == 200, "a message is refused")
    until("a message that is no JSON is kept", lambda: len(server.letters()) == kept + 1)
    # What can never succeed is kept, and says what is wrong.
    for wrong, word in (
        ({"kind": "deploy", "customer": "customer-a"}, "none of `deployment`"),
        ({"kind": "deployment"}, "`customer` is missing"),
        ({"kind": "deployment", "customer": {"name": "customer-a"}}, "`customer`"),
        ([1, 2], "`customer` is missing"),
    ):
        before = len(server.letters())
        check(stack.request(wrong) == 200, f"{wrong} is refused")
        until(f"{wrong} is kept", lambda: any(word in json.dumps(letter["faults"], ensure_ascii=False)
                                              for letter in server.letters())
              and (len(server.letters()) > before or isinstance(wrong, list)))
    check(stack.post("requests", "/request", b"{", {"authorization": "Bearer " + stack.token}) == 400,
          "what is no JSON is taken")
    return {"took_s": seconds(deployment)}


def sync_wave(stack, options):
    based(stack)
    event, deployment = stack.server.over(stack.asked(kind="sync-wave", wave=2, force=True))
    check(event["request"]["kind"] == "sync-wave" and event["request"]["wave"] == 2, event)
    synced = [change for change in changes(stack, deployment) if change["action"]["action"] == "sync"]
    check(synced and {change["wave"] for change in synced} <= {None, 2}, f"another wave is synced: {synced}")
    return {"took_s": seconds(deployment), "synced": len(synced)}


def health_check_event(stack, options):
    based(stack)
    event, deployment = stack.server.over(stack.asked(kind="health-check", service="payment-service"))
    check(event["request"]["kind"] == "health-check", event)
    check(event["request"]["service"] == "payment-service", event)
    check(deployment["purpose"] == "check", deployment)
    return {"took_s": seconds(deployment)}


def rollback_trigger(stack, options):
    server, repository = stack.server, stack.repository
    good = based(stack)
    server.over(stack.pushed(repository.commit()))
    event, deployment = server.over(stack.asked(kind="rollback"))
    check(event["request"]["kind"] == "rollback" and deployment["purpose"] == "rollback", deployment)
    return {"took_s": seconds(deployment), "from": repository.head()[:8], "to": good[:8]}


def event_processing(stack, options):
    server, repository = stack.server, stack.repository
    based(stack)
    deployments = len(server.all("/api/v1/deployments"))
    payloads = [repository.commit() for _ in range(options.pushes)]
    # Not in order: each is posted among its neighbours, by several senders at once.
    chance = random.Random(options.pushes)
    places = sorted(range(len(payloads)), key=lambda place: place + chance.uniform(0, 8))
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as senders:
        futures = [senders.submit(stack.pushed, payloads[place]) for place in places]
        for number, future in enumerate(futures):
            future.result()
            if number == len(futures) // 2:
                stack.kill_sensor("orchestrator-push")
        deliveries = [future.result() for future in futures]
    posted = time.monotonic() - began
    accounted(server, deliveries, 180)
    server.quiet()
    took = time.monotonic() - began
    states = {}
    for event in server.events():
        if identity(event) in set(deliveries):
            states[event["state"]] = states.get(event["state"], 0) + 1
    check(sum(states.values()) == len(deliveries), states)
    check(set(states) <= {"planned", "superseded", "ignored"}, states)
    place = server.place()
    check(place["deployed"]["revision"] == repository.head(), f"{place['deployed']} is not the newest commit")
    made = len(server.all("/api/v1/deployments")) - deployments
    check(made < len(deliveries) / 2, f"{made} deployments of {len(deliveries)} pushes")

    # One that can never succeed does not hold back the next.
    broken = [stack.pushed(payload) for payload in (
        {"after": 7, "ref": ["refs/heads/main"]}, {"repository": None, "ref": "", "after": "x" * 40},
        {**repository.commit(), "after": "no commit"})]
    server.over(stack.pushed(repository.push(place["deployed"]["revision"], repository.head())))
    for delivery in broken:
        check(len(server.letters(delivery)) == 1, f"{delivery} was not kept as a dead letter")
    return {"pushes": len(deliveries), "posted_in_s": posted, "all_over_after_s": took, "deployments": made, **states,
            **single(stack, options.single)}


def retry_strategies(stack, options):
    server, repository = stack.server, stack.repository
    based(stack)
    sent = []

    def send(rounds):
        for _ in range(rounds):
            sent.append(stack.pushed(repository.commit()))
            for kind in ("deployment", "health-check", "rollback"):
                sent.append(stack.asked(kind=kind))
            sent.append(stack.asked(kind="sync-wave", wave=1))

    # Killed wherever it is, between the commit and the answer among other places.
    chance = random.Random(1)
    for _ in range(options.kills):
        with concurrent.futures.ThreadPoolExecutor(1) as sender:
            sending = sender.submit(send, 2)
            time.sleep(chance.uniform(0.02, 0.4))
            server.kill()
            sending.result()
        server.start()
    # Away for a while, politely.
    server.stop()
    send(3)
    time.sleep(options.down)
    send(1)
    server.start()
    accounted(server, sent, 120)
    # The bus itself: what an EventSource took is on its disk, what it did not take was not answered with 200.
    refused = 0
    restart = restart_nats()
    next(restart)
    for _ in range(3):
        delivery = str(uuid.uuid4())
        status = stack.push(repository.commit(), delivery)
        refused += status != 200
        sent += [delivery] if status == 200 else []
    next(restart, None)
    taken = until("the EventSource takes pushes again", lambda: taken_push(stack), 120)
    sent.append(taken)
    accounted(server, sent, 180)
    server.quiet()
    # Nothing is twice.
    ids = [identity(event) for event in server.events()]
    check(len(ids) == len(set(ids)), f"there twice: {sorted(map(str, (id for id in ids if ids.count(id) > 1)))}")
    return {"events": len(sent), "kills": options.kills, "down_s": options.down, "refused_without_bus": refused,
            **dead_letter(stack)}


def lost_push(stack, options):
    """A push that finds no EventSource, which GitHub does not repeat: the server finds the commit by itself."""
    server, repository = stack.server, stack.repository
    check(not server.in_pod, "only with --server=host")
    based(stack)
    server.stop()
    server.change(lambda settings: settings["sources"][0].update(poll="10s"))
    server.start()
    deployments = kubectl("get", "deployments", "-l", "eventsource-name=github", "-o", "name")
    kubectl("scale", deployments, "--replicas=0")
    until("the EventSource is gone", lambda: not json.loads(kubectl(
        "get", "pods", "-l", "eventsource-name=github", "-o", "json"))["items"], 60)
    payload, delivery = repository.commit(), str(uuid.uuid4())
    check(stack.push(payload, delivery) == 0, "somebody takes a push, and there is no EventSource")
    began = time.monotonic()
    until("the commit is deployed", lambda: server.place()["deployed"]["revision"] == payload["after"], 120)
    took = time.monotonic() - began
    check(not server.event(delivery), "the push came by the sensor")
    kubectl("scale", deployments, "--replicas=1")
    stack.running(5)
    # Told after all, as somebody does by hand at GitHub: nothing more happens.
    made = len(server.all("/api/v1/deployments"))
    until("the EventSource takes it", lambda: stack.push(payload, delivery) == 200, 60)
    found = until("the push arrives", lambda: server.event(delivery) or [
        event for event in server.events() if event["request"]["trigger"].get("after") == payload["after"]], 60)
    server.quiet()
    check(found and len(server.all("/api/v1/deployments")) == made, "what was found is deployed once more")
    server.stop()
    server.change(lambda settings: settings["sources"][0].update(poll="0s"))
    server.start()
    return {"found_and_deployed_after_s": round(took, 1)}


def rate_limiting(stack, options):
    """A Sensor that may trigger twice a second: what arrives faster waits on the bus."""
    based(stack)
    requests = 10
    patch = lambda operation: kubectl("patch", "sensor", "orchestrator-requests", "--type=json", "-p", json.dumps([
        {"op": operation, "path": f"/spec/triggers/{trigger}/rateLimit", "value": {"unit": "Second", "requestsPerUnit": 2}}
        for trigger in (0, 1)]))
    patch("add")
    limited = lambda definition: all("rateLimit" in trigger for trigger in definition["spec"]["triggers"])
    until("the limited sensor runs", lambda: stack.sensor_is("orchestrator-requests", limited), 180)
    stack.connect()
    ids = [stack.asked(kind="health-check") for _ in range(requests)]
    accounted(stack.server, ids, 60)
    stored = sorted(datetime.datetime.fromisoformat(event["received_at"]).timestamp()
                    for event in stack.server.events() if identity(event) in set(ids))
    took = stored[-1] - stored[0]
    stack.apply()
    until("the sensor is as it was", lambda: stack.sensor_is(
        "orchestrator-requests", lambda definition: not limited(definition)), 180)
    stack.connect()
    check(took >= (requests - 2) / 2, f"{requests} requests came in {took:.1f} s, at two a second")
    stack.server.quiet()
    return {"requests": requests, "took_s": round(took, 1)}


def customer_pods(stack, options):
    """From a push to 55 healthy services, and from single ones to the first `.operation`."""
    server, repository = stack.server, stack.repository
    check(server.argo_cd, "only with --server=pod --cluster=argo-cd")
    payload = repository.commit()
    check(stack.push(payload, secret="another") == 400, "a wrong signature is taken")
    event, deployment = server.over(stack.pushed(payload), 600)
    place = server.place()
    check(place["deployed"]["revision"] == payload["after"], place)
    read = lambda *what: json.loads(run("kubectl", "get", *what, "-o", "json"))["items"]
    pods = read("pods", "-n", "customer-a-production")
    ready = {pod["metadata"]["labels"].get("app.kubernetes.io/name", pod["metadata"]["name"]) for pod in pods if any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in pod["status"]["conditions"])}
    check(len(ready) >= 55, f"{len(ready)} services have a ready pod: {sorted(ready)}")
    of_customer = ("applications", "-n", "argocd", "-l", "orchestrator.rtte.com/customer=customer-a")
    for application in read(*of_customer):
        status = application["status"]
        shown = (status["health"]["status"], status["sync"]["status"], status["sync"]["revision"])
        check(shown == ("Healthy", "Synced", payload["after"]), f"{application['metadata']['name']} is {shown}")
    # What runs here is right by our own account: rights, Sensors, conflicts.
    run(options.program, "check", "--as-service-account", "argocd-orchestrator/argocd-orchestrator", "--wait", "30s")
    return {"services": len(ready), "took_s": seconds(deployment), **to_operation(stack, options.single)}


def taken_push(stack):
    delivery = str(uuid.uuid4())
    return delivery if stack.push(stack.repository.commit(), delivery) == 200 else None


def dead_letter(stack):
    """What the trigger cannot deliver comes by HTTP, and only once the attempts are over."""
    trigger = "/spec/triggers/0"
    kubectl("patch", "sensor", "orchestrator-push", "--type=json", "-p", json.dumps([
        {"op": "replace", "path": f"{trigger}/template/custom/serverURL", "value": "dns:///nowhere.invalid:1"},
        {"op": "replace", "path": f"{trigger}/retryStrategy/steps", "value": 2},
        {"op": "replace", "path": f"{trigger}/retryStrategy/duration", "value": "1s"}]))
    # The change makes another pod; until then the old one may still deliver, which says nothing.
    name = "orchestrator-push"
    until("the changed sensor runs", lambda: stack.sensor_is(name, leads_to("nowhere.invalid")), 90)
    began = time.monotonic()
    event, _ = stack.server.over(stack.pushed(stack.repository.commit()))
    took = time.monotonic() - began
    records = [record for record in stack.server.all("/api/v1/audit") if record.get("event") == event["id"]]
    stack.apply()
    # The old pod may take a while to end.
    until("the sensor is as it was", lambda: stack.sensor_is(name, leads_to("argocd-orchestrator")), 180)
    check([record["via"] for record in records] == ["webhook"], f"{event['id']} did not come by HTTP: {records}")
    return {"by_http_over_after_s": took}


def leads_to(word):
    return lambda definition: word in definition["spec"]["triggers"][0]["template"]["custom"]["serverURL"]


def based(stack):
    """A customer that is deployed, and nothing under way; answers the commit."""
    if not stack.server.get("/api/v1/customers")["items"]:
        stack.server.over(stack.pushed(stack.repository.commit()))
    stack.server.quiet()
    return stack.server.place()["deployed"]["revision"]


def accounted(server, ids, limit):
    """Waits until each is an event; that none is two is the caller's to check at the end."""
    def missing():
        return set(ids) - {identity(event) for event in server.events()}

    deadline = time.monotonic() + limit
    while (lost := missing()) and time.monotonic() < deadline:
        time.sleep(0.2)
    check(not lost, f"{len(lost)} of {len(ids)} events did not arrive in {limit} s, such as {sorted(lost)[:3]}")
    found = [identity(event) for event in server.events() if identity(event) in set(ids)]
    check(len(found) == len(set(found)), "an event is there twice")


def changes(stack, deployment):
    plan = stack.server.get(f"/api/v1/deployments/{deployment['id']}/plan")
    return plan["changes"]


def seconds(deployment):
    ends = [datetime.datetime.fromisoformat(deployment[key]) for key in ("created_at", "ended_at")]
    return (ends[1] - ends[0]).total_seconds()


SCENARIOS = {
    "github-webhook": github_webhook,
    "deployment-trigger": deployment_trigger,
    "sync-wave": sync_wave,
    "health-check-event": health_check_event,
    "rollback-trigger": rollback_trigger,
    "event-processing": event_processing,
    "lost-push": lost_push,
    "rate-limiting": rate_limiting,
    "retry-strategies": retry_strategies,
    "customer-pods": customer_pods,
}


def length(text):
    """A length of time, such as `90`, `30s` or `2m`, in seconds."""
    found = re.fullmatch(r"(\d+)([sm]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time, such as 30s or 2m")
    return int(found[1]) * {"": 1, "s": 1, "m": 60}[found[2]]


def main():
    parser = argparse.ArgumentParser(prog="scripts/test-argo-events.sh")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--server", choices=("host", "pod"), default="host", help="where the server runs (%(default)s)")
    parser.add_argument("--cluster", choices=("simulated", "argo-cd"), default="simulated",
                        help="what it drives; a real Argo CD only from its pod (%(default)s)")
    parser.add_argument("--scenario", choices=SCENARIOS, help="only this one")
    parser.add_argument("--down", type=length, default=15, help="how long the server is away (%(default)s s)")
    parser.add_argument("--kills", type=int, default=5, help="how often the server is killed (%(default)s)")
    parser.add_argument("--pushes", type=int, default=200, help="of the burst (%(default)s)")
    parser.add_argument("--single", type=int, default=100, help="pushes that are timed (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the manifests on the cluster")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    argo_cd = options.cluster == "argo-cd"
    if argo_cd and options.server == "host":
        parser.error("--cluster=argo-cd needs --server=pod")
    if options.scenario == "customer-pods" and not argo_cd:
        parser.error("customer-pods needs --server=pod --cluster=argo-cd")
    left_out = {"lost-push"} if options.server == "pod" else set()
    left_out |= set() if argo_cd else {"customer-pods"}
    scenarios = [name for name in SCENARIOS if name not in left_out]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        if options.server == "pod":
            stack = Stack(folder, lambda *its: Pod(*its, argo_cd), IN_POD)
        else:
            remove_pod()
            stack = Stack(folder, lambda folder, repository: Server(folder, options.program, repository))
        # First of all: where another run has its address, that run's manifests stay as they are.
        stack.server.start()
        try:
            stack.up()
            for name in [options.scenario] if options.scenario else scenarios:
                print(f"==> {name}", flush=True)
                began = time.monotonic()
                try:
                    found = SCENARIOS[name](stack, options)
                    print(json.dumps(found, indent=2), flush=True)
                    print(f"PASSED {name} in {time.monotonic() - began:.0f} s", flush=True)
                except (Failed, OSError) as error:
                    failed += 1
                    print(f"FAILED {name}: {error}", flush=True)
                    traceback.print_exc()
        except Failed as error:
            failed += 1
            print(f"FAILED: {error}", flush=True)
        finally:
            stack.close(options.keep)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

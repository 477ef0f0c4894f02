#!/usr/bin/env python3
"""Runs workflows on the real Argo Workflows; see test-argo-workflows.sh."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback

from argo_events_pod import Pod
from argo_events_pod import remove as remove_pod
from argo_events_stack import IN_POD as EVENTS_IN_POD
from argo_events_stack import SECRETS, Failed, check, run, until
from argo_workflows_stack import (
    EXAMPLES, NAMESPACE, Simulated, Workflows, argo, deploy, failing, get, kubectl, linted, moment, one, outputs,
    submit,
)

STEPS = ["validate-prerequisites", "setup-argo-events", "deploy-orchestrator", "validate-helm-values",
         "trigger-application-set", "monitor-sync-waves", "validate-deployment", "notify-completion"]
ALL = "deploy-all-customers.yaml"


def lint(stack, options):
    templates, cluster = linted(f"{stack.folder}/lint")
    said = argo("lint", "--offline", "--no-color", *templates)
    argo("lint", "--offline", "--no-color", *cluster)
    # It would say so: a step that is none.
    with open(f"{stack.folder}/wrong.yaml", "w") as file:
        with open(f"{EXAMPLES}/rollback.yaml") as example:
            file.write(example.read().replace("template: roll-back}", "template: rol-back}"))
    wrong = subprocess.run(["argo", "-n", NAMESPACE, "lint", "--offline", "--no-color", templates[0],
                            f"{stack.folder}/wrong.yaml"], capture_output=True, text=True)
    check(wrong.returncode != 0 and "rol-back" in wrong.stdout + wrong.stderr, f"a wrong one passes: {wrong.stdout}")
    # What is loaded is what the plugin's manifest says.
    with open("workflow-templates/executor-plugin/plugin.yaml") as file:
        os.makedirs(f"{stack.folder}/plugin")
        with open(f"{stack.folder}/plugin/plugin.yaml", "w") as copy:
            copy.write(file.read())
    name = "argocd-orchestrator-executor-plugin-configmap.yaml"
    argo("executor-plugin", "build", f"{stack.folder}/plugin")
    both = []
    for folder in (f"{stack.folder}/plugin", "workflow-templates/executor-plugin"):
        with open(f"{folder}/{name}") as file:
            both.append(file.read())
    check(both[0] == both[1], f"{name} is not what `argo executor-plugin build` makes")
    # The API server takes all of them.
    for path in (f"{stack.folder}/lint/cluster/all.yaml", f"{EXAMPLES}/nightly.yaml"):
        run("kubectl", "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", path)
    for name in sorted(os.listdir(EXAMPLES)):
        kubectl("create", "--dry-run=server", "-f", f"{EXAMPLES}/{name}")
    return {"lint": said.splitlines()[-1:]}


def deployment(stack, options):
    # The example as it is: with the image tag that stands in the values.
    began = time.monotonic()
    workflow = submit(f"{EXAMPLES}/deploy-customer-b.yaml")
    workflow.over("Succeeded")
    took = time.monotonic() - began
    began = [moment(workflow.node(step)["startedAt"]) for step in STEPS]
    check(began == sorted(began), "the steps did not run in their order")
    check({node["phase"] for step in STEPS for node in workflow.nodes(step)} == {"Succeeded"}, "a step did not succeed")
    monitor = workflow.node("monitor-sync-waves")
    said = outputs(monitor)
    check(said["state"] == "succeeded" and said["healthy"] == said["total"] and int(said["total"]) >= 50, said)
    check(monitor["progress"] == f"{said['total']}/{said['total']}", monitor["progress"])
    place = stack.place()
    check(place["deployed"]["revision"] == stack.repository.head(), place)
    check(outputs(workflow.node("validate-helm-values"))["image-tag"] == "v2.0.3", "another image tag")
    check(not workflow.nodes("notify-completion", "onExit"), "what went well is told twice")
    # Nothing changed: nothing to do, and that is fine.
    again = deploy()
    again.over("Succeeded")
    check(not outputs(again.node("trigger-application-set"))["deployment-id"], "there is something to do")

    # Values that could be part of something else stay values.
    wrong = ("v1 --force", 'v1" --standalone "', "$(id)", "$(ORCHESTRATOR_TOKEN)", "-v1", "v9.9.9-not-there")
    refused = [one("validate-helm-values", customer_id="customer-b", image_tag=tag) for tag in wrong]
    for tag, workflow in zip(wrong, refused):
        text = json.dumps(workflow.over("Failed"))
        node = workflow.node("validate-helm-values")
        check(SECRETS["reader"] not in text, f"the token stands in the workflow of {tag}")
        check(exit_code(node) in (2, 12) and "image" in node["message"], f"{tag}: {node['message']}")
    return {"took_s": round(took), "services": int(said["total"]), "seconds": said["seconds"]}


def failing_deployment(stack, options):
    based(stack)
    good = stack.place()["deployed"]["revision"]
    stack.again(**failing("payment-service", at="later-revisions"))
    stack.commit()
    workflow = deploy()
    workflow.over("Failed")
    node = workflow.node("monitor-sync-waves")
    check(node["phase"] == "Failed" and exit_code(node) == 14, node)
    check("payment-service" in node["message"], f"the message does not say what failed: {node['message']}")
    check(len(workflow.nodes("monitor-sync-waves")) == 1, "what cannot get better is tried again")
    check(not workflow.nodes("validate-deployment"), "it goes on after a failure")
    told = workflow.node("notify-completion", "onExit")
    check(told["phase"] == "Succeeded", told)
    check(not workflow.nodes("abort"), "it aborts though nobody asked for that")
    place = stack.place()
    check(place["deployed"]["revision"] == good, f"{place['deployed']} is not what ran before")
    stack.again()
    return {"message": node["message"]}


def retry(stack, options):
    based(stack)
    # The server is away: the first step is tried again until it is there.
    stack.server.stop()
    stack.commit()
    workflow = deploy()
    until("the first step is tried again", lambda: len(workflow.nodes("validate-prerequisites")) > 1, 300)
    first = workflow.nodes("validate-prerequisites")[0]
    check(first["phase"] == "Failed" and exit_code(first) == 10, first)
    # It comes back, and goes away again while the deployment is followed.
    stack.again(speed=5)
    workflow.reaches("monitor-sync-waves", "Running")
    stack.server.stop()
    stack.again()
    workflow.over("Succeeded")

    # A workflow that failed goes on where it was, by `argo retry`: with the same deployment.
    stack.again(**failing("payment-service", at="later-revisions"))
    stack.commit()
    failed = deploy()
    failed.over("Failed")
    deployment = outputs(failed.node("trigger-application-set"))["deployment-id"]
    # The last step asks whether services are healthy, which is an event of its own.
    asked = lambda: [event["id"] for event in stack.server.events() if event["request"]["kind"] == "deployment"]
    known = len(asked())
    stack.again()
    argo("retry", failed.name, "--restart-successful", "--node-field-selector", "templateName=trigger-application-set")
    until("the workflow runs again", lambda: failed.phase() == "Running", 180)
    failed.over("Succeeded")
    check(len(asked()) - known <= 1, f"it was asked for more than once: {asked()}")
    place = stack.place()
    check(place["deployed"]["revision"] == stack.repository.head(), place)
    return {"attempts": len(workflow.nodes("validate-prerequisites")), "deployment": deployment,
            "after_retry": outputs(failed.node("trigger-application-set"))["deployment-id"]}


def stop_and_terminate(stack, options):
    based(stack)
    found = {}
    for how, abort, ends in (("stop", "false", "succeeded"), ("stop", "true", "aborted"),
                             ("terminate", "true", "succeeded")):
        stack.again(speed=5)
        stack.commit()
        workflow = deploy(on_failure_abort=abort)
        workflow.reaches("monitor-sync-waves", "Running")
        id = outputs(workflow.node("trigger-application-set"))["deployment-id"]
        began = time.monotonic()
        argo(how, workflow.name)
        workflow.over("Failed")
        took = time.monotonic() - began
        node = workflow.node("monitor-sync-waves")
        check(node["phase"] == "Failed", node)
        check(len(workflow.nodes("monitor-sync-waves")) == 1, "it is tried again after its end")
        check(bool(workflow.nodes("abort")) == (how == "stop" and abort == "true"), workflow.read()["status"]["nodes"])
        check(bool(workflow.nodes("notify-completion", "onExit")) == (how == "stop"), f"{how}: who is told")
        over = lambda: (row := stack.deployment(id))["finished"] and row
        state = until(f"the deployment is over after {how}", over, 600)["state"]
        check(state == ends, f"after {how} the deployment is {state}, not {ends}")
        found[f"{how}, on-failure-abort {abort}"] = {"over_after_s": round(took), "deployment": state,
                                                     "message": node.get("message")}
    stack.again()
    return found


def fan_out(stack, options):
    based(stack)
    stack.server.over(stack.pushed(stack.commit("customer-a")))
    stack.commit("customer-a")
    stack.commit()
    workflow = submit(f"{EXAMPLES}/{ALL}", timeout="5m")
    workflow.over("Succeeded")
    listed = json.loads(outputs(workflow.node("list-customers"))["customers"])
    check({row["customer-id"] for row in listed} == {"customer-a", "customer-b"}, listed)
    for customer in ("customer-a", "customer-b"):
        check(stack.place(customer)["deployed"]["revision"] == stack.repository.head(), customer)
    # One that fails does not keep the other.
    stack.again(**failing("payment-service", at="later-revisions"))
    stack.commit("customer-a")
    stack.commit()
    half = submit(f"{EXAMPLES}/{ALL}", timeout="5m")
    half.over("Failed")
    check(stack.place("customer-a")["deployed"]["revision"] == stack.repository.head(), "customer-a is not there")
    stack.again()
    return {"customers": len(listed)}


def by_waves(stack, options):
    based(stack)
    stack.commit()
    workflow = submit(f"{EXAMPLES}/deploy-by-waves.yaml", timeout="5m")
    workflow.over("Succeeded")
    waves = [row["wave"] for row in json.loads(outputs(workflow.node("resolve-waves"))["waves"])]
    check(len(waves) > 1 and waves == sorted(waves), waves)
    nodes = {node["displayName"]: node for node in workflow.read()["status"]["nodes"].values()}
    ran = [number for number in range(10) if nodes[f"wave-{number}"]["phase"] == "Succeeded"]
    check(ran == waves, f"waves {ran} ran, not {waves}")
    check(all(nodes[f"wave-{number}"]["phase"] == "Skipped" for number in range(10) if number not in waves), nodes)
    for before, after in zip(waves, waves[1:]):
        check(moment(nodes[f"wave-{before}"]["finishedAt"]) <= moment(nodes[f"wave-{after}"]["startedAt"]),
              f"wave {after} began before {before} ended")
    events = [event for event in stack.server.events() if event["request"]["kind"] == "sync-wave"]
    check({event["request"]["wave"] for event in events} == set(waves), events)
    return {"waves": waves}


def rollback(stack, options):
    good = based(stack)
    stack.commit()
    deploy().over("Succeeded")
    workflow = submit(f"{EXAMPLES}/rollback.yaml", timeout="5m")
    workflow.over("Succeeded")
    id = outputs(workflow.node("roll-back"))["deployment-id"]
    check(stack.deployment(id)["purpose"] == "rollback", id)
    return {"from": stack.repository.head()[:8], "to": good[:8], "deployment": id}


def plugin(stack, options):
    based(stack)
    stack.commit()
    workflow = submit(f"{EXAMPLES}/plugin.yaml", timeout="5m")
    agent = until("the agent runs", lambda: [
        pod for pod in get("pods", "-l", f"workflows.argoproj.io/workflow={workflow.name}")["items"]
        if pod["metadata"]["labels"].get("workflows.argoproj.io/component") == "agent"], 60)
    workflow.over("Succeeded")
    check(workflow.node("monitor-sync-waves")["type"] == "Plugin", "it is no plugin's node")
    check(outputs(workflow.node("monitor-sync-waves"))["state"] == "succeeded", workflow.read()["status"])
    check(stack.place()["deployed"]["revision"] == stack.repository.head(), "it was not deployed")
    refused = submit(f"{EXAMPLES}/plugin.yaml", customer_id="customer-z", timeout="5m")
    refused.over("Failed")
    return {"agent": agent[0]["metadata"]["name"], "refused": refused.node("validate-helm-values")["message"]}


def twice(stack, options):
    based(stack)
    stack.again(speed=20)
    stack.commit()
    first, second = deploy(), deploy()
    waits = lambda: [node for workflow in (first, second)
                     for node in workflow.read().get("status", {}).get("nodes", {}).values()
                     if "Waiting for" in (node.get("message") or "")]
    waiting = until("one waits for the other", waits, 180)[0]
    check("deploy-customer-b-production" in waiting["message"], waiting)
    for workflow in (first, second):
        workflow.over("Succeeded")
    times = sorted((moment(workflow.nodes(STEPS[0])[0]["startedAt"]), moment(workflow.node(STEPS[-1])["finishedAt"]))
                   for workflow in (first, second))
    check(times[0][1] <= times[1][0], f"they ran at the same time: {times}")
    stack.again()
    return {"waited": waiting["message"]}


def based(stack):
    """customer-b is deployed, and nothing is under way; answers the commit."""
    places = [place for place in stack.server.get("/api/v1/customers")["items"] if place["customer"] == "customer-b"]
    if not places or not places[0].get("deployed"):
        deploy().over("Succeeded")
    stack.server.quiet()
    return stack.place()["deployed"]["revision"]


def exit_code(node):
    return int(node.get("outputs", {}).get("exitCode", -1))


SCENARIOS = {
    "lint": lint,
    "deployment": deployment,
    "failing-deployment": failing_deployment,
    "retry": retry,
    "stop-and-terminate": stop_and_terminate,
    "fan-out": fan_out,
    "by-waves": by_waves,
    "rollback": rollback,
    "plugin": plugin,
    "twice": twice,
}


# What a server in its pod can be asked for: its Argo CD behaves as it does.
IN_POD = ("deployment", "by-waves", "rollback", "plugin")


def main():
    parser = argparse.ArgumentParser(prog="scripts/test-argo-workflows.sh")
    parser.add_argument("--program", help=argparse.SUPPRESS)
    parser.add_argument("--server", choices=("host", "pod"), default="host", help="where the server runs (%(default)s)")
    parser.add_argument("--cluster", choices=("simulated", "argo-cd"), default="simulated",
                        help="what it drives; a real Argo CD only from its pod (%(default)s)")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="only this one; several times for several")
    parser.add_argument("--keep", action="store_true", help="leave the manifests on the cluster")
    options = parser.parse_args()
    argo_cd = options.cluster == "argo-cd"
    if argo_cd and options.server == "host":
        parser.error("--cluster=argo-cd needs --server=pod")
    scenarios = IN_POD if options.server == "pod" else tuple(SCENARIOS)
    for name in options.scenario or ():
        if name not in ("lint", *scenarios):
            parser.error(f"{name} needs --server=host")
    scenarios = tuple(options.scenario or scenarios)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        if options.server == "pod":
            stack = Workflows(folder, lambda *its: Pod(*its, argo_cd), EVENTS_IN_POD)
        else:
            program = os.path.abspath(options.program or "argocd-orchestrator")
            stack = Workflows(folder, lambda *its: Simulated(its[0], program, its[1]))
        # To look at manifests needs no server.
        needed = scenarios != ("lint",)
        try:
            if needed:
                if options.server == "host":
                    remove_pod()
                stack.server.start()
                stack.up()
            for name in scenarios:
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
                    # The next one finds the server as it should be.
                    if needed and options.server == "host":
                        stack.again()
        except Failed as error:
            failed += 1
            print(f"FAILED: {error}", flush=True)
        finally:
            if needed:
                stack.close(options.keep)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

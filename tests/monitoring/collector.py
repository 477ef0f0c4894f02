"""A real OpenTelemetry Collector, and what it was told: the spans that its debug exporter prints."""

import json
import re

ORDER = ["trace", "parent", "id", "name", "kind", "start", "end", "status"]
FIELDS = {
    "Trace ID": "trace",
    "Parent ID": "parent",
    "ID": "id",
    "Name": "name",
    "Kind": "kind",
    "Start time": "start",
    "End time": "end",
    "Status code": "status",
}


def config(address):
    """The collector's configuration: OTLP over HTTP in, all of it printed."""
    return json.dumps({
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": address}}}},
        "exporters": {"debug": {"verbosity": "detailed"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}},
        },
    })


def time_of(text):
    """A time as the collector prints it, as a text that sorts: nine digits of a second, whatever was printed."""
    moment, _, rest = text.removesuffix(" +0000 UTC").partition(".")
    return f"{moment}.{rest:0<9}"


def spans(log):
    """The spans that the collector has printed so far, with what it says of whoever sent them."""
    found, resource, at = [], {}, None
    for line in log.read_text().splitlines():
        attribute = re.fullmatch(r"\s+-> (\S+): \w+\((.*)\)", line)
        field = re.fullmatch(r"\s+([A-Z][\w ]+?)\s*: ?(.*)", line)
        if line.startswith("Resource attributes:"):
            resource = at = {}
        elif re.fullmatch(r"Span #\d+", line):
            found.append({"attributes": {}, "resource": resource})
        elif line.startswith("Attributes:"):
            at = found[-1]["attributes"]
        elif attribute and at is not None:
            at[attribute[1]] = attribute[2]
        elif field and found and field[1] in FIELDS:
            name = FIELDS[field[1]]
            found[-1][name] = time_of(field[2]) if name in ("start", "end") else field[2]
    # The last one may still be written.
    return [span for span in found if all(name in span for name in ORDER)]


def faults(spans, sent):
    """What is wrong with the spans of a run: `sent` has, of each deployment by its id, what is done with each of its
    services, how it ended, and the trace and span of its sender where that said one. No fault means that all is right."""
    wrong = []
    by_id = {span["id"]: span for span in spans}
    if len(by_id) != len(spans):
        wrong.append("a span was told twice, or two have the same id")
    wholes = {span["attributes"].get("deployment.id"): span for span in spans if span["name"] == "deployment"}
    if set(wholes) != set(sent):
        wrong.append(f"told of {sorted(wholes)}, and not of {sorted(sent)}")
        return wrong
    for deployment, (services, state, sender) in sent.items():
        whole = wholes[deployment]
        trace, parent = sender or (whole["trace"], "")
        own = [span for span in spans if span["trace"] == trace and top(span, by_id) is whole]
        below = {span["name"]: span for span in own if span["parent"] == whole["id"]}
        expected = {f"service {service}" for service in services} | {"intake", "queued"}
        last = max((span["end"] for span in own if span is not whole), default="")
        ok = "Error" if state == "failed" else "Ok"
        for what, right in [
            (f"its trace is {whole['trace']}, not {trace}", whole["trace"] == trace),
            (f"its parent is {whole['parent']!r}, not {parent!r}", whole["parent"] == parent),
            (f"it is {whole['status']} and {state}", whole["status"] == ok),
            (f"it is of {whole['attributes'].get('deployment.state')}, not {state}",
             whole["attributes"].get("deployment.state") == state),
            # One that fails does not begin with all of them.
            (f"below it are {sorted(below)}, not {sorted(expected)}",
             set(below) == expected if state == "succeeded" else {"intake", "queued"} < set(below) <= expected),
            ("no service of it failed", state != "failed" or any(span["status"] == "Error" for span in below.values())),
            (f"it ends at {whole['end']}, its last service at {last}", whole["end"] == last),
            ("its server is not named", whole["resource"].get("service.name") == "argocd-orchestrator"),
            (f"it is of the kind {whole['kind']}", whole["kind"] == "Server"),
        ]:
            if not right:
                wrong.append(f"{deployment}: {what}")
        for span in own:
            over = by_id.get(span["parent"], span)
            if not (over["start"] <= span["start"] <= span["end"] <= over["end"]):
                wrong.append(f"{deployment}: {span['name']} is not within {over['name']}")
        for name, action in services.items():
            if f"service {name}" not in below:
                continue
            parts = [span["name"] for span in own if span["parent"] == below[f"service {name}"]["id"]]
            if not parts:
                wrong.append(f"{deployment}: {name} has neither sync nor verification")
            elif action == "sync" and parts[0] != "syncing":
                wrong.append(f"{deployment}: {name} begins with {parts[0]}")
    return wrong


def top(span, by_id):
    """The span that nothing else of the run is above."""
    for _ in range(len(by_id)):
        if span["parent"] not in by_id:
            return span
        span = by_id[span["parent"]]
    return None

"""The objects of k8s/monitoring, checked against the schemas that the Prometheus operator gives the API server.

Usage: crds.py FOLDER OBJECTS, with the operator's CustomResourceDefinitions, and objects as YAML. Stricter than the API
server, which drops fields that it does not know: here they are wrong. Rules in CEL are not looked at.
"""

import copy
import pathlib
import sys

import jsonschema
import yaml

GROUP = "monitoring.coreos.com"


def strict(schema):
    """A schema of Kubernetes as one of JSON Schema, in which nothing is allowed that is not named."""
    schema = dict(schema)
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
        schema["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in schema:
        schema["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        if not open_ended and "additionalProperties" not in schema:
            schema["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        schema["items"] = strict(schema["items"])
    if schema.pop("nullable", False):
        schema = {"anyOf": [{"type": "null"}, schema]}
    return schema


def schemas(folder, kinds):
    """The schema of each version of these kinds."""
    found = {}
    for kind in kinds:
        file = folder / f"{GROUP}_{kind.lower()}s.yaml"
        definition = yaml.safe_load(file.read_text())["spec"]
        for version in definition["versions"]:
            key = f"{definition['group']}/{version['name']}", definition["names"]["kind"]
            found[key] = strict(version["schema"]["openAPIV3Schema"])
    return found


def faults(thing, known):
    schema = known.get((thing["apiVersion"], thing["kind"]))
    if schema is None:
        return [f"there is no {thing['kind']} in {thing['apiVersion']}"]
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'it'}: {error.message}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(thing)
    ]


def broken(thing):
    """The same with a field that nobody knows, and without one that has to be there."""
    unknown, missing = copy.deepcopy(thing), copy.deepcopy(thing)
    unknown["spec"]["nonsense"] = 1
    del missing["spec"]
    return [unknown, missing]


def main():
    folder, objects = map(pathlib.Path, sys.argv[1:])
    things = [thing for thing in yaml.safe_load_all(objects.read_text()) if thing]
    ours = [thing for thing in things if thing["apiVersion"].startswith(f"{GROUP}/")]
    kinds = sorted(thing["kind"] for thing in ours)
    if kinds != ["PrometheusRule", "ServiceMonitor"]:
        sys.exit(f"the kustomization has {kinds}")
    known = schemas(folder, kinds)
    wrong = [f"{thing['kind']} {fault}" for thing in ours for fault in faults(thing, known)]
    if wrong:
        sys.exit("\n".join(wrong))
    for thing in ours:
        for worse in broken(thing):
            if not faults(worse, known):
                sys.exit(f"a {thing['kind']} that is wrong is taken as well: this check proves nothing")
    print(f"{len(things)} objects, of which {' and '.join(kinds)} are as the operator's schemas want them")


main()

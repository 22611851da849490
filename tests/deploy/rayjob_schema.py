"""The fields of a KubeRay RayJob that docs/kuberay-rayjob.yaml uses, after KubeRay 1.7.0's API reference.

Kubernetes' own parts (pods, containers) are after its API reference, core/v1. A field that is not here is
refused, so that a misspelt one is noticed; the whole definition is read where RAYJOB_CRD names its file.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
# KubeRay hands start parameters to a command line: numbers must be quoted.
QUANTITIES: Schema = {
    "type": "object",
    "additionalProperties": {"type": "string", "pattern": r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$"},
}


def record(required: list[str], **fields: Schema) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": False,
    }


def several(item: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": item, "minItems": least}


CONTAINER = record(
    ["name", "image", "resources"],
    name=TEXT,
    image={"type": "string", "pattern": r":[\w.-]+$"},
    workingDir=TEXT,
    env=several(record(["name", "value"], name=TEXT, value=TEXT)),
    securityContext=record(
        [],
        allowPrivilegeEscalation={"type": "boolean"},
        capabilities=record([], drop=several(TEXT)),
    ),
    resources=record(["requests", "limits"], requests=QUANTITIES, limits=QUANTITIES),
    volumeMounts=several(record(["name", "mountPath"], name=TEXT, mountPath=TEXT)),
)
VOLUME = record(
    ["name", "emptyDir"],
    name=TEXT,
    emptyDir=record([], medium={"enum": ["", "Memory"]}, sizeLimit=TEXT),
)
POD = record(
    ["spec"],
    metadata=record([], labels=TEXTS),
    spec=record(
        ["containers"],
        securityContext=record(
            [],
            runAsNonRoot={"type": "boolean"},
            runAsUser=COUNT,
            runAsGroup=COUNT,
            fsGroup=COUNT,
        ),
        serviceAccountName=TEXT,
        terminationGracePeriodSeconds=COUNT,
        containers=several(CONTAINER, 1),
        volumes=several(VOLUME),
    ),
)
CLUSTER = record(
    ["headGroupSpec"],
    rayVersion=TEXT,
    authOptions=record(["mode"], mode={"enum": ["disabled", "token"]}),
    enableInTreeAutoscaling={"type": "boolean"},
    autoscalerOptions=record([], version={"enum": ["v1", "v2"]}, idleTimeoutSeconds=COUNT),
    headGroupSpec=record(["template"], rayStartParams=TEXTS, template=POD),
    workerGroupSpecs=several(
        record(
            ["groupName", "maxReplicas", "minReplicas", "template"],
            groupName=TEXT,
            replicas=COUNT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=TEXTS,
            template=POD,
        )
    ),
)
RAYJOB = record(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=record(["name"], name=TEXT),
    spec=record(
        ["entrypoint", "rayClusterSpec"],
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=COUNT,
        preRunningDeadlineSeconds={"type": "integer", "minimum": 1},
        activeDeadlineSeconds={"type": "integer", "minimum": 1},
        shutdownAfterJobFinishes={"type": "boolean"},
        ttlSecondsAfterFinished=COUNT,
        rayClusterSpec=CLUSTER,
    ),
)


def strict(schema: Schema) -> Schema:
    """A definition's schema that refuses unknown fields, as the server does with strict validation."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {}
    found: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: strict(inner) for name, inner in value.items()}
            found.setdefault("additionalProperties", False)
        elif key in {"items", "additionalProperties"} and isinstance(value, dict):
            found[key] = strict(value)
        else:
            found[key] = value
    return found

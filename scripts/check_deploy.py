"""Checks the Kubernetes files of deploy/; run by scripts/check-deploy.sh in the environment that it makes.

twokeys.yaml and the pods of rayservice.yaml against Kubernetes' own schemas, strictly; the Serve
configuration against Ray's. KubeRay's fields beside the pods are held by tests/deploy/test_files.py.
"""

from pathlib import Path

import kubernetes_validate  # type: ignore[import-not-found]
import ray
import yaml
from ray.serve.schema import ServeDeploySchema

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"


def main() -> None:
    version = kubernetes_validate.latest_version()
    for resource in yaml.safe_load_all((DEPLOY / "twokeys.yaml").read_text(encoding="utf-8")):
        kubernetes_validate.validate(resource, version, strict=True)
        print(f"twokeys.yaml: {resource['kind']} accepted, Kubernetes {version}")
    service = yaml.safe_load((DEPLOY / "rayservice.yaml").read_text(encoding="utf-8"))
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        name = group.get("groupName", "head")
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, **group["template"]}
        kubernetes_validate.validate(pod, version, strict=True)
        print(f"rayservice.yaml: the {name} pod accepted, Kubernetes {version}")
    ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    print(f"rayservice.yaml: serveConfigV2 accepted, Ray Serve {ray.__version__}")


if __name__ == "__main__":
    main()

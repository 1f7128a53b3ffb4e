"""The files of deploy/: open to this machine alone, never without a password, with fields that exist."""

import re
from typing import Any

import yaml

from .container import DEPLOY, command, compose

KUBERAY_FIELDS = {
    "service": {
        "serviceUnhealthySecondThreshold", "deploymentUnhealthySecondThreshold", "serveService",
        "upgradeStrategy", "serveConfigV2", "rayClusterConfig", "excludeHeadPodFromServeSvc",
    },
    "cluster": {
        "suspend", "managedBy", "autoscalerOptions", "headServiceAnnotations", "enableInTreeAutoscaling",
        "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs",
    },
    "head": {"template", "headService", "enableIngress", "rayStartParams", "serviceType"},
    "workers": {
        "suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds",
        "rayStartParams", "template", "scaleStrategy", "numOfHosts",
    },
}  # fmt: skip
"""As KubeRay's API reference lists them for ray.io/v1."""


def ray_service() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "rayservice.yaml").read_text(encoding="utf-8"))
    return read


def test_only_this_machine_reaches_the_app_unless_tls_is_asked_for() -> None:
    services = compose()["services"]
    published = {name: service.get("ports", []) for name, service in services.items()}
    assert published["engine"] == [] and published["proxy"] == ["443:443"]
    assert all(port.startswith("127.0.0.1:") for port in published["twokeys"])
    assert services["proxy"]["profiles"] == ["tls"], "only with --profile tls"


def test_nothing_starts_without_a_password_and_a_key() -> None:
    services = compose()["services"]
    assert services["twokeys"]["environment"]["TWOKEYS_PASSWORD"].startswith("${TWOKEYS_PASSWORD:?")
    keys = {
        services["twokeys"]["environment"]["TWOKEYS_SERVER_KEY"],
        services["engine"]["environment"]["VLLM_API_KEY"],
    }
    assert len(keys) == 1 and next(iter(keys)).startswith("${ENGINE_KEY:?")
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    assert re.search(r"^TWOKEYS_PASSWORD=$", example, re.MULTILINE)
    assert re.search(r"^ENGINE_KEY=$", example, re.MULTILINE)


def test_every_service_has_a_health_check_and_waits_for_what_it_needs() -> None:
    services = compose()["services"]
    assert all(service["healthcheck"]["test"][0] == "CMD" for service in services.values())
    assert services["twokeys"]["depends_on"] == {"engine": {"condition": "service_healthy"}}
    assert services["proxy"]["depends_on"] == {"twokeys": {"condition": "service_healthy"}}


def test_the_trusted_proxy_is_the_one_that_compose_starts() -> None:
    made = compose()
    address = made["services"]["proxy"]["networks"]["front"]["ipv4_address"]
    assert made["services"]["twokeys"]["environment"]["TWOKEYS_TRUSTED_PROXY"] == address
    [subnet] = made["networks"]["front"]["ipam"]["config"]
    assert address.rpartition(".")[0] == subnet["subnet"].rpartition(".")[0]


def test_the_container_stores_under_its_volume_and_runs_as_nobody_special() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert "USER twokeys" in dockerfile and "TWOKEYS_HOME=/data" in dockerfile
    assert dockerfile.index("USER twokeys") < dockerfile.index("CMD ")
    service = compose()["services"]["twokeys"]
    assert service["volumes"] == ["data:/data"] and service["read_only"] and service["cap_drop"] == ["ALL"]
    assert command()[:2] == ["twokeys", "ui"]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    copied = re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE)
    wanted = {f"!{name}" for line in copied for name in line.split()}
    assert ignored[0] == "*" and wanted == set(ignored[1:]), "what is copied is let through, and nothing else"


def test_the_ray_service_has_only_fields_that_kuberay_knows() -> None:
    service = ray_service()
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    spec = service["spec"]
    cluster = spec["rayClusterConfig"]
    assert spec.keys() <= KUBERAY_FIELDS["service"] and cluster.keys() <= KUBERAY_FIELDS["cluster"]
    assert cluster["headGroupSpec"].keys() <= KUBERAY_FIELDS["head"]
    assert all(group.keys() <= KUBERAY_FIELDS["workers"] for group in cluster["workerGroupSpecs"])
    params = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert all(isinstance(value, str) for group in params for value in group["rayStartParams"].values())
    version = cluster["rayVersion"]
    images = {container["image"] for group in params for container in group["template"]["spec"]["containers"]}
    assert len(images) == 1 and next(iter(images)).startswith(f"rayproject/ray-llm:{version}-")


def test_the_ray_service_serves_the_model_that_compose_serves_as_far_as_its_workers_go() -> None:
    spec = ray_service()["spec"]
    [application] = yaml.safe_load(spec["serveConfigV2"])["applications"]
    [config] = application["args"]["llm_configs"]
    engine = compose()["services"]["engine"]["command"]
    loading = config["model_loading_config"]
    assert loading["model_source"] in engine[0] and f"--served-model-name={loading['model_id']}" in engine
    [workers] = spec["rayClusterConfig"]["workerGroupSpecs"]
    assert config["deployment_config"]["autoscaling_config"]["max_replicas"] == workers["maxReplicas"]


def test_the_app_on_kubernetes_is_one_copy_with_a_password_and_asks_the_service_of_ray() -> None:
    text = (DEPLOY / "twokeys.yaml").read_text(encoding="utf-8")
    deployment = next(part for part in yaml.safe_load_all(text) if part["kind"] == "Deployment")
    assert deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"] == {"type": "Recreate"}
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["TWOKEYS_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] == "password"
    name = ray_service()["metadata"]["name"]
    assert environment["TWOKEYS_MODEL"]["value"] == f"http://{name}-serve-svc:8000"

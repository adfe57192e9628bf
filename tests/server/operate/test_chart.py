"""The chart as Helm's own engine rendered it: of this state, and at one with itself and with the service."""

import importlib.util
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stillwatch.server import load_server_settings
from stillwatch.server.access import OPEN

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests" / "golden" / "chart").glob("*.yaml"))
SELECTORS = {"PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}
REFERENCES = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
)
ELSEWHERE = {"made-elsewhere", "claimed-elsewhere", "stillwatch-key"}  # what the cases say is there already
Manifests = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_chart", ROOT / "scripts" / "render_chart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def manifests(case: Path) -> Manifests:
    """Manifests by kind; of each there is one."""
    held = [told for told in yaml.safe_load_all(case.read_text("utf-8")) if told]
    assert len({told["kind"] for told in held}) == len(held)
    return {told["kind"]: told for told in held}


def test_every_case_is_of_the_chart_as_it_is(script: ModuleType) -> None:
    assert {path.stem for path in CASES} == set(script.CASES)
    for path in CASES:
        assert f"# Chart: {script.fingerprint()}\n" in path.read_text("utf-8"), "run scripts/render_chart.py"


def pod_of(manifests: Manifests) -> dict[str, Any]:
    told: dict[str, Any] = manifests["Deployment"]["spec"]["template"]
    return told


def test_what_selects_pods_selects_the_services(manifests: Manifests) -> None:
    labels = pod_of(manifests)["metadata"]["labels"].items()
    specs = {kind: manifests[kind]["spec"] for kind in manifests if "spec" in manifests[kind]}
    selectors = [specs["Deployment"]["selector"]["matchLabels"], specs["Service"]["selector"]]
    selectors += [specs[kind][name]["matchLabels"] for kind, name in SELECTORS.items() if kind in specs]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels


def test_what_the_pod_refers_to_is_there(manifests: Manifests) -> None:
    pod = pod_of(manifests)["spec"]
    [container] = pod["containers"]
    named: dict[str, set[str]] = defaultdict(set)
    named["ServiceAccount"].add(pod["serviceAccountName"])
    for volume in pod["volumes"]:
        for key, kind, field in REFERENCES:
            if key in volume:
                named[kind].add(volume[key][field])
    for variable in container["env"]:
        if "valueFrom" in variable:
            named["Secret"].add(variable["valueFrom"]["secretKeyRef"]["name"])
    for kind, names in named.items():
        assert names - ELSEWHERE <= {manifests[kind]["metadata"]["name"] if kind in manifests else None}, kind
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_service_is_set_as_the_manifests_say(manifests: Manifests, tmp_path: Path) -> None:
    file = tmp_path / "stillwatch.toml"
    file.write_text(manifests["ConfigMap"]["data"]["stillwatch.toml"], "utf-8")
    [container] = pod_of(manifests)["spec"]["containers"]
    environment = {row["name"]: row["value"] for row in container["env"] if "value" in row}
    settings = load_server_settings(file, environment)
    wanted = {"http": settings.server.port} | ({"grpc": settings.server.grpc_port} if settings.server.grpc_port else {})
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == wanted
    assert {port["targetPort"] for port in manifests["Service"]["spec"]["ports"]} == set(wanted)
    if "NetworkPolicy" in manifests:
        [rule] = manifests["NetworkPolicy"]["spec"]["ingress"]
        assert {port["port"] for port in rule["ports"]} == set(wanted)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert settings.storage.state.is_relative_to(mounts["state"])
    assert container["args"] == ["serve", "--config", f"{mounts['settings']}/stillwatch.toml"]
    probes = [value for name, value in container.items() if name.endswith("Probe")]
    assert {probe["httpGet"]["path"] for probe in probes} <= set(OPEN)
    assert {probe["httpGet"]["port"] for probe in probes} == {"http"}


def test_a_secret_is_in_the_secret_alone(case: Path, manifests: Manifests) -> None:
    for kind, told in manifests.items():
        assert kind == "Secret" or "planted" not in yaml.safe_dump(told)
    assert ("planted" in case.read_text("utf-8")) == (case.stem == "several")

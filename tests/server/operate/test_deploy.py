"""What is in `deploy/`: it can be read, names only what exists, and gives the service no right it does not need."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from stillwatch.server import load_server_settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm"
TEMPLATES = sorted((CHART / "templates").glob("*.yaml"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
VARIABLE = re.compile(r"STILLWATCH_[A-Z_]+")
ELSEWHERE = {"STILLWATCH_KEY_FILE", "STILLWATCH_KEY", "STILLWATCH_AUTHORIZATION"}  # the key; what compose hands LiteLLM


def actions() -> Iterator[tuple[str, str]]:
    """Every action in every template, with the file it stands in."""
    for path in sorted((CHART / "templates").iterdir()):
        for action in re.findall(r"\{\{-?\s*(.*?)\s*-?\}\}", path.read_text("utf-8"), re.DOTALL):
            yield path.name, action


def plain(path: Path) -> dict[str, Any]:
    """A template as YAML: every line that is only an action left out, every other action a word."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not re.fullmatch(r"\s*\{\{.*\}\}\s*", line)]
    return yaml.safe_load(re.sub(r"\{\{.*?\}\}", "word", "\n".join(lines)))


def instructions() -> list[tuple[str, str]]:
    """The instructions of the container file, continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], " ".join(line.split()[1:])) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_file_of_yaml_can_be_read(path: Path) -> None:
    told = plain(path) if path in TEMPLATES else yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(told, dict)


def test_every_variable_that_is_named_is_a_setting() -> None:
    named = {name for path in DEPLOY.rglob("*") if path.is_file() for name in VARIABLE.findall(path.read_text("utf-8"))}
    values = {"PORT": "1", "THREADS": "1", "TOKEN": "t" * 20, "LIMIT": "1GB"}
    for name in sorted(named - ELSEWHERE):
        told = load_server_settings(None, {name: values.get(name.rpartition("_")[2], "planted-value")})
        assert told != load_server_settings(None, {}), f"{name} replaces nothing"


def test_the_values_of_the_chart_are_as_its_schema_says_and_each_is_described() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)
    assert set(VALUES) == set(SCHEMA["properties"]) - {"global"}
    for name, value in VALUES.items():
        if SCHEMA["properties"][name].get("additionalProperties") is False:
            assert set(value) == set(SCHEMA["properties"][name]["properties"]), name


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 0},
        {"replicas": 2},
        {"repilcas": 1},
        {"settings": {"server": {"port": None}}},
        {"settings": {"server": {"host": "0.0.0.0"}, "storage": {"state": "/var/lib/stillwatch/state"}}},  # noqa: S104
        {"networkPolicy": {"fromPods": {"matchLabels": {"app": "gateway"}}}},  # the chart says matchLabels itself
        {"secret": {"database": "mysql://x"}},
        {"image": {"repository": "x", "digest": "latest"}},
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, **wrong}, SCHEMA)


def test_several_replicas_need_a_volume_that_several_may_write() -> None:
    jsonschema.validate({**VALUES, "replicas": 2, "volume": {"accessMode": "ReadWriteMany"}}, SCHEMA)


def test_the_settings_of_the_chart_are_settings_of_the_service(tmp_path: Path) -> None:
    lines = []
    for section, entries in VALUES["settings"].items():  # as templates/configmap.yaml writes it
        lines += [f"[{section}]", *(f"{name} = {json.dumps(value)}" for name, value in entries.items())]
    file = tmp_path / "stillwatch.toml"
    file.write_text("\n".join(lines), "utf-8")
    assert load_server_settings(file, {}).server.host == "0.0.0.0"  # noqa: S104 # a pod's own network
    assert tomllib.loads(file.read_text("utf-8")) == VALUES["settings"]


def test_templates_refer_only_to_values_and_names_that_exist() -> None:
    defined = {name for _, action in actions() for name in re.findall(r'^define "([\w.]+)"', action)}
    for file, action in actions():
        for reference in re.findall(r"\.Values((?:\.\w+)+)", action):
            held: Any = VALUES
            for name in reference.strip(".").split("."):
                assert name in held, f"{file}: .Values{reference}"
                held = held[name]
        assert set(re.findall(r'include "([\w.]+)"', action)) <= defined, f"{file}: {action}"
    used = {name for _, action in actions() for name in re.findall(r"\.Values\.(\w+)", action)}
    assert used == set(VALUES)


def test_every_block_of_a_template_is_closed() -> None:
    depth: dict[str, int] = {}
    for file, action in actions():
        word = action.split()[0] if action else ""
        depth[file] = depth.get(file, 0) + (word in ("if", "range", "with", "define")) - (word == "end")
        assert depth[file] >= 0, file
    assert set(depth.values()) == {0}


def test_the_chart_asks_nothing_of_the_cluster() -> None:
    kinds = {plain(path)["kind"] for path in TEMPLATES}
    assert kinds == {
        *("Deployment", "Service", "ConfigMap", "Secret", "ServiceAccount"),
        *("PersistentVolumeClaim", "PodDisruptionBudget", "NetworkPolicy"),
    }
    account = plain(CHART / "templates" / "serviceaccount.yaml")
    assert account["automountServiceAccountToken"] is False


def test_the_pod_runs_without_root_and_says_whether_it_is_alive_and_ready() -> None:
    pod = plain(CHART / "templates" / "deployment.yaml")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert VALUES["settings"]["storage"]["state"].startswith(mounts["state"] + "/")
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)


def test_the_container_has_no_root_no_loose_package_and_says_whether_it_is_well() -> None:
    told = instructions()
    last = [index for index, (word, _) in enumerate(told) if word == "FROM"][-1]
    assert [rest for word, rest in told[last:] if word == "USER"] == ["10001:10001"]
    assert not [word for word, _ in told if word in ("ADD", "MAINTAINER")]
    assert [word for word, _ in told].count("HEALTHCHECK") == 1
    for _, rest in (row for row in told if "pip install" in row[1]):
        assert "--require-hashes" in rest or "--no-deps" in rest
        assert "--no-cache-dir" in rest
    for word, rest in told:
        assert word not in ("ENTRYPOINT", "CMD") or json.loads(rest)
        assert word not in ("FROM", "ARG") or (":latest" not in rest and not re.search(r"BASE=[^:]+$", rest))
    environment = " ".join(rest for word, rest in told if word == "ENV")
    assert not re.search(r"PASSWORD|SECRET|TOKEN", environment)


def test_what_the_container_copies_is_there_and_is_let_in() -> None:
    let_in = {
        line[1:] for line in (DEPLOY / "Containerfile.dockerignore").read_text("utf-8").splitlines() if line[0] == "!"
    }
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in let_in


def test_compose_keeps_secrets_out_and_the_service_without_rights() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    assert services["stillwatch"]["read_only"] is True
    assert services["stillwatch"]["cap_drop"] == ["ALL"]
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|KEY|AUTHORIZATION|DATABASE", name):
                assert "${" in value, name
    for volume in services["litellm"]["volumes"]:
        assert (DEPLOY / volume.split(":")[0]).is_file()

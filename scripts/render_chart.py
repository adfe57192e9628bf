"""Render the Helm chart with Helm's own engine into tests/golden/chart, where tests hold it against the service.

    python -m venv helm && helm/bin/pip install helm-python-sdk && helm/bin/python scripts/render_chart.py

The engine is 85 MB and of no other use, so it is in no requirements; a test fails when the chart has changed since it
was rendered. `helm lint` runs as well, and what it warns of stops the script.
"""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm"
RENDERED = ROOT / "tests" / "golden" / "chart"
CASES: dict[str, dict[str, Any]] = {
    "default": {},
    "several": {
        "replicas": 2,
        "image": {"repository": "registry.example/stillwatch", "digest": "sha256:" + "a" * 64},
        "secret": {"database": "postgresql://stillwatch:planted@postgres/stillwatch", "metricsToken": "planted" * 4},
        "keySecret": "stillwatch-key",
        "volume": {"accessMode": "ReadWriteMany", "storageClass": "shared"},
        "settings": {"server": {"grpc_port": 9191}, "detection": {"every_s": 60}, "decisions": {"live": ["verify"]}},
        "networkPolicy": {"fromPods": {"app": "gateway"}, "fromNamespaces": {"team": "edge"}},
        "podAnnotations": {"prometheus.io/scrape": "false"},
    },
    "bare": {
        "secret": {"existing": "made-elsewhere"},
        "volume": {"existingClaim": "claimed-elsewhere"},
        "networkPolicy": {"enabled": False},
        "disruptionBudget": {"enabled": False},
    },
}


def fingerprint() -> str:
    """SHA-256 over every file of the chart and the cases."""
    digest = hashlib.sha256(json.dumps(CASES, sort_keys=True).encode())
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        digest.update(path.relative_to(CHART).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def rendered(helm: ModuleType, values: dict[str, Any]) -> Iterator[str]:
    """The manifests of a case, each with the template it came from; empty ones left out."""
    for name, text in sorted(helm.Chart.load(CHART).render(values, name="edge", namespace="stillwatch").items()):
        if text.strip():
            yield f"---\n# {name}\n{text.strip()}\n"


def main() -> None:
    """Lint, and render every case."""
    helm = importlib.import_module("helm_python")
    for values in CASES.values():
        found = helm.lint(CHART, values, strict=True)
        told = [message["error"] for message in found["messages"] if message["severity"] > 1] + found["errors"]
        if told:
            sys.exit("\n".join(told))
    RENDERED.mkdir(exist_ok=True)
    for name, values in CASES.items():
        head = f"# Rendered by scripts/render_chart.py with Helm {helm.helm_sdk_version()}.\n# Chart: {fingerprint()}\n"
        (RENDERED / f"{name}.yaml").write_text(head + "".join(rendered(helm, values)), encoding="utf-8")


if __name__ == "__main__":
    main()

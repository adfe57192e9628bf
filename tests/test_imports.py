"""Data flows one way, engines stay behind their door, and what is imported is declared."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "stillwatch"
MODULES = sorted(SOURCE.rglob("*.py"))
STAGES = ("ingest", "signals", "rollups", "linkage", "campaigns", "decisions", "sharing")
SLOW = {"numba", "ibis", "pyspark", "duckdb", "pyarrow", "numpy"}  # a tenth of a second and more each
ENGINE_LIBRARIES = {"duckdb", "pyspark"}
IMPURE = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "os.getenv", "os.environ.get"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
PEERS = {"litellm"}  # they load us, in an environment of their own: we do not require them
COPYLEFT = {"igraph", "leidenalg", "pyqt5", "unidecode", "python_louvain"}  # GPL; this project is Apache-2.0


def imported(node: ast.AST) -> set[str]:
    """Full names of the modules that the import statements under the node name."""
    names = {alias.name for n in ast.walk(node) if isinstance(n, ast.Import) for alias in n.names}
    return names | {n.module for n in ast.walk(node) if isinstance(n, ast.ImportFrom) and n.module}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def top_level(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(tree(path))}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_the_import_contracts_hold() -> None:
    checker = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([checker, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_command_line_imports_inside_functions() -> None:
    inside = {
        name_of(path): [f.name for f in ast.walk(tree(path)) if isinstance(f, FUNCTIONS) and imported(f)]
        for path in MODULES
        if "cli" not in path.parts
    }
    assert {name: functions for name, functions in inside.items() if functions} == {}


def test_only_engines_name_an_engine() -> None:
    named = {name_of(path): top_level(path) & ENGINE_LIBRARIES for path in MODULES if "engines" not in path.parts}
    assert {name: libraries for name, libraries in named.items() if libraries} == {}


def test_stages_read_neither_clock_nor_environment() -> None:
    called = {
        name_of(path): {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
        for path in MODULES
        if path.relative_to(SOURCE).parts[0] in STAGES
    }
    assert len(called) > len(STAGES)
    assert {name: calls & IMPURE for name, calls in called.items() if calls & IMPURE} == {}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [requirement for extra in project.get("optional-dependencies", {}).values() for requirement in extra]
    declared = {
        normalised(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in (*project["dependencies"], *optional)
    }
    third_party = set().union(*(top_level(path) for path in MODULES)) - sys.stdlib_module_names - {"stillwatch"} - PEERS
    providers = packages_distributions()
    needed = {name: {normalised(d) for d in providers.get(name, [name])} for name in third_party}
    assert {name for name, distributions in needed.items() if not distributions & declared} == set()
    # duckdb is declared to keep its major version where Ibis works (docs/decisions), not because we name it; SQLAlchemy
    # loads psycopg by name, and the list of disposable domains is done without where it is missing.
    unnamed = {"duckdb", "psycopg", "disposable-email-domains"}
    assert declared - set().union(*needed.values()) - unnamed == set()


@pytest.mark.parametrize("arguments", [["-c", "import stillwatch"], ["-m", "stillwatch", "--help"]])
def test_nothing_slow_is_imported_before_it_is_needed(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "stillwatch" in loaded
    assert loaded & SLOW == set()


def test_nothing_under_the_gpl_is_required() -> None:
    required = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "requirements").glob("*.txt"))
    pinned = {normalised(name).replace("-", "_") for name in re.findall(r"^([\w.-]+)==", required, re.MULTILINE)}
    assert pinned, "no requirement was found"
    assert pinned & COPYLEFT == set()

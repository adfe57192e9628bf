"""The size limits, the names and the layout we agreed on, held over every file of the repository."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "stillwatch"
MODULES = sorted(SOURCE.rglob("*.py"))

MODULE_LINES = 600
FUNCTION_LINES = 60
CLASS_LINES = 200
PARAMETERS = 8
BANNED_NAMES = {"common", "utils", "util", "lib", "helpers", "helper", "shared", "misc"}
# A bare `import stillwatch` is what a gateway's process pays for; a command line is started by hand many times a day.
HEAVY = {"altair", "duckdb", "ibis", "numba", "pandas", "pyarrow", "pyspark", "scipy", "stix2", "vl_convert"}

COMPUTES = {"graspologic_native", "jsonschema", "sqlglot"}

# Written in parts, so that this file does not hold what it looks for.
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "deb" + "ian.org", "crates" + ".io")
INSTALLER_FLAGS = ("--" + "index-url", "--" + "extra-index-url", "--" + "find-links", "--" + "trusted-host")
MACHINE_PATHS = ("/wo" + "rk/", "/ro" + "ot/", "/opt/" + "wheels", "/opt/" + "pyp" + "i", str(ROOT) + "/")
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def ignored(name: str, is_top: bool) -> bool:
    """Whether .gitignore leaves a file or folder of that name out; patterns with a leading slash hold at the top."""
    patterns = [line.strip().rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.strip()]
    return name == ".git" or any(
        fnmatch(name, pattern.lstrip("/")) and (is_top or not pattern.startswith("/")) for pattern in patterns
    )


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Every file of the repository."""
    for path in sorted(folder.iterdir()):
        if ignored(path.name, folder == ROOT):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the repository, by its path from the top."""
    for path in files():
        try:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def body_lines(function: Function) -> int:
    """Lines of the body, its docstring included, its signature not."""
    return (function.end_lineno or 0) - function.body[0].lineno + 1


def is_command(function: Function) -> bool:
    """A command of the command line: its parameters are the flags a user types, not an interface of ours."""
    return any(isinstance(d, ast.Call) and ast.unparse(d.func).endswith(".command") for d in function.decorator_list)


def parameter_count(function: Function) -> int:
    if is_command(function):
        return 0
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return len([a for a in named if a is not None and a.arg not in ("self", "cls")])


def public_definitions(module: ast.Module) -> list[Function | ast.ClassDef]:
    """Functions, classes and methods whose name, and whose class's name, has no leading underscore."""
    top = [node for node in module.body if isinstance(node, Function | ast.ClassDef) and node.name[0] != "_"]
    methods = [n for c in top if isinstance(c, ast.ClassDef) for n in c.body if isinstance(n, Function)]
    return [*top, *(method for method in methods if method.name[0] != "_")]


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def too_large(path: Path) -> Iterator[str]:
    """What in the module is larger than we agreed on."""
    if len(path.read_text(encoding="utf-8").splitlines()) > MODULE_LINES:
        yield "the module"
    is_list = path.parent.name == "versions"  # a step of the database's schema is one list of tables, written by a tool
    for node in ast.walk(tree(path)):
        if isinstance(node, Function) and not is_list and body_lines(node) > FUNCTION_LINES:
            yield f"{node.name}: {body_lines(node)} lines"
        if isinstance(node, Function) and parameter_count(node) > PARAMETERS:
            yield f"{node.name}: {parameter_count(node)} parameters"
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > CLASS_LINES:
            yield f"{node.name}: a class"


def test_modules_functions_classes_and_signatures_stay_small() -> None:
    found = {name_of(path): list(too_large(path)) for path in MODULES}
    assert len(found) > 100
    assert {name: large for name, large in found.items() if large} == {}


def test_modules_and_what_they_offer_say_what_they_are() -> None:
    assert [name_of(path) for path in MODULES if not ast.get_docstring(tree(path))] == []
    silent = {
        name_of(path): [node.name for node in public_definitions(tree(path)) if not ast.get_docstring(node)]
        for path in MODULES
    }
    assert {name: nodes for name, nodes in silent.items() if nodes} == {}


def test_package_files_only_re_export() -> None:
    def is_re_export(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign):
            return all(isinstance(t, ast.Name) and t.id in ("__all__", "__version__") for t in node.targets)
        return isinstance(node, ast.ImportFrom)

    packages = [path for path in MODULES if path.name == "__init__.py"]
    others = {
        name_of(path): [ast.unparse(node) for node in tree(path).body[1:] if not is_re_export(node)]  # but docstrings
        for path in packages
    }
    assert {name: statements for name, statements in others.items() if statements} == {}


def test_no_folder_and_no_module_is_a_drawer_for_anything() -> None:
    stems = {path.relative_to(ROOT) for path in files() if path.suffix == ".py"}
    assert [path for path in stems if BANNED_NAMES & {part.removesuffix(".py").strip("_") for part in path.parts}] == []


def test_nothing_is_marked_as_unfinished() -> None:
    assert [name for name, text in texts() if UNFINISHED.search(text) and name.endswith((".py", ".md", ".toml"))] == []


def test_no_file_names_a_package_registry_or_a_folder_of_one_machine() -> None:
    words = "|".join(map(re.escape, (*REGISTRIES, *INSTALLER_FLAGS)))
    folders = "|".join(map(re.escape, MACHINE_PATHS))
    banned = re.compile(rf"{words}|(?<!\w)(?:{folders})")
    assert [(name, found[0]) for name, text in texts() if (found := banned.search(text))] == []


def test_requirement_files_are_pinned_hashed_and_agree() -> None:
    pins: dict[str, str] = {}
    for name in ("build", "runtime", "dev"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        for requirement in re.split(r"\n(?=\S)", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE).strip()):
            pinned = re.match(r"([\w.-]+)==([^ \\]+)(?: ; ([^\\]+?))? \\\n", requirement)
            assert pinned, f"{name}.txt: not pinned: {requirement.splitlines()[0]}"
            assert "--hash=sha256:" in requirement, f"{name}.txt: no hash: {pinned[1]}"
            key = f"{pinned[1]} {pinned[3] or ''}"
            assert pins.setdefault(key, pinned[2]) == pinned[2], f"{name}.txt: another version of {key}: run make lock"


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import stillwatch") & HEAVY == set()


def test_starting_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by("import stillwatch.cli") & HEAVY == set()


def test_explaining_an_account_loads_tables_and_nothing_that_computes() -> None:
    needed = {"pyarrow"}
    assert loaded_by("import stillwatch.explanations, stillwatch.cli") & (HEAVY | COMPUTES) == needed


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after the statement."""
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())

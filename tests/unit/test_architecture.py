"""The house of the design holds: sizes, layers, imports, and no state on model modules."""

from __future__ import annotations

import ast
from functools import cache

from tests.house import PRODUCT, File, files
from tests.imports import ROOT, imports, read, runtime_imports

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# A module may import from its own layer and from lower ones (a smaller number).
LAYERS = {
    "edge.errors": 0,
    "edge.lfs": 0,
    "edge.records": 0,
    "edge.short_names": 1,
    "edge.units": 0,
    "edge.unheeded": 1,
    "edge.usage": 1,
    "edge.version": 0,
    "edge.packed_experts": 1,
    "edge.precedence": 1,
    "edge.products": 1,
    "edge.packed_products": 1,
    "edge.unpacking": 1,
    "edge.config": 1,
    "edge.config_context": 1,
    "edge.config_json": 1,
    "edge.config_rope": 1,
    "edge.json_reader": 1,
    "edge.settings": 1,
    "edge.model": 2,
    "edge.prompt": 3,
    "edge.checkpoint": 3,
    "edge.kv": 4,
    "edge.kv.apart": 2,
    "edge.kv.layer": 2,
    "edge.text": 4,
    "edge.run.sample": 5,
    "edge.run.lookup": 5,
    "edge.run.costs": 5,
    "edge.run.draft": 5,
    "edge.run.text_draft": 5,
    "edge.run.forward": 5,
    "edge.run.speculate": 5,
    "edge.run.constrain": 5,
    "edge.run.grammar": 5,
    "edge.run.schema": 5,
    "edge.options": 4,
    "edge.limits": 4,
    "edge.answer": 4,
    "edge.request": 6,
    "edge.run": 7,
    "edge.results": 8,
    "edge.many": 8,
    "edge.conversation": 8,
    "edge.engine": 9,
    "edge.loading": 9,
    "edge.memory": 4,
    "edge.memory_vision": 4,
    "edge.plan": 5,
    "edge.plan.checkpoint": 10,
    "edge.plan.report": 10,
    "edge.plan.__main__": 10,
    "edge.draw": 5,
    "edge.inline": 5,
    "edge.tools": 10,
    "edge.events": 2,
    "edge": 10,
    "edge.chat": 11,
    "edge.server": 11,
    "edge.bench": 11,
    "convert": 12,
}


def _find_cycle(graph: dict[str, set[str]]) -> tuple[str, ...] | None:
    """Return the modules of one import circle, if there is one."""
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> tuple[str, ...] | None:
        if module in trail:
            return (*trail[trail.index(module) :], module)
        if module in done or module not in graph:
            return None
        for name in sorted(graph[module]):
            if found := visit(name, (*trail, module)):
                return found
        done.add(module)
        return None

    return next((found for module in graph if (found := visit(module, ()))), None)


def _layer(module: str) -> int | None:
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in LAYERS:
            return LAYERS[name]
    return None


@cache
def _files() -> list[File]:
    """Read everything once."""
    return files()


def _product() -> list[File]:
    return [file for file in _files() if file.folder in PRODUCT]


def imports_from_above(file: File) -> set[str]:
    """Return the modules of this repository that a file imports from a higher layer than its own."""
    own = _layer(file.module)
    assert own is not None, f"{file.module} has no layer: give it a row in LAYERS of this file, above what it imports"
    return {name for name in file.imports if (_layer(name) or 0) > own and name.split(".")[0] in LAYERS}


def test_files_stay_small() -> None:
    long = [f"{file.name} ({file.num_lines} lines)" for file in _files() if file.num_lines > MAX_FILE_LINES]
    assert not long, f"over {MAX_FILE_LINES} lines: {', '.join(long)}. Move one idea into a file of its own"


def test_functions_stay_small() -> None:
    found = [(file, function) for file in _files() for function in file.functions]
    long = [f"{function.name} in {file.name}" for file, function in found if function.num_lines > MAX_FUNCTION_LINES]
    assert not long, f"over {MAX_FUNCTION_LINES} lines: {', '.join(long)}. Give a part that has a name its own function"


def test_modules_import_only_from_their_layer_or_lower() -> None:
    above = {file.module: found for file in _product() if (found := imports_from_above(file))}
    assert not above, f"imports from higher layers: {above}. Move the module down, or hand in what it needs"


def test_there_are_no_import_cycles_lazy_ones_included() -> None:
    assert _find_cycle({file.module: runtime_imports(read(ROOT / file.name)) for file in _product()}) is None


def test_torch_and_transformers_are_imported_only_by_verify_and_calibrate() -> None:
    allowed = ("convert/verify/", "convert/calibration/vision.py")
    heavy = {
        file.name: found
        for file in _product()
        if not file.name.startswith(allowed)
        and (found := {name for name in file.imports if name.split(".")[0] in ("torch", "transformers", "torchvision")})
    }
    assert not heavy, f"{heavy}: torch and transformers belong to {allowed} alone"


def test_edge_never_imports_convert() -> None:
    above = {
        file.name: found
        for file in _files()
        if file.folder == "edge" and (found := {name for name in file.imports if name.split(".")[0] == "convert"})
    }
    assert not above, f"{above}: edge never imports convert. What both need lives in edge"


def _self_assignments(function: ast.FunctionDef) -> list[str]:
    targets: list[ast.expr] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            targets += node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets.append(node.target)
    return [
        ast.unparse(target)
        for target in targets
        if isinstance(target, ast.Attribute | ast.Subscript) and ast.unparse(target).startswith("self.")
    ]


MODEL_FILES = sorted((ROOT / "edge" / "model").glob("*.py"))


def test_model_modules_assign_to_self_only_in_init() -> None:
    methods = [
        (path.name, method)
        for path in MODEL_FILES
        for node in ast.walk(read(path))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name != "__init__"
    ]
    kept = {(file, method.name): found for file, method in methods if (found := _self_assignments(method))}
    assert methods
    assert not kept, f"{kept}: a module keeps no state. Hand it in as an argument, and return what changes"


def test_model_modules_never_wait_for_the_device() -> None:
    names = {
        (path.name, node.attr)
        for path in MODEL_FILES
        for node in ast.walk(read(path))
        if isinstance(node, ast.Attribute)
    }
    waiting = {(file, name) for file, name in names if name in ("item", "tolist", "eval", "async_eval", "synchronize")}
    assert names
    assert not waiting, f"{waiting} wait for the device in the middle of a forward. Decide by shapes, or before it"


def test_no_file_is_named_for_being_a_heap() -> None:
    heaps = [file.name for file in _files() if file.module.rpartition(".")[2] in ("utils", "common", "helpers", "misc")]
    assert not heaps, f"{heaps}: name a file for its one idea"


def test_all_folders_are_read() -> None:
    assert {file.folder for file in _files()} == {"edge", "convert", "tests", "examples"}
    assert len(_files()) > 900


def test_a_planted_cycle_and_a_planted_assignment_are_seen() -> None:
    method = ast.parse("class A:\n def f(self):\n  self.x = 1").body[0]
    assert isinstance(method, ast.ClassDef)
    function = method.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert _self_assignments(function) == ["self.x"]
    assert set(imports(ast.parse("def f():\n import torch"))) == {"torch"}
    lazy = runtime_imports(ast.parse("def f():\n from edge.errors import EdgeError"))
    assert _find_cycle({"a": {"b"}, "edge.errors": {"a"}, "b": lazy}) == ("a", "b", "edge.errors", "a")
    assert _layer("edge.run.loop") == LAYERS["edge.run"]

"""Take the functions of a Python file as tools: those in `__all__`, or all public ones that the file defines itself.

The file is the user's own program and is run as such; a checkpoint never names one.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

from edge.errors import UsageError
from edge.tools.tool import Tool, function_tool


def load_functions(path: Path, *, needs_consent: bool = True) -> list[Tool]:
    """Run a Python file and make tools of its functions.

    Args:
        path: The file.
        needs_consent: Whether the user is asked before each run.

    Raises:
        UsageError: It is not there, it fails, or it has no function for it.
        PromptError: A function's signature cannot be declared; the message names it.
    """
    path = path.expanduser()
    if not path.is_file():
        raise UsageError(f"--tools {path}: expected a Python file, found none. Check the path.")
    name = f"edge_tools_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--tools {path}: expected a Python file whose name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and type hints look their module up here
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the border of the user's own program
        del sys.modules[name]
        raise UsageError(f"--tools {path}: it failed with {type(error).__name__}: {error}. Run it by itself.") from None
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [key for key in vars(module) if not key.startswith("_")]
    found = [getattr(module, key, None) for key in names]
    functions = [
        function
        for function in found
        if inspect.isfunction(function) and (listed is not None or function.__module__ == name)
    ]
    if not functions:
        raise UsageError(f"--tools {path}: expected at least one function, found none. Define one with def.")
    return [function_tool(function, origin=path.name, needs_consent=needs_consent) for function in functions]

"""The table of guards is that of the documents, and names code and tests that exist."""

import ast
import importlib
from pathlib import Path

import pytest

from tests.faults.guards import GUARDS, REPOSITORY, Guard, table


def test_the_documents_show_the_table() -> None:
    page = (REPOSITORY / "docs" / "guarantees.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in page


def test_every_invariant_has_a_guard() -> None:
    assert {guard.promise for guard in GUARDS} >= {f"I{number}" for number in range(1, 9)}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.promise} {guard.what}")
def test_a_guard_and_its_test_exist(guard: Guard) -> None:
    code = (REPOSITORY / "twindex" / guard.file).read_text(encoding="utf-8")
    assert code.count(guard.old) == 1
    assert guard.old != guard.new
    file, _, name = guard.test.partition("::")
    module = importlib.import_module("tests." + file.removesuffix(".py").replace("/", "."))
    assert not name or hasattr(module, name)
    assert guard.where.split(".")[-1] in _names(REPOSITORY / "twindex" / guard.file)


def _names(file: Path) -> set[str]:
    """Functions, classes and module variables."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {one.id for node in tree.body if isinstance(node, ast.Assign) for one in node.targets}  # type: ignore[attr-defined]
    return defined | assigned

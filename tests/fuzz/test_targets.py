"""The harnesses without the fuzzer: their seeds pass, and an error of another kind does not."""

import importlib
from types import ModuleType

import pytest

TARGETS = {"photo": "decode", "manifest": "plan_manifest", "bundle": "load_bundle", "archive": "check_archive"}


def target(name: str) -> ModuleType:
    return importlib.import_module(f"fuzz.{name}")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_pass(name: str) -> None:
    seeds = list(target(name).seeds())
    assert len(seeds) >= 4
    for seed in seeds:
        target(name).check(seed)


@pytest.mark.parametrize(("name", "read"), TARGETS.items())
def test_an_error_of_another_kind_is_a_find(name: str, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("not one of ours")

    monkeypatch.setattr(target(name), read, broken)
    with pytest.raises(LookupError, match="not one of ours"):
        target(name).check(next(iter(target(name).seeds())))


def test_the_bundle_that_all_others_are_made_from_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, opened = target("bundle"), []
    load = bundle.load_bundle
    monkeypatch.setattr(bundle, "load_bundle", lambda *a, **k: opened.append(load(*a, **k)))
    bundle.check(next(bundle.seeds()))
    assert [one.card.dim for one in opened] == [16]


def test_the_good_manifest_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, planned = target("manifest"), []
    plan = manifest.plan_manifest
    monkeypatch.setattr(manifest, "plan_manifest", lambda file: planned.extend(plan(file)) or planned)
    manifest.check(next(manifest.seeds()))
    assert [photo.subject for photo in planned] == ["Zoë", "Lovelace, Ada"]

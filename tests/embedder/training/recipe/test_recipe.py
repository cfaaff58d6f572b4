import math
from pathlib import Path

import pytest

from twindex.embedder.training.recipe.recipe import read_recipe, recipe_from
from twindex.errors import UsageError

STAGE = {"name": "siamese", "losses": {"contrastive": 1.0}, "steps": 10, "people": 4, "photos": 2, "warmup": 1}


@pytest.mark.parametrize("file", sorted(Path("recipes").glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_recipes_read(file: Path) -> None:
    recipe = read_recipe(file)
    assert recipe.name == "-".join(file.stem.split("-")[:2])
    assert any(stage.distils for stage in recipe.stages)


def test_digest_changes_with_any_value() -> None:
    one = recipe_from({"name": "a", "stages": [STAGE]})
    same = recipe_from({"name": "a", "stages": [dict(STAGE)]})
    other = recipe_from({"name": "a", "stages": [{**STAGE, "learning_rate": 2e-3}]})
    assert one.digest == same.digest
    assert one.digest != other.digest


def test_texts_do_not_change_the_digest() -> None:
    one = recipe_from({"name": "a", "stages": [STAGE]})
    retold = recipe_from({"name": "b", "data": "ours", "terms": "free", "stages": [STAGE]})
    assert one.digest == retold.digest


def test_the_draft_card_holds_what_the_recipe_says() -> None:
    card = recipe_from(
        {"name": "Ada 1.0", "input_size": 96, "dim": 32, "mirror": False, "terms": "Free.", "stages": [STAGE]}
    ).draft_card()
    assert (card.name, card.input_shape, card.dim, card.mirror) == ("Ada 1.0", (96, 96, 3), 32, False)
    assert (card.terms, card.training["steps"], card.training["stages"]) == ("Free.", 10, ["siamese"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": []}, "at least one stage"),
        ({"stages": [{**STAGE, "losses": {"magic": 1}}]}, "one or more losses of"),
        ({"stages": [{**STAGE, "losses": {}}]}, r"got \[\]"),
        ({"stages": [{**STAGE, "people": 0}]}, "learns from pairs"),
        ({"stages": [{**STAGE, "steps": 0}]}, "must be positive"),
        ({"stages": [{**STAGE, "stepz": 3}]}, "does not belong"),
        ({"stages": [{**STAGE, "augmentation": {"scale": [3, 1]}}]}, "scale from 0.5 to 2"),
        (
            {"stages": [{**STAGE, "augmentation": {"scale": [1.0]}}]},
            "expected scale to be a list of 2 finite numbers",
        ),
        ({"stages": [{**STAGE, "augmentation": {"flip": "no"}}]}, "expected flip to be true or false, got 'no'"),
        ({"stages": [{**STAGE, "augmentation": {"light": -0.3}}]}, "light, grey and occlusion from 0 to 1"),
        ({"stages": [{**STAGE, "steps": 10.5}]}, "Stage 'siamese': expected steps to be a whole number, got 10.5"),
        ({"stages": [{**STAGE, "people": True}]}, "expected people to be a whole number, got True"),
        (
            {"stages": [{**STAGE, "input_size": 100.5}]},
            "expected input_size to be a whole number or nothing, got 100.5",
        ),
        (
            {"stages": [{**STAGE, "losses": {"triplet": "a"}}]},
            "expected losses.* to be a finite number, got 'a'",
        ),
        (
            {"stages": [{**STAGE, "losses": ["triplet"]}]},
            "expected losses to be an object of finite numbers",
        ),
        ({"stages": [{**STAGE, "losses": {"triplet": -1.0}}]}, "weights of losses above 0"),
        ({"stages": [{**STAGE, "learning_rate": math.inf}]}, "expected learning_rate to be a finite number, got inf"),
        ({"stages": [{**STAGE, "weight_decay": -1}]}, "weight_decay of 0 or more"),
        ({"stages": [{**STAGE, "warmup": -1}]}, "warmup from 0"),
        ({"stages": [{**STAGE, "warmup": 10}]}, "warmup from 0 to below the stage's 10 steps"),
        ({"stages": [{**STAGE, "varied_targets": True}]}, "no distillation loss to use them"),
        ({"held_out_by": "luck", "stages": [STAGE]}, "expected held_out_by to be one of .*, got 'luck'"),
        ({"seed": -1, "stages": [STAGE]}, "seed from 0 to 4294967295"),
        ({"seed": "x", "stages": [STAGE]}, "expected seed to be a whole number, got 'x'"),
        ({"stages": ["siamese"]}, "does not belong"),
        ({"stages": [STAGE], "teacher": 5}, "does not belong"),
        (
            {"stages": [STAGE], "teacher": {"mean": [0.5]}},
            "expected mean to be a list of 3 finite numbers",
        ),
        ({"stages": [STAGE], "teacher": {"std": [0.2, 0.2, 0]}}, "three above 0"),
        (
            {"stages": [STAGE], "teacher": {"mean": ["a", "b", "c"]}},
            r"expected mean\[0\] to be a finite number",
        ),
        ({"stages": [{**STAGE, "mixed": 0.5}]}, "mixes photos, which then show nobody"),
        ({"stages": [{**STAGE, "mixed": 1.5}]}, "mixed from 0 to 1"),
        ({"stages": [{**STAGE, "composed": 0.5}]}, "mixes photos, which then show nobody"),
        ({"stages": [{**STAGE, "composed": -0.1}]}, "composed from 0 to 1"),
        (
            {"stages": [{**STAGE, "losses": {"distillation": 1}, "augmentation": {"bend": 0.03}}]},
            "its teacher must see them so",
        ),
        ({"stages": [{**STAGE, "frozen": 95}]}, "frozen from 0 to 94, got 95"),
        ({"input_size": 50, "stages": [STAGE]}, "input_size"),
        ({"initial_share": 1.0, "stages": [STAGE]}, "initial_share from 0 to below 1"),
        ({"precision": "float8", "stages": [STAGE]}, "precision"),
        ({"folders": {"a": 0.0}, "stages": [STAGE]}, "weights of folders above 0"),
        ({"folders": {"a": "twice"}, "stages": [STAGE]}, r"expected folders\['a'\] to be a finite number, got 'twice'"),
        ({"stages": [STAGE], "teacher": {"precision": "int8"}}, "expected precision to be one of .*, got 'int8'"),
        ({"name": "Zoë", "stages": [STAGE]}, "a name that is out of range: 'Zoë'"),
        ({"name": "", "stages": [STAGE]}, "a name that is out of range"),
        ({"dim": 5_000, "stages": [STAGE]}, "a dim that is out of range"),
        ({"terms": 3, "stages": [STAGE]}, "expected terms to be a text, got 3"),
        ({"stages": [STAGE, STAGE]}, "stages of different names"),
        ({"colour": "blue", "stages": [STAGE]}, "does not belong"),
    ],
)
def test_wrong_recipes_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recipe_from({"name": "a", **change})


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("name = = 3")
    with pytest.raises(UsageError, match=r"Cannot read the recipe recipe\.toml"):
        read_recipe(file)


def test_weights_of_folders_are_part_of_what_a_checkpoint_knows() -> None:
    weighed = recipe_from({"name": "a", "stages": [STAGE], "folders": {"faces": 0.5}})
    assert weighed.folders == {"faces": 0.5}
    assert weighed.digest != recipe_from({"name": "a", "stages": [STAGE]}).digest

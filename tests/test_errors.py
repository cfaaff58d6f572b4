"""The tree of errors: codes, exit statuses, and copies made by pickling, as processes send them to each other."""

import pickle

import pytest

from twindex.errors import CodedError, TwindexError


def family(base: type[TwindexError]) -> list[type[TwindexError]]:
    """An error and all that derive from it within the package."""
    found = {base: None}
    for child in base.__subclasses__():
        found.update(dict.fromkeys(family(child)))
    return [error for error in found if error.__module__ == "twindex.errors"]


CODED = [error for error in family(CodedError) if error is not CodedError]
PLAIN = [error for error in family(TwindexError) if not issubclass(error, CodedError)]


@pytest.mark.parametrize(("kind", "reason"), [(kind, reason) for kind in CODED for reason in kind.reasons])
def test_an_error_with_a_reason_survives_pickling(kind: type[CodedError], reason: str) -> None:
    error = kind(reason, "What happened.")
    error.add_note("Seen by a worker.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.code, copy.exit_code) == ("What happened.", reason, error.exit_code)
    assert copy.__notes__ == ["Seen by a worker."]


@pytest.mark.parametrize("kind", PLAIN)
def test_any_other_error_survives_pickling(kind: type[TwindexError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("What happened.")))
    assert type(copy) is kind
    assert (str(copy), copy.code, copy.exit_code) == ("What happened.", kind.code, kind.exit_code)


def test_every_error_has_its_code_and_exit_status() -> None:
    assert {kind.__name__: kind.exit_code for kind in CODED} == {
        "PhotoError": 3,
        "ForeignFileError": 6,
        "ArchiveError": 6,
    }
    assert {kind.__name__: (kind.code, kind.exit_code) for kind in PLAIN}.items() >= {
        "UsageError": ("usage", 2),
        "EncryptionKeyError": ("key", 2),
        "ModelMismatchError": ("model_mismatch", 5),
        "IntegrityError": ("integrity", 6),
        "ForeignDatabaseError": ("integrity", 6),
        "BundleError": ("bundle", 6),
    }.items()


@pytest.mark.parametrize("kind", CODED)
def test_an_unknown_reason_is_a_mistake_in_the_program(kind: type[CodedError]) -> None:
    with pytest.raises(ValueError, match=f"Unknown reason 'other' of a {kind.__name__}; expected one of"):
        kind("other", "What happened.")

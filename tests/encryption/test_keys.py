"""Where a key is read from, what is refused, and what is derived from it."""

from pathlib import Path

import pytest

from twindex.encryption.keys import GalleryKey, environment_key, is_encrypted, matching_keys, new_keys, read_key_file
from twindex.errors import EncryptionKeyError

RANDOM = b"0123456789abcdefABCDEF0123456789" * 2
DATABASE = Path("gallery.sqlite")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "gallery.key"
    path.touch(mode=0o600)
    return path


@pytest.fixture(autouse=True)
def _no_key_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWINDEX_KEY", raising=False)
    monkeypatch.delenv("TWINDEX_KEY_FILE", raising=False)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_the_newline_that_ends_a_key_file_does_not_count(key_file: Path, ending: bytes) -> None:
    key_file.write_bytes(RANDOM + ending)
    assert read_key_file(key_file).secret == RANDOM


def test_only_one_newline_is_removed(key_file: Path) -> None:
    key_file.write_bytes(b" a passphrase with a newline \n\n")
    assert read_key_file(key_file).secret == b" a passphrase with a newline \n"


@pytest.mark.parametrize(
    ("content", "got"), [(b"", 0), (b"\n", 0), (b"fifteen letters\n", 15), (b"x" * 4097, 4097), (b"x" * 9000, 4099)]
)
def test_a_key_of_the_wrong_length_is_refused(key_file: Path, content: bytes, got: int) -> None:
    key_file.write_bytes(content)
    with pytest.raises(EncryptionKeyError, match=rf"has {got} bytes, expected 16 to 4096; `openssl rand -hex 32`"):
        read_key_file(key_file)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o644, 0o777])
def test_a_key_file_open_to_others_is_refused(key_file: Path, mode: int) -> None:
    key_file.write_bytes(RANDOM)
    key_file.chmod(mode)
    with pytest.raises(
        EncryptionKeyError, match=rf"others may read or change the file \(permissions {mode:o}\); run `chmod 600`"
    ):
        read_key_file(key_file)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_group_may_read_a_key_file(key_file: Path, mode: int) -> None:
    key_file.write_bytes(RANDOM)
    key_file.chmod(mode)
    assert read_key_file(key_file).secret == RANDOM


def test_an_unusable_key_file_is_named_by_its_exact_path(tmp_path: Path) -> None:
    with pytest.raises(EncryptionKeyError, match=r"cannot be read from the key file '.*/NoSuch\.Key': No such file"):
        read_key_file(tmp_path / "NoSuch.Key")
    with pytest.raises(EncryptionKeyError, match=r"cannot be read from .*: Is a directory"):
        read_key_file(tmp_path)


def test_the_environment_gives_a_key_or_names_its_file(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_key() is None
    key_file.write_bytes(RANDOM)
    monkeypatch.setenv("TWINDEX_KEY_FILE", str(key_file))
    assert environment_key() == GalleryKey(RANDOM, f"the key file {str(key_file)!r}")
    monkeypatch.setenv("TWINDEX_KEY", "correct horse battery staple")
    with pytest.raises(EncryptionKeyError, match="TWINDEX_KEY and TWINDEX_KEY_FILE are both set; unset one"):
        environment_key()
    monkeypatch.delenv("TWINDEX_KEY_FILE")
    assert environment_key() == GalleryKey(b"correct horse battery staple", "TWINDEX_KEY")


def test_an_empty_variable_is_an_error_not_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINDEX_KEY", "")
    with pytest.raises(EncryptionKeyError, match="The key from TWINDEX_KEY has 0 bytes"):
        environment_key()


@pytest.mark.encryption
@pytest.mark.parametrize("secret", [RANDOM, b"correct horse battery staple", "Schlüsselwörter".encode("latin-1") * 2])
def test_only_the_right_key_opens_a_database(secret: bytes) -> None:
    key = GalleryKey(secret, "here")
    made = new_keys(key)
    assert is_encrypted(made.header)
    assert matching_keys(DATABASE, made.header, key) == made
    with pytest.raises(EncryptionKeyError, match="The key from there is not what the gallery's database"):
        matching_keys(DATABASE, made.header, GalleryKey(secret + b"!", "there"))


@pytest.mark.encryption
def test_two_galleries_with_the_same_key_are_encrypted_differently() -> None:
    key = GalleryKey(RANDOM, "here")
    first, second = new_keys(key), new_keys(key)
    assert len({first.header, second.header, first.database, second.database, first.files, second.files}) == 6


@pytest.mark.encryption
def test_a_superfluous_key_and_a_missing_key_are_refused() -> None:
    key = GalleryKey(RANDOM, "here")
    assert matching_keys(DATABASE, None, None) is None
    with pytest.raises(EncryptionKeyError, match=r"is not encrypted, but there is a key from here.*`twindex rekey`"):
        matching_keys(DATABASE, None, key)
    with pytest.raises(EncryptionKeyError, match=r"is encrypted: give its key in TWINDEX_KEY.*--key-file"):
        matching_keys(DATABASE, new_keys(key).header, None)


@pytest.mark.encryption
def test_derived_keys_never_change() -> None:
    """Galleries from earlier releases must open: these values were written down once, not computed here."""
    salt = bytes(range(8))
    random = matching_keys(DATABASE, b"TWE\x01" + salt + bytes.fromhex("6aace022"), GalleryKey(RANDOM, "here"))
    assert random is not None
    assert random.database.hex() == "c9eb61b44741eccd71d9de7998a1b93a5b17fa2880feac72191db320eaee27af"
    assert random.files.hex() == "029e4255d5a21b798bb871ad9ddcf2f0187d86f091d2b150ec3bb3e2797a6db2"
    phrase = GalleryKey(b"correct horse battery staple", "here")
    words = matching_keys(DATABASE, b"TWE\x01" + salt + bytes.fromhex("6a403ba4"), phrase)
    assert words is not None
    assert words.database.hex() == "35ecbf825e1410c809ec8a9134696ee09da23b2661d282285b321ee4817ca863"


@pytest.mark.encryption
def test_a_key_is_not_printed() -> None:
    key = GalleryKey(b"correct horse battery staple", "here")
    assert "horse" not in repr(key)
    made = new_keys(key)
    assert "database=" not in repr(made)
    assert "files=" not in repr(made)

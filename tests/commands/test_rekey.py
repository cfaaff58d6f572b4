"""Keys on the command line, from a file or the environment, and the messages that refuse them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from tests.storage.builders import enrol, remnants, unit_vector
from twindex.config import DATABASE
from twindex.storage import Store

pytestmark = pytest.mark.encryption

KEY = "5e" * 32


@pytest.fixture(autouse=True)
def _no_key_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWINDEX_KEY", raising=False)
    monkeypatch.delenv("TWINDEX_KEY_FILE", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "gallery"
    path.mkdir()
    with Store.create(path / DATABASE) as store:
        enrol(store, 1, "ada")
    return path


def key_file(folder: Path, name: str, key: str) -> Path:
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(f"{key}\n", "ascii")
    return path


def test_a_gallery_is_encrypted_given_another_key_and_decrypted(run: Run, folder: Path, tmp_path: Path) -> None:
    one, two = key_file(tmp_path, "one.key", KEY), key_file(tmp_path, "two.key", "correct horse battery staple")
    first = run("--gallery", folder, "--json", "rekey", "--new-key-file", one)
    assert first.json == {
        "encrypted": True,
        "was_encrypted": False,
        "key_source": f"the key file {str(one)!r}",
        "snapshots_removed": 0,
        "foreign_files": [],
    }
    assert remnants(folder, unit_vector(1).tobytes()) == []
    assert run("--gallery", folder, "--key-file", one, "--json", "subjects", "list").json == [
        {"subject": "ada", "references": 1}
    ]
    second = run("--gallery", folder, "--key-file", one, "rekey", "--new-key-file", two)
    assert second.out == f"The gallery is encrypted with the key from the key file {str(two)!r}.\n"
    wrong = run("--gallery", folder, "--key-file", one, "--json", "subjects", "list")
    assert wrong.status == 2
    assert wrong.json["error"]["code"] == "key"
    assert "is not what the gallery's database" in wrong.err
    assert "TWINDEX_KEY_FILE" not in os.environ
    assert run("--gallery", folder, "rekey", "--key-file", two, "--remove-key").out == (
        "The gallery is no longer encrypted.\n"
    )
    assert run("--gallery", folder, "subjects", "list").status == 0


def test_files_that_the_key_does_not_protect_are_named(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "old.sqlite").write_bytes((folder / DATABASE).read_bytes())
    one = key_file(tmp_path, "one.key", KEY)
    done = run("--gallery", folder, "--json", "rekey", "--new-key-file", one)
    assert done.json["foreign_files"] == ["old.sqlite"]
    assert "still readable to anyone who can read the folder: old.sqlite" in done.err
    findings = run("--gallery", folder, "--key-file", one, "--json", "doctor").json
    (finding,) = (each for each in findings if each["code"] == "foreign_files")
    assert finding["severity"] == "warning"
    assert "old.sqlite. They are not encrypted." in finding["message"]


def test_a_file_with_another_name_is_not_overwritten(run: Run, folder: Path, tmp_path: Path) -> None:
    key, backup, elsewhere = key_file(tmp_path, "one.key", KEY), tmp_path / "backup", tmp_path / "elsewhere"
    elsewhere.write_text("precious", "ascii")
    (folder / "index").mkdir()
    (folder / "index" / "link").symlink_to(elsewhere)
    for name in (DATABASE, "index/snapshot"):
        (folder / name).touch()
        backup.hardlink_to(folder / name)
        before = backup.read_bytes()
        refused = run("--gallery", folder, "rekey", "--new-key-file", key)
        assert (refused.status, "has a second name" in refused.err) == (2, True)
        assert backup.read_bytes() == before
        backup.unlink()
    backup.hardlink_to(folder / DATABASE)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / DATABASE).symlink_to(folder / DATABASE)
    assert run("--gallery", tmp_path / "linked", "rekey", "--new-key-file", key).status == 2
    backup.unlink()
    assert run("--gallery", folder, "rekey", "--new-key-file", key).status == 0
    assert elsewhere.read_text("ascii") == "precious"
    assert list((folder / "index").iterdir()) == []


def test_the_option_takes_precedence_over_the_environment(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINDEX_KEY", KEY)
    refused = run("--gallery", folder, "subjects", "list")
    assert refused.status == 2
    assert "is not encrypted, but there is a key from TWINDEX_KEY" in refused.err
    # `rekey` encrypts a plain gallery with the key from the environment.
    assert run("--gallery", folder, "rekey").out == "The gallery is encrypted with the key from TWINDEX_KEY.\n"
    assert run("--gallery", folder, "subjects", "list").status == 0
    # The option takes precedence over the environment.
    other = key_file(tmp_path, "other.key", "another passphrase")
    assert run("--gallery", folder, "subjects", "list", "--key-file", other).status == 2
    assert os.environ["TWINDEX_KEY"] == KEY
    monkeypatch.delenv("TWINDEX_KEY")
    missing = run("--gallery", folder, "--json", "subjects", "list")
    assert (missing.status, missing.json["error"]["code"]) == (2, "key")
    assert "is encrypted: give its key in TWINDEX_KEY" in missing.err


def test_a_key_file_that_others_may_read_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    path = key_file(tmp_path, "open.key", KEY)
    path.chmod(0o644)
    refused = run("--gallery", folder, "subjects", "list", "--key-file", path)
    assert refused.status == 2
    assert "(permissions 644)" in refused.err
    assert refused.err.count("\n") == 1


def test_without_a_key_no_encryption_library_is_loaded(folder: Path) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print({'sqlcipher3', 'cryptography'} & set(sys.modules), file=sys.__stderr__))\n"
        "from twindex.cli import main\n"
        f"main(['--gallery', {str(folder)!r}, 'subjects', 'list'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "ada" in done.stdout
    assert done.stderr == "set()\n"


def test_an_encrypted_gallery_travels_encrypted(run: Run, folder: Path, tmp_path: Path) -> None:
    one, two = key_file(tmp_path, "one.key", KEY), key_file(tmp_path, "two.key", "correct horse battery staple")
    run("--gallery", folder, "rekey", "--new-key-file", one)
    archive = tmp_path / "out" / "backup"
    archive.parent.mkdir()
    assert run("--gallery", folder, "--key-file", one, "export", archive).status == 0
    assert remnants(archive.parent, unit_vector(1).tobytes()) == []
    for key in ((), ("--key-file", two)):
        refused = run("--gallery", tmp_path / "new", *key, "--json", "import", "--without-model", archive)
        assert (refused.status, refused.json["error"]["code"]) == (2, "key")
        assert not (tmp_path / "new").exists()
    assert run("--gallery", tmp_path / "new", "--key-file", one, "import", "--without-model", archive).status == 0
    listed = run("--gallery", tmp_path / "new", "--key-file", one, "--json", "subjects", "list").json
    assert listed == [{"subject": "ada", "references": 1}]
    assert remnants(tmp_path / "new", unit_vector(1).tobytes()) == []

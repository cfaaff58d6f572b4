"""What only real processes show: kills, queries beside a re-index, pipes, and what gets imported."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from twindex.jobs.enroll import BATCH

pytestmark = pytest.mark.slow

PROGRAM = (sys.executable, "-m", "twindex")
PHOTOS = 60


def twindex(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


@pytest.fixture(scope="module")
def many(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's people in different light: several batches, so that a job can be stopped between two of them."""
    root = tmp_path_factory.mktemp("many")
    for photo in sorted((people / "enrolled").rglob("*.jpg"))[: PHOTOS // 4]:
        for number, light in enumerate((0.9, 1.0, 1.1, 1.2)):
            file = root / photo.parent.name / f"{photo.stem}-{number}.jpg"
            file.parent.mkdir(exist_ok=True)
            with Image.open(photo) as opened:
                ImageEnhance.Brightness(opened.convert("RGB")).enhance(light).save(file, quality=90)
    return root


def committed(gallery: Path) -> int:
    database = gallery / "gallery.sqlite"
    if not database.exists():
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as opened:
        try:
            return int(opened.execute('SELECT count(*) FROM "references"').fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def wait_for(gallery: Path, least: int, process: subprocess.Popen) -> int:
    end = time.monotonic() + 120
    while committed(gallery) < least:
        assert process.poll() is None, "the job ended before it could be stopped"
        assert time.monotonic() < end, "the job did not start"
        time.sleep(0.005)
    return committed(gallery)


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was(many: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    command = [*PROGRAM, "--gallery", gallery, "enroll", many]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    kept = wait_for(gallery, BATCH, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert BATCH <= kept < PHOTOS
    again = json.loads(twindex("--gallery", gallery, "--json", "enroll", many).stdout)
    total = json.loads(twindex("--gallery", gallery, "--json", "subjects", "list").stdout)
    assert sum(one["references"] for one in total) == PHOTOS
    assert again["failed"] == 0
    assert again["enrolled"] <= PHOTOS - kept
    assert again["enrolled"] + again["skipped"] == len(again["items"]) == PHOTOS
    assert committed(gallery) == PHOTOS
    assert twindex("--gallery", gallery, "doctor").returncode == 0


@pytest.mark.slow
def test_a_polite_stop_is_resumable(many: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    process = subprocess.Popen(
        [*PROGRAM, "--gallery", gallery, "enroll", many], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(gallery, BATCH, process)
    process.send_signal(signal.SIGTERM)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in talk
    jobs = json.loads(twindex("--gallery", gallery, "--json", "jobs", "list").stdout)
    assert jobs[0]["state"] == "interrupted"
    resumed = twindex("--gallery", gallery, "--json", "jobs", "resume", jobs[0]["job"])
    assert resumed.returncode == 0
    assert committed(gallery) == PHOTOS


@pytest.mark.slow
def test_queries_are_answered_all_through_a_reindex(gallery: Path, people: Path, rotated_model: Path) -> None:
    probe = sorted((people / "probes").rglob("*.jpg"))[0]
    command = [*PROGRAM, "--gallery", gallery, "reindex", "--model", rotated_model]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answers = []
    while process.poll() is None or not answers:
        result = twindex("--gallery", gallery, "--json", "query", probe)
        answers.append(json.loads(result.stdout))
    assert process.wait() == 0
    answers.append(json.loads(twindex("--gallery", gallery, "--json", "query", probe).stdout))
    assert all(answer["error"] is None for answer in answers)
    first = answers[0]["faces"][0]["candidates"][0]["subject"]
    assert {answer["faces"][0]["candidates"][0]["subject"] for answer in answers} == {first}
    models = [answer["model"] for answer in answers]
    assert models == sorted(models, key=lambda model: model == models[-1])  # old, then new, never back
    assert models[-1] == json.loads(twindex("--gallery", gallery, "--json", "reindex", "--prune").stdout)["model"]


HEAVY = ("tensorflow", "keras", "h5py", "matplotlib", "scipy", "openvino", "faiss", "sqlalchemy", "numpy")


def imported(*arguments: object, among: tuple[str, ...] = HEAVY) -> set[str]:
    code = (
        "import sys, atexit, json\n"
        f"atexit.register(lambda: print(json.dumps([n for n in {among!r} if n in sys.modules]), file=sys.__stderr__))\n"
        "from twindex.cli import main\n"
        f"main({[str(argument) for argument in arguments]!r})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return set(json.loads(result.stderr.strip().splitlines()[-1]))


def test_help_imports_none_of_the_heavy_packages() -> None:
    assert imported("--help") == set()
    assert imported("query", "--help") == set()


def test_subjects_and_jobs_import_only_the_database(enrolled: Path) -> None:
    assert imported("--gallery", enrolled, "subjects", "list") == {"sqlalchemy"}
    assert imported("--gallery", enrolled, "jobs", "list") == {"sqlalchemy"}


def test_erasing_loads_no_network_and_no_index(gallery: Path) -> None:
    assert imported("--gallery", gallery, "subjects", "purge", "--dry-run") == {"sqlalchemy", "numpy"}
    listed = json.loads(twindex("--gallery", gallery, "--json", "subjects", "list").stdout)
    assert imported("--gallery", gallery, "subjects", "erase", listed[0]["subject"]) == {"sqlalchemy", "numpy"}


def test_query_and_enrol_import_no_tensorflow(gallery: Path, people: Path) -> None:
    probe = sorted((people / "probes").rglob("*.jpg"))[0]
    needed = {"openvino", "faiss", "sqlalchemy", "numpy"}
    assert imported("--gallery", gallery, "query", probe) == needed
    assert imported("--gallery", gallery, "enroll", probe, "--subject", "new") == needed - {"faiss"}


def test_names_that_the_output_has_no_letters_for_are_told_as_escapes(gallery: Path) -> None:
    assert twindex("--gallery", gallery, "subjects", "rename", "jürgen", "\u6771").returncode == 0
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    listed = twindex("--gallery", gallery, "subjects", "list", env=environment, encoding="cp1252")
    assert (listed.returncode, "\\u6771" in listed.stdout, "zoë" in listed.stdout) == (0, True, True)


def test_without_a_standard_error_the_work_is_done(people: Path, tmp_path: Path) -> None:
    photo = people / "enrolled" / "ada" / "1.jpg"
    command = f"{sys.executable} -m twindex --gallery {tmp_path / 'gallery'} enroll {photo} --subject ada 2>&-"
    result = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (result.returncode, "enrolled 1" in result.stdout) == (0, True)


def test_output_into_a_closed_pipe_is_no_traceback(enrolled: Path) -> None:
    command = f"{sys.executable} -m twindex --gallery {enrolled} subjects list | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout.startswith("subject")
    assert "Traceback" not in result.stderr


def test_names_survive_a_terminal_without_unicode(enrolled: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = twindex("--gallery", enrolled, "subjects", "list", env=environment)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_complete(shell: str) -> None:
    assert "_TWINDEX_COMPLETE" in twindex("completion", shell).stdout
    asked = {**os.environ, "_TWINDEX_COMPLETE": f"{shell}_complete", "COMP_WORDS": "twindex sub", "COMP_CWORD": "1"}
    if shell == "fish":
        asked |= {"COMP_WORDS": "twindex", "COMP_CWORD": "sub"}
    assert "subjects" in twindex(env=asked).stdout


def test_a_command_without_its_subcommand_shows_its_help() -> None:
    result = twindex("subjects")
    assert result.returncode == 2
    assert "Usage: twindex subjects" in result.stderr
    assert len(result.stderr.splitlines()) > 5


def test_every_command_has_help_with_an_example_or_a_text() -> None:
    listed = twindex("--help").stdout.split("Commands:")[1].split()
    names = [name for name in listed if name in {"enroll", "query", "verify", "reindex", "jobs", "subjects", "train"}]
    assert len(set(names)) == 7
    for name in sorted(set(names)):
        assert "Example" in twindex(name, "--help").stdout, name


@pytest.mark.parametrize(
    "arguments", [("subjects", "list"), ("--json", "doctor"), ("--json", "subjects", "show", "nobody")]
)
def test_a_full_output_is_one_line_and_no_answer(enrolled: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "twindex", "--gallery", str(enrolled), *arguments]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("twindex: ")
    assert "No space left on device" in line


def test_an_error_into_a_closed_pipe_is_no_traceback(enrolled: Path) -> None:
    command = f"{sys.executable} -m twindex --gallery {enrolled} --json subjects show nobody | true; "
    command += "echo ${PIPESTATUS[0]}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout.split() in (["141"], ["2"])  # whichever ends first
    assert "Traceback" not in result.stderr


def test_talk_that_nobody_hears_changes_no_status(enrolled: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "twindex", "--gallery", str(enrolled), "subjects", "show", "nobody"]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")


def test_what_is_logged_does_nothing_to_a_terminal(tmp_path: Path, people: Path) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "\x1b[31mLinked").symlink_to(people / "enrolled")
    result = twindex("--gallery", tmp_path / "g", "enroll", folder)
    assert result.returncode == 2
    assert "\\x1b[31mLinked is left out" in result.stderr
    assert "\x1b" not in result.stderr

"""Every promise with its guard in the code, and the test that fails when the guard is removed.

python -m tests.faults.guards            removes each guard in turn from a copy of the package and runs its test
python -m tests.faults.guards --table    prints the table of docs/guarantees.md
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Guard:
    """A place in the code that keeps a promise.

    Attributes:
        promise: I1 to I8, or a promise by name.
        what: What it does.
        file: Below `twindex/`.
        where: The function or class.
        old: Its text there, which occurs once.
        new: What the code is without it.
        test: The test that fails then, below `tests/`.
    """

    promise: str
    what: str
    file: str
    where: str
    old: str
    new: str
    test: str


_KILLS = "faults/test_kills.py::test_whatever_is_killed_nothing_acknowledged_is_lost"
_SNAPSHOTS = "faults/test_mutations.py::test_every_damaged_snapshot_is_refused_and_changes_no_answer"
_FLAT = "gallery/test_gallery_model.py::TestFlat"

GUARDS = (
    Guard(
        "I1",
        "a write transaction holds the lock from its start",
        "storage/sqlite/database.py",
        "Database",
        'begin_statement="BEGIN IMMEDIATE"',
        'begin_statement="BEGIN"',
        "storage/sqlite/test_concurrency.py::test_two_processes_lose_nothing",
    ),
    Guard(
        "I1",
        "a commit waits for the disk",
        "storage/sqlite/database.py",
        "Database._connect",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        "storage/test_store.py::test_every_connection_is_set_up_for_safety",
    ),
    Guard(
        "I1",
        "a write-ahead log only where SQLite's reset bug is mended",
        "storage/sqlite/journal.py",
        "journal_mode",
        'return "wal" if mended else "truncate"',
        'return "wal"',
        "storage/sqlite/test_journal.py::test_a_write_ahead_log_only_where_its_bug_is_mended",
    ),
    Guard(
        "I1",
        "an open index replays what was enrolled since",
        "gallery/search/searchable.py",
        "SearchableGeneration.refresh",
        "        self._add_absent(enrolled)\n",
        "",
        _FLAT,
    ),
    Guard(
        "I2",
        "a snapshot that is gone or refused is rebuilt from the database",
        "gallery/search/searchable.py",
        "SearchableGeneration._from_snapshot",
        "except IntegrityError as error:",
        "except ZeroDivisionError as error:",
        _SNAPSHOTS,
    ),
    Guard(
        "I3",
        "a snapshot's length is compared",
        "index/snapshot.py",
        "_recorded_bytes",
        "    if length != expected.length:",
        "    if False:",
        "index/test_snapshot.py::test_a_changed_file_is_refused",
    ),
    Guard(
        "I3",
        "a snapshot's SHA-256 is compared",
        "index/snapshot.py",
        "_recorded_bytes",
        "    if found != expected.sha256:",
        "    if False:",
        _SNAPSHOTS,
    ),
    Guard(
        "I3",
        "a snapshot's gallery, generation, model, dimension, revision and count are compared",
        "index/snapshot.py",
        "_opened",
        "    if found != wanted:",
        "    if False:",
        _SNAPSHOTS,
    ),
    Guard(
        "I3",
        "the metric of a snapshot's structure is compared",
        "index/structure.py",
        "describe",
        "int(part.metric_type)",
        "int(faiss.METRIC_L2)",
        "index/test_serialization.py::test_another_structure_is_refused",
    ),
    Guard(
        "I3",
        "an index is in its file, synced, before the file has its name",
        "files/durable.py",
        "replace",
        "    _synchronise(finished)\n",
        "",
        "files/test_durable.py::test_content_is_on_disk_before_the_name_and_the_name_before_returning",
    ),
    Guard(
        "I3",
        "a snapshot is written beside its name, then renamed",
        "files/durable.py",
        "write_file",
        '    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")\n',
        "    temporary = path\n    path.unlink(missing_ok=True)\n",
        "files/test_durable.py::test_a_kill_before_the_rename_leaves_the_old_file_and_no_obstacle",
    ),
    Guard(
        "I3",
        "no process replaces the file that another one records",
        "gallery/search/searchable.py",
        "SearchableGeneration._write_snapshot",
        "-{secrets.token_hex(4)}.twdx",
        ".twdx",
        "gallery/search/test_searchable.py::test_two_that_compact_one_revision_at_once_leave_a_sound_snapshot",
    ),
    Guard(
        "I3",
        "a snapshot that was removed before it is listed is not listed",
        "storage/rows/generations.py",
        "Generations.record_snapshot",
        "if not (folder / snapshot.file).exists():",
        "if False:",
        "storage/rows/test_generations.py::test_a_snapshot_whose_file_was_removed_meanwhile_is_not_listed",
    ),
    Guard(
        "I3",
        "what cleans up after an erasure spares what another process lists",
        "storage/rows/generations.py",
        "Generations.remove_unlisted",
        "if path.name in listed:",
        "if False:",
        "gallery/test_erasing.py::test_a_snapshot_that_another_process_lists_meanwhile_stays",
    ),
    Guard(
        "I4",
        "templates of a model that does not answer are refused",
        "storage/rows/references.py",
        "References.enroll_many",
        "            refuse_stale_model(connection, fingerprint)\n",
        "",
        "storage/rows/test_generations.py::test_a_model_that_does_not_answer_enrols_nobody",
    ),
    Guard(
        "I4",
        "a model answers only when no reference lacks its template",
        "storage/rows/generations.py",
        "Generations.activate",
        "if not every_reference_has(connection, generation.fingerprint):",
        "if False:",
        "storage/rows/test_generations.py::test_a_generation_whose_model_lacks_a_template_does_not_become_active",
    ),
    Guard(
        "I4",
        "a template's hash binds it to its model",
        "storage/values/template_format.py",
        "template_sha256",
        '    digest.update(fingerprint.encode("ascii"))\n',
        "",
        "storage/checks/test_inspection.py::test_rows_that_were_tampered_with_are_reported",
    ),
    Guard(
        "I4",
        "a threshold holds for the model that it was measured with",
        "gallery/threshold/current.py",
        "CurrentThreshold.value",
        "stored is None or stored.fingerprint != fingerprint",
        "stored is None",
        "gallery/threshold/test_operating_point.py::test_another_model_s_threshold_is_not_used",
    ),
    Guard(
        "I5",
        "a reference's id is never given again",
        "storage/schema/migrations.py",
        "_SCHEMA_1",
        '"references" (\n        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT',
        '"references" (\n        id INTEGER NOT NULL PRIMARY KEY',
        "storage/rows/test_subjects.py::test_ids_are_never_used_again",
    ),
    Guard(
        "I5",
        "an index with repeated or negative ids is refused",
        "index/faiss_index.py",
        "FaissIndex",
        "if (ids < 0).any() or (ids[1:] == ids[:-1]).any():",
        "if False:",
        "index/test_faiss_index.py::test_a_structure_with_repeated_ids_is_refused",
    ),
    Guard(
        "I5",
        "an id is added once",
        "index/arguments.py",
        "checked_new_ids",
        "    if repeated.size:",
        "    if False:",
        "index/test_arguments.py::test_add_refuses_and_adds_nothing",
    ),
    Guard(
        "I5",
        "an id that the index returns and the store does not hold is no candidate",
        "gallery/search/candidates.py",
        "_all_references",
        "near, vectors = store.references.vectors(fingerprint, candidates.tolist())",
        "near, (_, vectors) = np.sort(candidates), store.references.vectors(fingerprint, candidates.tolist())",
        "gallery/search/test_candidates.py::test_an_id_that_the_store_does_not_hold_is_no_candidate",
    ),
    Guard(
        "I5",
        "an id whose subject the store does not name, as when it has expired, is no candidate",
        "gallery/search/candidates.py",
        "_all_references",
        "[reference in owners for reference in near.tolist()]",
        "[True for _ in near.tolist()]",
        "gallery/test_erasing.py::test_an_expired_reference_answers_no_query",
    ),
    Guard(
        "I6",
        "deleted bytes are overwritten",
        "storage/sqlite/database.py",
        "Database._connect",
        "PRAGMA secure_delete = ON",
        "PRAGMA secure_delete = OFF",
        "storage/rows/test_subjects.py::test_erased_bytes_are_in_no_file",
    ),
    Guard(
        "I6",
        "an erasure forgets every snapshot in its transaction",
        "storage/rows/subjects.py",
        "_account",
        "    forget_all_snapshots(connection)\n",
        "",
        "storage/rows/test_generations.py::test_an_erasure_forgets_every_snapshot",
    ),
    Guard(
        "I6",
        "a snapshot that an erasure overtook is not listed",
        "storage/rows/generations.py",
        "Generations.record_snapshot",
        "if erased_since(connection, snapshot.revision):",
        "if False:",
        "storage/rows/test_generations.py::test_a_snapshot_overtaken_by_an_erasure_is_refused",
    ),
    Guard(
        "I6",
        "an erasure that was cut short is finished by writing the database anew",
        "gallery/erasing.py",
        "finish",
        'before = {"database"} if searched is None else searched',
        "before = set() if searched is None else searched",
        "gallery/test_erasing.py::test_one_cut_short_before_its_search_is_finished_by_writing_the_database_anew",
    ),
    Guard(
        "I6",
        "one that was cut short is pending while a file is there that nobody has searched",
        "gallery/file_roles.py",
        "may_be_foreign",
        "found is None or not",
        "found is not None and not",
        "gallery/test_erasing.py::test_one_cut_short_stays_pending_while_a_file_is_there_that_nobody_has_searched",
    ),
    Guard(
        "I6",
        "an erasure is pending while the journal holds bytes",
        "storage/sqlite/database.py",
        "Database.truncate_journal",
        "return bool(busy == 0)",
        "return True",
        "storage/sqlite/test_journal.py::test_erasing_is_pending_while_somebody_reads_the_log",
    ),
    Guard(
        "I6",
        "every file is searched for what was erased",
        "storage/checks/file_search.py",
        "search_files",
        "tuple(path for path, theirs in runs.items() if theirs & left)",
        "()",
        "storage/checks/test_file_search.py::test_without_secure_delete_the_bytes_are_found",
    ),
    Guard(
        "I6",
        "an erasure is pending while a file holds bytes of it",
        "gallery/erasing.py",
        "_recorded",
        'result="pending" if search.places else "erased",',
        'result="erased",',
        "gallery/test_erasing.py::test_a_strange_file_keeps_it_pending_until_it_is_gone",
    ),
    Guard(
        "I6",
        "an erasure removes the snapshots",
        "storage/rows/generations.py",
        "Generations.remove_unlisted",
        "                    path.unlink(missing_ok=True)",
        "                    pass",
        "gallery/test_erasing.py::test_nothing_of_the_erased_is_in_any_file",
    ),
    Guard(
        "I6",
        "what jobs say of the erased is blanked",
        "storage/rows/erasure.py",
        "erase_subject",
        "    blank_items(connection, name, references)\n",
        "",
        "storage/rows/test_subjects.py::test_erase_blanks_what_jobs_say",
    ),
    Guard(
        "I7",
        "a face that a subject holds is not enrolled again",
        "storage/rows/enrolment.py",
        "enroll",
        "    if not has_template(connection, fingerprint, reference):",
        "    if True:",
        "storage/rows/test_enrolment.py::test_enrolling_again_changes_nothing",
    ),
    Guard(
        "I7",
        "template and job item commit together",
        "storage/rows/enrolment.py",
        "enroll",
        "        _settle_item(connection, request.job_item, reference, status)",
        "        pass",
        _KILLS,
    ),
    Guard(
        "I7",
        "an item whose subject was erased enrols nobody",
        "storage/rows/enrolment.py",
        "enroll",
        'if item.status != "pending" or item.subject is None:',
        "if False:",
        "storage/rows/test_enrolment.py::test_an_item_whose_subject_was_erased_enrols_nothing",
    ),
    Guard(
        "I8",
        "what a killed writer left is undone on opening",
        "storage/sqlite/database.py",
        "Database._see_one_state",
        "            if not needs_recovery(error, primary_only=self.keys is not None):",
        "            if True:",
        "storage/sqlite/test_read_only.py::test_what_a_killed_writer_left_is_undone_on_opening",
    ),
    Guard(
        "I8",
        "temporary files have names of their own",
        "storage/creation.py",
        "create_database",
        '.{secrets.token_hex(8)}.new"',
        '.new"',
        "storage/test_store.py::test_leftovers_of_a_killed_creation_do_no_harm",
    ),
    Guard(
        "Damage is reported",
        "a template's hash is compared whenever it is read",
        "storage/values/template_format.py",
        "stacked_vectors",
        "        if not template_is_sound(reference, fingerprint, stored, sha256):",
        "        if False:",
        "storage/checks/test_inspection.py::test_a_bit_flip_in_a_template_is_reported",
    ),
    Guard(
        "Damage is reported",
        "a crop's hash is compared whenever it is read",
        "storage/values/template_format.py",
        "checked_crop",
        "    if not crop_is_sound(crop, sha256):",
        "    if False:",
        "storage/checks/test_inspection.py::test_a_bit_flip_in_a_crop_is_reported",
    ),
    Guard(
        "Damage is reported",
        "text that cannot be decoded is damage",
        "storage/sqlite/faults.py",
        "translated_faults",
        "(driver_error, UnicodeDecodeError)",
        "driver_error",
        "storage/checks/test_inspection.py::test_a_message_of_sqlite_that_cannot_be_read_is_damage",
    ),
    Guard(
        "Damage is reported",
        "another program's database is refused",
        "storage/sqlite/journal.py",
        "read_header",
        "    if application_id != APPLICATION_ID:",
        "    if False:",
        "storage/test_store.py::test_open_refuses_another_programs_database_and_leaves_it_alone",
    ),
    Guard(
        "Damage is reported",
        "a database that lacks tables is refused",
        "storage/store.py",
        "_refuse_missing_tables",
        "    if missing:",
        "    if False:",
        "storage/test_store.py::test_open_refuses_missing_tables",
    ),
    Guard(
        "Nobody below the threshold is a match",
        "the first candidate's probability is compared with the threshold",
        "scoring.py",
        "decide",
        "candidates[0].probability >= threshold",
        "candidates[0].probability >= 0",
        "test_scoring.py::test_a_match_is_at_least_as_probable_as_the_threshold",
    ),
    Guard(
        "A stop is resumable",
        "SIGTERM ends the program in order",
        "cli.py",
        "main",
        "        handle(signal.SIGTERM, _stop)\n",
        "",
        "faults/test_signals.py::test_a_polite_stop_keeps_everything_and_is_resumable",
    ),
    Guard(
        "A stop is resumable",
        "a signal waits for the end of a transaction",
        "storage/sqlite/database.py",
        "Database._transaction",
        "with uninterrupted(), translated_faults",
        "with translated_faults",
        "running/test_stopping.py::test_a_stop_in_the_middle_of_a_transaction_leaves_no_lock",
    ),
    Guard(
        "A full disk loses nothing",
        "a snapshot that cannot be written leaves no half of it",
        "files/durable.py",
        "write_file",
        "        temporary.unlink(missing_ok=True)\n        raise\n",
        "        raise\n",
        "files/test_durable.py::test_no_room_is_an_error_that_leaves_the_old_file",
    ),
)


def table() -> list[str]:
    """The rows of docs/guarantees.md."""
    rows = ["| promise | guard | in | test that fails without it |", "|---|---|---|---|"]
    for promise, guards in groupby(GUARDS, key=lambda guard: guard.promise):
        for place, guard in enumerate(guards):
            name = promise if place == 0 else ""
            rows.append(f"| {name} | {guard.what} | `{guard.file}`: `{guard.where}` | `tests/{guard.test}` |")
    return rows


def fails_without(guard: Guard) -> bool:
    """Whether the guard's test fails in a copy of the project that lacks the guard, having passed where it is there."""
    with tempfile.TemporaryDirectory() as made:
        copy = Path(made)
        shutil.copytree(
            REPOSITORY / "twindex", copy / "twindex", ignore=shutil.ignore_patterns("models", "__pycache__")
        )
        (copy / "twindex" / "models").symlink_to(REPOSITORY / "twindex" / "models")
        shutil.copytree(REPOSITORY / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPOSITORY / "pyproject.toml", copy)
        file = copy / "twindex" / guard.file
        text = file.read_text(encoding="utf-8")
        if text.count(guard.old) != 1:
            raise ValueError(f"{guard.file} holds {guard.old!r} {text.count(guard.old)} times, expected once.")
        file.write_text(text.replace(guard.old, guard.new), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/{guard.test}"]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        # 1: tests ran and failed; everything else says nothing about the guard.
        if run.returncode not in (0, 1):
            raise RuntimeError(f"{guard.test} did not run: {run.stdout}{run.stderr}")
        return run.returncode == 1


def main() -> int:
    if sys.argv[1:] == ["--table"]:
        print("\n".join(table()))
        return 0
    wanted = sys.argv[1:]
    missed = 0
    for guard in GUARDS:
        if wanted and guard.promise not in wanted:
            continue
        noticed = fails_without(guard)
        missed += not noticed
        print(f"{'noticed' if noticed else 'MISSED '} {guard.promise}: {guard.what}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

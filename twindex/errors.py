"""Every error that Twindex raises on purpose.

    TwindexError                 base; one line for people, a code for programs, an exit status
    ├── UsageError               the request cannot be carried out as given              exit 2
    │   ├── EncryptionKeyError   a gallery's key is missing, wrong, unusable or not due  exit 2
    │   └── MissingExtraError    an optional part is called but not installed            exit 2
    ├── PhotoError               the photo has no usable face; `code` says why           exit 3
    ├── ModelMismatchError       templates of two models would be compared               exit 5
    └── IntegrityError           stored bytes are not what was written                   exit 6
        ├── ForeignDatabaseError a SQLite database, but not a gallery                    exit 6
        ├── BundleError          a model bundle is damaged, incomplete or not a bundle   exit 6
        │   └── ForeignFileError a file offered as a model or weights that is neither    exit 6
        └── ArchiveError         a gallery archive is damaged, or not one; `code` says why  exit 6

A message says what happened, what was expected, what was got, and the remedy.
"""

from typing import Any, ClassVar


class TwindexError(Exception):
    """Base of all errors; carries a stable `code` and the process exit status."""

    code: str = "error"
    exit_code: ClassVar[int] = 2


class CodedError(TwindexError):
    """Base of the errors whose `code` says why.

    Args:
        code: One of `reasons`, stable, for reports and programs.
        message: One line for people.
    """

    reasons: ClassVar[tuple[str, ...]] = ()

    def __init__(self, code: str, message: str) -> None:
        if code not in self.reasons:
            raise ValueError(f"Unknown reason {code!r} of a {type(self).__name__}; expected one of {self.reasons}.")
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would call the class again with the message alone.
        return type(self), (self.code, *self.args), self.__dict__


class UsageError(TwindexError):
    """The request cannot be carried out as given: a wrong name, path, option or value."""

    code = "usage"
    exit_code = 2


class EncryptionKeyError(UsageError):
    """A gallery's key is missing, wrong, unusable, or given to a gallery that is not encrypted."""

    code = "key"


class MissingExtraError(UsageError):
    """An optional part of Twindex is needed and not installed; the message names the command that installs it."""

    code = "missing_extra"


PHOTO_REASONS = (
    "unreadable",  # not an image, or damaged
    "unsupported_format",  # an image, but of a format that is not allowed
    "too_many_pixels",  # larger than the pixel limit, judged from the header
    "no_face",  # nothing that looks like a face
    "too_small",  # a face, but too few pixels between the eyes
    "blurred",  # a face, but without detail
    "wrong_shape",  # given as pre-cropped, but far from the shape of one face
)


class PhotoError(CodedError):
    """The photo has no usable face; its code is one of `PHOTO_REASONS`."""

    exit_code = 3
    reasons = PHOTO_REASONS


class ModelMismatchError(TwindexError):
    """Templates of two models would be compared, or a gallery's model is not installed."""

    code = "model_mismatch"
    exit_code = 5


class IntegrityError(TwindexError):
    """Stored bytes are not what was written: a hash, a length or a structure disagrees."""

    code = "integrity"
    exit_code = 6


class ForeignDatabaseError(IntegrityError):
    """A SQLite database that is not a gallery lies where a gallery's is expected."""


class BundleError(IntegrityError):
    """A model bundle is damaged, incomplete, or not a bundle."""

    code = "bundle"


FOREIGN_REASONS = (
    "pickled",  # a pickle, or an archive that holds one: reading it runs its maker's program
    "runs_code",  # a saved network with a Lambda layer or another that brings its own program
    "not_weights",  # not the kind of file that its name says, or damaged
    "outside_data",  # its arrays would be read from other files
    "wrong_arrays",  # names, shapes or types are not those of the architecture
    "too_large",  # it claims more than it holds
)


class ForeignFileError(CodedError, BundleError):
    """A file offered as a model or as initial weights is neither; none of it was run or read as arrays.

    Its code is one of `FOREIGN_REASONS`.
    """

    reasons = FOREIGN_REASONS


ARCHIVE_REASONS = (
    "not_an_archive",  # not a zip file as `twindex export` writes it
    "archive_changed",  # its bytes are not those that were written
    "unsafe_entry",  # an entry would be written elsewhere, is a link, compressed, encrypted or there twice
    "archive_too_large",  # it claims more bytes than it holds
    "archive_manifest",  # the manifest cannot be read, or the entries are not those it lists
    "archive_database",  # the database in it is damaged, not a gallery's, or not as the manifest says
)


class ArchiveError(CodedError, IntegrityError):
    """A gallery archive is damaged, or is not an archive; its code is one of `ARCHIVE_REASONS`."""

    reasons = ARCHIVE_REASONS

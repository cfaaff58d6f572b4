"""A file of initial weights, checked before anything reads its arrays."""

from pathlib import Path

from twindex.embedder.model.foreign_file import WEIGHTS, kind_of_file, refusal
from twindex.extras import extra

_HDF5_NAME = ".weights.h5"
_NPZ_NAME = ".npz"


def check_weights_file(file: Path) -> None:
    """Refuse a file that is not, by its content, one of the two kinds of initial weights.

    Args:
        file: Called `.npz` (folded ImageNet weights) or `.weights.h5` (Keras' InceptionV3).

    Raises:
        MissingExtraError: It is HDF5, and h5py is not installed.
        ForeignFileError: It is of another kind, would run a program, reads other files, or claims more than it holds.
    """
    kind = kind_of_file(file)
    if kind == "zip" and file.name.endswith(_NPZ_NAME):
        from twindex.embedder.training.initial.folded import check_folded_weights

        check_folded_weights(file)
    elif kind == "hdf5" and file.name.endswith(_HDF5_NAME):
        with extra("train"):
            from twindex.embedder.training.initial.hdf5 import check_hdf5_weights
        check_hdf5_weights(file)
    else:
        raise refusal(file, WEIGHTS)

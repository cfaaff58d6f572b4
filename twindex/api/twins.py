"""Siamese twins for users of Keras: build one, train it with `fit`, save it, and make a gallery's model of it.

All of it needs the extra `train`, which is imported at the first call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twindex.errors import UsageError
from twindex.extras import extra

if TYPE_CHECKING:
    import numpy as np

    from twindex.embedder.model.bundle import Bundle
    from twindex.types import Float32, Int64

    AnyPath = str | os.PathLike[str]


def siamese(input_shape: tuple[int, int, int] = (224, 224, 3), dim: int = 128, weights: AnyPath | None = None) -> Any:
    """A Siamese twin over InceptionV3: two images to the probability that they show the same person.

    One branch, called for both images: InceptionV3 without its top, global average pooling, a projection to `dim`
    numbers, unit length. Then the Euclidean distance of the two templates, and a sigmoid on it. Pixels are RGB from 0
    to 255; the branch scales them itself. The layers are called "branch", "distance" and "head".

    After J. Bromley et al., "Signature Verification using a 'Siamese' Time Delay Neural Network", NIPS 1993; the branch
    is C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016. Batch normalisation
    warms up, so that the twin can be used after a few steps already.

    Args:
        input_shape: (height, width, 3) of both images, pixels; 75 x 75 at least. A gallery needs a square.
        dim: Length of a template, from 2 to 4096.
        weights: None for random weights; "imagenet" to download those of Keras (needs a network); a `.weights.h5` file
            of Keras' InceptionV3 without its top; or a model of Twindex, by name, fingerprint, folder or weights file,
            whose head is taken over too, except from a weights file.

    Returns:
        An uncompiled keras.Model from two arrays (n, height, width, 3) to (n, 1) float32 between 0 and 1.

    Raises:
        UsageError: A value is out of range, or there is no such model.
        BundleError: The model's templates have another length than `dim`, or its files are damaged.
        MissingExtraError: Keras is not installed.

    Example:
        >>> twin = twindex.siamese(input_shape=(224, 224, 3))
        >>> twin.compile("adam", "binary_crossentropy")
        >>> twin.fit([first, second], same)
    """
    with extra("train"):
        from twindex.embedder.training.twin.building import build_siamese

    return build_siamese(input_shape, dim, None if weights is None else os.fspath(weights))


def load_siamese(path: AnyPath) -> Any:
    """The twin that `twin.save("twin.keras")` wrote, compiled as it was.

    `keras.models.load_model` alone does not know the twin's layers.

    Args:
        path: A `.keras` file.

    Raises:
        UsageError: The file is missing, or holds another model.
        MissingExtraError: Keras is not installed.

    Example:
        >>> twin = twindex.load_siamese("twin.keras")
        >>> twin.predict([first, second])
    """
    with extra("train"):
        from twindex.embedder.training.twin.saved import load_twin

    return load_twin(Path(path))


def bundle_from(
    model: Any,
    path: AnyPath,
    *,
    faces: AnyPath,
    name: str | None = None,
    input_size: int | None = None,
    mirror: bool = True,
    data: str = "",
    terms: str = "",
) -> Bundle:
    """Make a model bundle, which galleries use, of a trained twin's shared branch.

    The head, the thresholds and the accuracy in its card are measured on the given faces, with the weights as they are
    stored, in float16, and in the arithmetic that galleries use. The twin's own head is not used.

    Args:
        model: The twin; its branch; a `.keras` file of either; or a bundle's folder or `weights.safetensors` file.
        path: Folder to make; it must not exist.
        faces: Folder with one sub-folder per person, each file one aligned, square face, as `twindex train` reads
            them. They must be of people whom the twin has not learned from: measured on others, it seems better than
            it is. Two people, one of them with two photos, are the least; thresholds for large galleries need many.
        name: Of the model, 1 to 64 letters, digits, spaces and . _ + -; by default the folder's.
        input_size: Edge of the network's input, pixels; needed for a weights file, which does not say it.
        mirror: Whether a template sums those of an image and its mirror image: a little better, twice the work.
        data, terms: Texts for the card: what the twin learned from, and the terms of use.

    Returns:
        The bundle as written; `bundle.card.accuracy` holds what was measured, and `bundle.path` is the folder.

    Raises:
        UsageError: The model is not such a twin, it cannot tell the given people apart, the faces are too few, or
            `path` exists.
        BundleError: The weights do not fit float16, a value is out of range, or a file is damaged.
        MissingExtraError: Keras is not installed.

    Example:
        >>> twindex.bundle_from(twin, "my-model", faces="others/")
        >>> gallery = twindex.open("gallery", model="my-model")
    """
    folder = Path(path)
    if folder.exists():
        raise UsageError(f"{folder} exists already; give the bundle a new folder.")
    with extra("train"):
        from twindex.embedder.training.export import TwinTexts, export_twin

    given = Path(model) if isinstance(model, str | os.PathLike) else model
    texts = TwinTexts(name or folder.name, data, terms)
    return export_twin(given, folder, Path(faces), texts, input_size=input_size, mirror=mirror)


def read_faces(folder: AnyPath, size: int) -> tuple[np.ndarray[Any, Any], Int64]:
    """All faces of a folder in memory, to learn from; `twindex train` reads larger folders batch by batch.

    Args:
        folder: One sub-folder per person, each file one aligned, square face.
        size: Edge of the images, pixels.

    Returns:
        Images (n, size, size, 3) uint8, RGB, and the number of the person each shows, (n,) int64.

    Raises:
        UsageError: There are not two people, or nobody has two photos, or a photo cannot be read or is not square.
    """
    import numpy as np

    from twindex.embedder.training.data.faces import TrainingFaces

    photos = TrainingFaces.scan(Path(folder))
    return photos.clean(np.arange(len(photos.paths)), size), photos.subjects


def pairs(subjects: Int64, count: int, seed: int = 0) -> tuple[Int64, Int64, Float32]:
    """Random pairs of photos, every other one of them of the same person.

    Args:
        subjects: (n,) integer labels, equal for the same person.
        count: Number of pairs.
        seed: Of what is drawn.

    Returns:
        Numbers of the first and of the second photos, (count,) int64 each, and (count,) float32: 1 for the same person,
        else 0.

    Raises:
        UsageError: There is only one person, or nobody has two photos.
    """
    from twindex.embedder.training.data.pairs import draw_pairs

    return draw_pairs(subjects, count, seed)


def triplets(subjects: Int64, count: int, seed: int = 0) -> tuple[Int64, Int64, Int64]:
    """Random triplets of photos: an anchor, another photo of the same person, and one of somebody else.

    Args:
        subjects: (n,) integer labels, equal for the same person.
        count: Number of triplets.
        seed: Of what is drawn.

    Returns:
        Numbers of the anchors, the positives and the negatives, (count,) int64 each.

    Raises:
        UsageError: There is only one person, or nobody has two photos.
    """
    from twindex.embedder.training.data.pairs import draw_triplets

    return draw_triplets(subjects, count, seed)


def distance_twin(twin: Any) -> Any:
    """The twin without its head, sharing its weights: two images to their Euclidean distance, (n, 1), from 0 to 2.

    Train it with `contrastive_loss()`, then fit the head with `fit_head`.
    """
    with extra("train"):
        from twindex.embedder.training.twin import pairs as ways

    return ways.distance_twin(twin)


def triplet_twin(twin: Any) -> Any:
    """The twin's branch called three times, sharing its weights, for `triplet_loss()`; then use `fit_head`.

    From anchor, positive and negative, (n, height, width, 3) each, to (n, 2): the Euclidean distances from the anchor
    to the positive and to the negative, from 0 to 2.
    """
    with extra("train"):
        from twindex.embedder.training.twin import pairs as ways

    return ways.triplet_twin(twin)


def contrastive_loss(margin: float = 1.0) -> Any:
    """Loss for `distance_twin`, of labels that are 1 for the same person, else 0: half of d^2 or max(margin - d, 0)^2.

    R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006.

    Args:
        margin: Euclidean distance from which two people are far enough apart, up to 2.
    """
    with extra("train"):
        from twindex.embedder.training.twin import pairs as ways

    return ways.ContrastiveLoss(margin)


def triplet_loss(margin: float = 0.2) -> Any:
    """Loss for `triplet_twin`: max(d(anchor, positive)^2 - d(anchor, negative)^2 + margin, 0); labels are not read.

    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
    CVPR 2015.

    Args:
        margin: Squared distance by which the negative must be farther away than the positive.
    """
    with extra("train"):
        from twindex.embedder.training.twin import pairs as ways

    return ways.TripletLoss(margin)


def fit_head(twin: Any, images: list[Any], same: Any) -> None:
    """Fit a twin's head to the distances that its branch gives, by logistic regression (Platt 1999).

    Args:
        twin: Its head is changed in place; the branch stays as it is.
        images: Two arrays (n, height, width, 3), RGB, 0 to 255.
        same: (n,) labels, 1 for the same person, else 0; both must occur.

    Raises:
        UsageError: Pairs of one person are not closer than pairs of two: the twin has not learned enough.
    """
    import numpy as np

    from twindex.embedder.training.head import learned_head

    distances = distance_twin(twin).predict(images, verbose=0).reshape(-1)
    mated = np.asarray(same).reshape(-1) > 0.5
    head = learned_head(np.sort(distances[mated]), np.sort(distances[~mated]))
    twin.get_layer("head").set_weights([np.array([[head.weight]], np.float32), np.array([head.bias], np.float32)])


def settle(twin: Any, images: Any, batch_size: int = 32) -> None:
    """Measure the moving statistics of batch normalisation again, on photos that the twin has learned from.

    A twin of `siamese` can do without. It helps one that was made in another way and learned for a few hundred steps,
    and is a little better than moving averages after any training that ends with a high learning rate.

    Args:
        twin: Its branch's statistics are changed in place.
        images: (n, height, width, 3), RGB, 0 to 255; a few hundred, in random order.
        batch_size: Images in a batch, 16 at least.
    """
    with extra("train"):
        from twindex.embedder.training.twin.moving_statistics import settle as settled

    import numpy as np

    batches = (np.asarray(images[at : at + batch_size], np.float32) for at in range(0, len(images), batch_size))
    settled(twin.get_layer("branch"), batches)

"""What decides predictions: the fingerprint by which the store finds them; see docs/store.md."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from ensemble.files.atomic import sha256_json
from ensemble.images.reading import Hashed
from ensemble.members.card import declared
from ensemble.members.member import Member
from ensemble.recipe.resolve import Recipe, Resources
from ensemble.records import Geometry, View

ENGINE: Final = 3
"""The schema of the fingerprint: raised when the engine's predictions change."""

SHARD: Final = 1024
"""Images of a shard, unless memory or the user says otherwise."""

_EACH: Final = 8
"""Shards that each of several workers gets at least, so that none waits long for the last."""

_AT_ONCE: Final = 2
"""Shards whose pixels are there at once: one is scored while the next is decoded."""


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images in the order of their ids, and the hash of their ids, sizes and hashes."""

    images: Sequence[Hashed]
    sha256: str


def fingerprint_of(
    recipe: Recipe, member: Member, policy: Sequence[View], provider: str, images: ImageSet
) -> dict[str, object]:
    """Return what decides a member's predictions; see docs/store.md."""
    return {
        "engine": ENGINE,
        "member": member.sha256,
        "preprocess": member.card.preprocess.record(),
        "heads": [head.record() for head in member.card.heads],
        "views": [[asdict(op) for op in view.ops] for view in policy],
        "merge": recipe.scoring.merge,
        "decode": asdict(recipe.inputs.decode),
        "precision": recipe.scoring.precision,
        "provider": provider,
        "images": images.sha256,
        **declared(member.card),
    }


def image_set_of(images: Sequence[Hashed]) -> ImageSet:
    """Return images with the hash by which predictions of them are found."""
    told = [
        [image.source.id, image.bytes, image.sha256, *(image.box.sides if image.box else ())]
        for image in images
    ]
    return ImageSet(images, sha256_json(told))


def shard_for(images: int, workers: int) -> int:
    """Return the most images of a new shard where workers share them: each gets several shards."""
    if workers < 2:
        return SHARD
    return min(SHARD, 1 << max(0, (images // (_EACH * workers)).bit_length() - 1))


def shard_size_of(resources: Resources, geometries: Iterable[Geometry], most: int = SHARD) -> int:
    """Return the images of a new shard, `most` at most, as far as `--memory` goes.

    A power of two, so that runs of other members share shards.
    """
    if resources.shard_size:
        return resources.shard_size
    bytes_per_image = sum(g.height * g.size.width * g.channels for g in set(geometries))
    room = resources.memory // (_AT_ONCE * bytes_per_image)
    return min(most, 1 << max(0, room.bit_length() - 1))

"""What decides predictions: the fingerprint by which the store finds them; see docs/store.md."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from ensemble.config import Recipe
from ensemble.files import sha256_json
from ensemble.images import Hashed
from ensemble.members import Member
from ensemble.spec import View

ENGINE: Final = 2
"""The schema of the fingerprint: raised when the engine's predictions change."""

_SHARD: Final = 1024
_SHARD_BYTES: Final = 512 * 1024 * 1024


def fingerprint_of(
    recipe: Recipe, member: Member, policy: Sequence[View], provider: str, images: str
) -> dict[str, object]:
    """Return what decides a member's predictions; see docs/store.md."""
    return {
        "engine": ENGINE,
        "member": member.sha256,
        "preprocess": asdict(member.card.preprocess),
        "heads": [asdict(head) for head in member.card.heads],
        "views": [[asdict(op) for op in view.ops] for view in policy],
        "merge": recipe.merge,
        "decode": asdict(recipe.decode),
        "precision": recipe.precision,
        "provider": provider,
        "images": images,
    }


def image_set_of(images: Sequence[Hashed]) -> str:
    """Return the hash of the image set: ids, sizes and hashes."""
    return sha256_json([[image.source.id, image.bytes, image.sha256] for image in images])


def shard_size_of(recipe: Recipe, member: Member) -> int:
    """Return how many images a new shard of a member has."""
    if recipe.shard_size:
        return recipe.shard_size
    pre = member.card.preprocess
    bytes_per_image = pre.size.height * pre.size.width * len(pre.mean)
    return max(1, min(_SHARD, _SHARD_BYTES // bytes_per_image))

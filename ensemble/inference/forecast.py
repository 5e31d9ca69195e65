"""What scoring would take of each member: shards, evaluations, bytes, seconds; none is done."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ensemble.images.reading import Hashed
from ensemble.inference.executors.places import Place
from ensemble.inference.fingerprint import ImageSet, fingerprint_of, shard_for, shard_size_of
from ensemble.inference.probe import seconds_per_image
from ensemble.inference.ready import ReadyMember
from ensemble.predictions.store import Partition, key_of, load_partition
from ensemble.recipe.resolve import Recipe
from ensemble.views.families import name_of


@dataclass(frozen=True, slots=True)
class MemberForecast:
    """What one member has to do: shards and evaluations, those that the store has, and the cost.

    `bytes` is what its new parts will take, `seconds` what its forwards will, by the speed of a
    small batch; decoding is not in it. `tta` are its views, as `name_of` calls them.
    """

    member: str
    tta: str
    provider: str
    key: str
    shards: int
    shards_stored: int
    evaluations: int
    evaluations_stored: int
    bytes: int
    seconds: float


def forecast_members(
    recipe: Recipe, ready_members: Sequence[ReadyMember], images: ImageSet, workers: int = 1
) -> list[MemberForecast]:
    """Return what `score_into_store` would do with members and workers; nothing is written.

    Raises:
        StoreError: a key.json of the store was edited.
    """
    most = shard_for(len(images.images), workers)
    size = shard_size_of(recipe.resources, [ready.geometry for ready in ready_members], most)
    found = []
    for ready in ready_members:
        provider = ready.scorer.provider
        fingerprint = fingerprint_of(recipe, ready.member, ready.views, provider, images)
        key = key_of(fingerprint)
        folder = recipe.resources.store / "predictions" / key
        partition = load_partition(recipe.resources.store, key)
        partition = partition or Partition(folder, key, fingerprint, len(images.images), size)
        found.append(_forecast(ready, partition, images.images))
    return found


def shared_out(members: Sequence[MemberForecast], places: Sequence[Place]) -> list[MemberForecast]:
    """Return what members would take at several places: GPUs are more, processors are shared."""
    faster = len(places) if places and not places[0].cores else 1
    return [replace(member, seconds=member.seconds / faster) for member in members]


def _forecast(ready: ReadyMember, partition: Partition, images: Sequence[Hashed]) -> MemberForecast:
    todo = [s for s in partition.shards if not partition.committed(s)]
    rows = [image for s in todo for image in images[partition.rows(s)]]
    columns = sum(partition.heads.values())
    return MemberForecast(
        member=ready.member.card.name,
        tta=name_of(ready.views),
        provider=ready.scorer.provider,
        key=partition.key,
        shards=len(partition.shards),
        shards_stored=len(partition.shards) - len(todo),
        evaluations=len(rows),
        evaluations_stored=len(images) - len(rows),
        bytes=sum(4 * (columns + 1) + len(image.source.id.encode()) for image in rows),
        seconds=len(rows) * seconds_per_image(ready) if rows else 0.0,
    )

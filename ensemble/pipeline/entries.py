"""What the store holds of members over images, found by fingerprint; no model runs."""

from ensemble.errors import UsageError
from ensemble.files.paths import expand
from ensemble.inference.find import find_images
from ensemble.inference.fingerprint import fingerprint_of, image_set_of
from ensemble.inference.start import open_members, shape_views
from ensemble.members.answers import heads_read
from ensemble.members.crop import with_crops
from ensemble.members.fetched import local_members
from ensemble.predictions.store import key_of, load_partition
from ensemble.predictions.stored import StoredPredictions
from ensemble.progress import Progress
from ensemble.recipe.resolve import Recipe
from ensemble.runtime.devices import CPU, CUDA, provider_of
from ensemble.views.families import check_jitters, policies_of, read_policies


def entries_of_members(recipe: Recipe, progress: Progress) -> list[StoredPredictions]:
    """Return the predictions of a recipe's members, all of one provider.

    Raises:
        UsageError: the store lacks some; says whose.
        EnsembleError: as for a run.
    """
    inputs = recipe.inputs
    paths = expand(local_members(inputs.members, recipe.resources.store), ".onnx", "member")
    members = open_members(paths, inputs.head, label_map=inputs.label_map)
    members = with_crops(members, inputs.crop, cropped=inputs.crops is not None)
    told = read_policies(recipe.scoring.tta)
    check_jitters(told, cropped=inputs.crops is not None)
    policies = policies_of(told, {member.card.family for member in members})
    for member in members:
        shape_views(member, policies[member.card.family])
    images, _ = find_images(
        recipe.inputs, recipe.resources.threads, progress, recipe.resources.store
    )
    image_set = image_set_of(images)
    missing: list[str] = []
    for provider in _providers(recipe.scoring.device):
        entries, missing = [], []
        for m in members:
            fingerprint = fingerprint_of(recipe, m, policies[m.card.family], provider, image_set)
            partition = load_partition(recipe.resources.store, key_of(fingerprint))
            held = None if partition is None else partition.found_rows()
            if partition is None or held is None:
                missing.append(m.card.name)
                continue
            read = heads_read(m.card.heads, inputs.head, inputs.label_map, m.card.name)
            entries += [StoredPredictions(m.identity, partition, head, held) for head in read]
        if not missing:
            return entries
    raise UsageError(
        f"the store {recipe.resources.store} lacks predictions of {', '.join(missing)} for these "
        f"images and --tta {recipe.scoring.tta}; make them with `ensemble run`"
    )


def _providers(device: str) -> tuple[str, ...]:
    if device == "auto":
        return (CUDA, CPU)
    return (provider_of(device),)

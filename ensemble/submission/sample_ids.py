"""The ids of a sample held against those of the images: alike, or alike but for an extension."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ensemble.errors import ContractError, few
from ensemble.files.ids import counterparts
from ensemble.progress import Listener
from ensemble.submission.sample import Sample


def check_ids_match(sample: Sample, ids: Sequence[str]) -> None:
    """Check that the sample and the images name the same ids.

    Raises:
        ContractError: with both difference lists.
    """
    wanted, found = set(sample.ids), set(ids)
    if wanted == found:
        return
    lacking = _listed("ids of the sample have no image", [i for i in sample.ids if i not in found])
    beyond = _listed("images are not in the sample", [i for i in ids if i not in wanted])
    told = "; ".join(filter(None, (lacking, beyond)))
    raise ContractError(f"the sample and the images differ: {told}. {_hint(wanted, found)}")


def mapped(sample: Sample, ids: Sequence[str], listener: Listener) -> Sample:
    """Return a sample with the ids of the images where theirs are a folder or an extension apart.

    Only where that is one to one, and it is said: a run of ids that differ is refused later.
    """
    own = counterparts(sample.ids, ids)
    if not own or not len(own) == len(sample.ids) == len(ids):
        return sample
    name, short = next(iter(own.items()))
    listener.warn(
        f"the sample's ids are those of the images, a folder or an extension apart, one to one, "
        f"such as {name!r} for {short!r}: they are written as the sample has them"
    )
    written = {known: name for name, known in own.items()}
    return replace(sample, ids=tuple(own[name] for name in sample.ids), written=written)


def _hint(wanted: set[str], found: set[str]) -> str:
    """Guess why no id fits: an extension, or zeros that a spreadsheet took away."""
    if wanted & found:
        return "Check --images"
    if {Path(name).stem for name in wanted} & found:
        return "The sample's ids have an extension: say --id-from name"
    if {name.lstrip("0") for name in wanted} & {name.lstrip("0") for name in found}:
        return "Leading zeros differ: a spreadsheet may have taken them from the sample"
    return "Check --images and --id-from"


def _listed(what: str, odd: Sequence[str]) -> str:
    return f"{len(odd)} {what} ({few(odd)})" if odd else ""

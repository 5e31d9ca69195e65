"""Nets of timm: built for export, and timm's own reading of older checkpoints. Its only door."""

import difflib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

from torch import Tensor, nn

from ensemble.errors import MemberError, UsageError, few
from ensemble.export.spec import ExportSpec, PreprocessFlags, columns_of
from ensemble.export.torch_errors import brief
from ensemble.records import Fit

_FITS: Final[Mapping[str, Fit]] = {"center": "crop", "squash": "squash", "border": "pad"}
_OWN: Final = ("num_classes", "in_chans", "pretrained", "exportable")
_PLACES: Final = re.compile(
    r"pos_embed|pos_emb|position|rel_pos|bias_table|attention_bias|patch_embed", re.IGNORECASE
)
_FILTERS: Final = ("checkpoint_filter_fn", "_filter_fn", "checkpoint_filter_fn_classifier")


OTHER_SIZE: Final = (
    "They were trained with images of another size: give its --height and --width, or the --arch "
    "of that size"
)
"""What to do about weights of places in an image of another size."""


def build(spec: ExportSpec) -> tuple[nn.Module, PreprocessFlags, str, tuple[str, ...]]:
    """Build a timm net as it is exported: `exportable`, which also turns fused attention off.

    Returns:
        The net; its preprocessing, without mean and std where its channels are not those that
        they are of; timm's version; and what timm warned of, such as a name that changed.

    Raises:
        UsageError: timm has no such net, or cannot build it.
    """
    import timm  # noqa: PLC0415 - a factory needs no timm

    _check_known(spec.arch)
    if own := [name for name in _OWN if name in spec.args]:
        raise UsageError(f"--arg {own[0]}: an export gives it itself; leave it out")
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            net: nn.Module = timm.create_model(
                spec.arch,
                pretrained=False,
                num_classes=columns_of(spec),
                in_chans=spec.in_chans,
                exportable=True,
                **{**_sizes(spec), **spec.args},
            )
    except Exception as error:  # timm has hundreds of nets, and arguments reach any line of them
        raise UsageError(f"arch {spec.arch!r}: timm cannot build it: {brief(error)}") from error
    notes = dict.fromkeys(str(warning.message) for warning in warned)
    return net, _defaults(net, spec.in_chans), timm.__version__, tuple(notes)


def _check_known(arch: str) -> None:
    import timm  # noqa: PLC0415

    if timm.is_model(arch):
        return
    name = arch.rpartition("/")[2]
    near = [name] if timm.is_model(name) else difflib.get_close_matches(name, timm.list_models())
    hint = f"Did you mean {' or '.join(near)}?" if near else "See timm.list_models()"
    raise UsageError(f"arch {arch!r}: no timm net, nor pkg.mod:factory. {hint}")


def _sizes(spec: ExportSpec) -> dict[str, tuple[int, int]]:
    """Return the image size that a net of fixed size is to be built for, where it is another."""
    import timm  # noqa: PLC0415

    known = timm.get_pretrained_cfg(spec.arch)
    if known is None or not known.fixed_input_size:
        return {}
    _, height, width = known.input_size
    asked = (spec.preprocess.height or height, spec.preprocess.width or width)
    return {} if asked == (height, width) else {"img_size": asked}


def _defaults(net: nn.Module, channels: int) -> PreprocessFlags:
    import timm.data  # noqa: PLC0415

    config = timm.data.resolve_model_data_config(net)
    colours = channels == len(config["mean"])
    return PreprocessFlags(
        height=config["input_size"][1],
        width=config["input_size"][2],
        fit=_FITS.get(config["crop_mode"]),
        crop_pct=config["crop_pct"],
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]) if colours else None,
        std=tuple(config["std"]) if colours else None,
        channel_order="rgb",
    )


@contextmanager
def exportable() -> Iterator[None]:
    """Let timm nets that a factory builds be exportable; without timm there is nothing to do."""
    if "timm" not in sys.modules:
        yield
        return
    import timm.layers  # noqa: PLC0415

    with timm.layers.set_layer_config(exportable=True):
        yield


def filtered(
    arch: str, net: nn.Module, state: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    """Rename weights of older timm versions, and of a net's authors, as timm itself does.

    Returns:
        The weights by timm's names of today, and a note of what was renamed and left out; the
        weights as they are, and no note, where timm has no filter for the net.

    Raises:
        MemberError: timm's filter fails on them, or would resize them for another image size.
    """
    own = _filter_of(arch)
    if own is None:
        return state, ()
    try:
        found = dict(own(dict(state), net))
    except Exception as error:  # it meets names that it was not written for
        raise MemberError(
            f"timm's checkpoint_filter_fn of {arch} fails on these weights: {brief(error)}. Give "
            f"the --arch that they were trained with"
        ) from error
    if resized := [name for name in _not_in(found, state) if is_place(name)]:
        raise MemberError(f"timm would resize {few(resized)}. {OTHER_SIZE}")
    renamed, gone = found.keys() - state.keys(), _not_in(state, found)
    if not renamed and not gone:
        return state, ()
    without = f"; left out or joined {len(gone)}: {few(gone)}" if gone else ""
    return found, (f"timm's checkpoint_filter_fn renamed {len(renamed)} weights{without}",)


def _not_in(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> list[str]:
    """Name the tensors whose memory is none of the others', so that they are not these renamed."""
    known = {value.untyped_storage().data_ptr() for value in others.values()}
    return [name for name, v in some.items() if v.untyped_storage().data_ptr() not in known]


def is_place(name: str) -> bool:
    """Tell whether a weight belongs to places in the image, so that its shape is of one size."""
    return bool(_PLACES.search(name))


def _filter_of(arch: str) -> Callable[[dict[str, Tensor], nn.Module], Mapping[str, Tensor]] | None:
    import timm  # noqa: PLC0415

    entry = timm.model_entrypoint(arch)
    module = sys.modules[entry.__module__]
    found = next((getattr(module, n) for n in _FILTERS if hasattr(module, n)), None)
    if found is None or found.__code__.co_argcount != 1:
        return cast(Callable[..., Mapping[str, Tensor]] | None, found)
    return lambda state, _: cast(Mapping[str, Tensor], found(state))

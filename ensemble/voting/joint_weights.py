"""What weights of several tasks carry beside their exponents, and its JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ensemble import label_map
from ensemble.files.fields import Fields
from ensemble.label_map import LabelMap


@dataclass(frozen=True, slots=True)
class JointWeights:
    """What weights of several tasks carry beside their exponents.

    `label_map` is what they were tuned for. `spreads` are those of the columns that are values.
    `dependence` (K,) is how much likelier each label is than its classes alone would have it, in
    logarithms, and `rho` its exponent, 0 or more; empty where nothing was fitted.
    """

    label_map: LabelMap
    spreads: Mapping[str, float] = field(default_factory=dict)
    dependence: tuple[float, ...] = ()
    rho: float = 0.0


def to_record(joint: JointWeights) -> dict[str, object]:
    """Return it as JSON-ready values."""
    return {
        "label_map": label_map.to_record(joint.label_map),
        "spreads": dict(joint.spreads),
        "dependence": list(joint.dependence),
        "rho": joint.rho,
    }


def from_record(fields: Fields) -> JointWeights:
    """Read what `to_record` gave.

    Raises:
        EnsembleError: a field is not what it should be; the error is of the fields' kind.
    """
    fields = fields.where_empty({"spreads": {}, "dependence": []})
    found = label_map.from_record(fields.inner("label_map"))
    spreads, logs = fields.inner("spreads"), fields.numbers("dependence")
    told = {name: spreads.number(name) for name in spreads.record}
    if odd := [name for name, spread in told.items() if spread <= 0]:
        raise spreads.bad(odd[0], "a number above 0", told[odd[0]])
    if logs and len(logs) != len(found.labels):
        raise fields.bad("dependence", f"{len(found.labels)} numbers, or none", list(logs))
    rho = fields.number("rho")
    if rho < 0:
        raise fields.bad("rho", "a number from 0 on", rho)
    return JointWeights(found, told, logs, rho)

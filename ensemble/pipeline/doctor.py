"""The doctor's round: what is installed, what starts, what the store holds."""

import os
from collections.abc import Mapping
from pathlib import Path

from ensemble.errors import ProviderError, StoreError, UsageError
from ensemble.predictions import inventory
from ensemble.runtime import diagnosis, nvidia, places, wheels
from ensemble.runtime.diagnosis import Probe
from ensemble.runtime.wheels import Finding


def examine(store: Path) -> list[Finding]:
    """Look at packages, providers, CUDA's libraries, the machine, where to run, and the store."""
    found = wheels.installed()
    return [
        *diagnosis.examine(found, probe(found)),
        *diagnosis.machine(store),
        *places.places(os.environ, found, nvidia.gpus(), diagnosis.own_processors()),
        _store(store),
    ]


def probe(found: Mapping[str, str]) -> Probe:
    """Start a session on each provider of ONNX Runtime, if it can be imported at all."""
    try:
        from ensemble.runtime import devices
    except ProviderError as error:
        return Probe(fault=str(error))
    wheel = found.get(wheels.GPU_WHEEL, "")
    missing = devices.missing_libraries(diagnosis.libraries(wheel)) if wheel else ()
    return Probe("", devices.start_providers(), missing, nvidia.version())


def _store(store: Path) -> Finding:
    if not store.exists():
        return Finding("store", "ok", f"the store {store} is not there yet: the first run makes it")
    try:
        held = inventory.inventory(store, [])
    except (UsageError, StoreError) as error:
        return Finding("store", "problem", str(error), "--store with another folder")
    odd = [entry for entry in held if entry.fault]
    text = f"the store {store} holds {len(held)} keys"
    unfinished = sum(entry.shards < entry.total for entry in held)
    text += f", {unfinished} of them unfinished" if unfinished else ""
    if not odd:
        return Finding("store", "ok", text)
    return Finding("store", "problem", f"{text}; {odd[0].fault}", "ensemble store verify")

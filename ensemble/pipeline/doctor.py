"""The doctor's round: what is installed, what starts, what the store holds."""

import os
from collections.abc import Mapping
from pathlib import Path

from ensemble.cores import cores
from ensemble.errors import ProviderError, StoreError, UsageError
from ensemble.files.credentials import REMEDIES, found_in
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
        *_openvino(found),
        *places.places(os.environ, found, nvidia.gpus(), cores()),
        *_credentials(),
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


def _openvino(found: Mapping[str, str]) -> list[Finding]:
    """Say what OpenVINO computes in; nothing where it is not installed: the extras say it."""
    if "openvino" not in found:
        return []
    named = f"openvino {found['openvino']}"
    try:
        from ensemble.runtime.openvino import computes_bf16

        bf16 = computes_bf16()
    except ProviderError as error:
        again = f"pip install --force-reinstall openvino=={found['openvino']}"
        return [Finding("openvino", "problem", f"{named}: {error}", again)]
    how = "bfloat16 on this processor: --device openvino --precision auto" if bf16 else (
        "float32: this processor has no bfloat16 (AVX512_BF16 or AMX)"
    )  # fmt: skip
    return [Finding("openvino", "ok", f"{named} computes in {how}")]


def _credentials() -> list[Finding]:
    """Tell of each kind of object store whether there are credentials for it."""
    findings = []
    for scheme, remedy in REMEDIES.items():
        place = found_in(scheme)
        lacks = f"no credentials for {scheme}:// were found; a machine of the provider has its own"
        text = f"credentials for {scheme}:// come from {place}" if place else lacks
        findings.append(
            Finding("objects", "ok" if place else "note", text, "" if place else remedy)
        )
    return findings


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

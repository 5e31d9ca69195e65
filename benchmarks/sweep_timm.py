"""Which timm architectures export: the smallest net of each family, proven against torch.

    OMP_NUM_THREADS=1 python benchmarks/sweep_timm.py [ARCH …] [--results FILE] [--table FILE]

Each net gets seeded weights, is exported from its checkpoint by name, and then compared on other
images than those of the export's own proof: with the net as timm builds it by default, and under
flips with ttach's wrapper around that. A line of JSON an architecture is appended to the results
as it is known, and what is there is not done again, so that a sweep that was stopped goes on.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Final, TypeAlias

RESULTS: Final = Path(__file__).parent / "results" / "architectures.jsonl"
TABLE: Final = Path(__file__).parents[1] / "docs" / "architectures.md"
CLASSES: Final = tuple(f"c{k}" for k in range(10))
TIMEOUT: Final = 900
Result: TypeAlias = dict[str, str | float]

ARCHS: Final = (
    "resnet10t", "resnet18", "resnext50_32x4d", "seresnet18", "skresnet18", "resnest14d",
    "resnetv2_50", "res2net50_26w_4s", "ecaresnet26t", "resnetaa50", "regnetx_002", "regnety_002",
    "regnetz_005", "densenet121", "vgg11", "inception_v3", "inception_v4", "inception_resnet_v2",
    "xception41", "nasnetalarge", "dpn48b", "dla46_c", "hrnet_w18_small", "selecsls42",
    "vovnet39a", "cspresnet50", "tresnet_m", "repvgg_a0", "rexnet_100", "gernet_s",
    "nf_regnet_b0", "nfnet_l0", "botnet26t_256", "halonet26t", "lambda_resnet26t",
    "eca_botnext26ts_256", "hgnet_tiny", "hgnetv2_b0", "efficientnet_b0", "tf_efficientnet_b0",
    "tf_efficientnet_lite0", "tf_efficientnetv2_b0", "mixnet_s", "mnasnet_small",
    "mobilenetv2_035", "mobilenetv3_small_050", "mobilenetv4_conv_small_035",
    "mobilenetv4_hybrid_medium_075", "mobileone_s0", "lcnet_035", "tinynet_e", "ghostnet_050",
    "ghostnetv2_100", "fbnetc_100", "hardcorenas_a", "spnasnet_100", "semnasnet_050",
    "convnext_atto", "convnextv2_atto", "inception_next_atto", "edgenext_xx_small", "fastvit_t8",
    "mambaout_femto", "focalnet_tiny_srf", "poolformer_s12", "caformer_s18", "convformer_s18",
    "efficientformer_l1", "efficientformerv2_s0", "efficientvit_b0", "efficientvit_m0",
    "fasternet_t0", "starnet_s050", "shvit_s1", "repghostnet_050", "repvit_m0_9",
    "swiftformer_xs", "rdnet_tiny", "vit_tiny_patch16_224", "vit_tiny_r_s16_p8_224",
    "vit_relpos_small_patch16_224", "deit_tiny_distilled_patch16_224", "beit_base_patch16_224",
    "eva02_tiny_patch14_224", "cait_xxs24_224", "coat_tiny", "coatnet_nano_rw_224",
    "convit_tiny", "crossvit_tiny_240", "davit_tiny", "flexivit_small", "gcvit_xxtiny",
    "hiera_tiny_224", "levit_128s", "maxvit_nano_rw_256", "maxxvit_rmlp_nano_rw_256",
    "mixer_s32_224", "gmlp_ti16_224", "resmlp_12_224", "mobilevit_xxs", "mobilevitv2_050",
    "mvitv2_tiny", "nest_tiny", "nextvit_small", "pit_ti_224", "pvt_v2_b0", "sequencer2d_s",
    "swin_tiny_patch4_window7_224", "swinv2_cr_tiny_ns_224", "swinv2_tiny_window8_256",
    "tiny_vit_5m_224", "tnt_s_patch16_224", "twins_svt_small", "twins_pcpvt_small",
    "visformer_tiny", "volo_d1_224", "xcit_nano_12_p16_224",
)  # fmt: skip


NOTED: Final = {
    "levit_128s": "looked into: with these weights it magnifies rounding, and torch's own float32 "
    "is off float64 by up to 0.2, so nothing can be proven of it",
}
"""What was found out of architectures that do not export."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archs", nargs="*")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--one", action="store_true", help="check in this process, and print it")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(check(args.archs[0])))
        return
    known = read(args.results)
    for arch in args.archs or ARCHS:
        if arch not in known:
            known[arch] = apart(arch)
            with args.results.open("a") as stream:
                stream.write(json.dumps(known[arch]) + "\n")
            print(known[arch], flush=True)
    args.table.write_text(table(known))


def read(path: Path) -> dict[str, Result]:
    """Return what is known by architecture."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {result["arch"]: result for result in map(json.loads, lines)}


def apart(arch: str) -> Result:
    """Check an architecture in a process of its own, which may die or take too long."""
    command = [sys.executable, __file__, "--one", arch]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return {"arch": arch, "fault": f"no answer in {TIMEOUT} s"}
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"arch": arch, "fault": (done.stderr.strip().splitlines() or ["died"])[-1][:300]}
    return dict(json.loads(lines[-1]))


def check(arch: str, size: int | None = None) -> Result:
    """Export an architecture, and compare the member; say what differs, or why there is none.

    `difference` is the largest of logits, by the largest logit; `views` that of probabilities
    under flips, from ttach's.
    """
    import timm
    import torch

    from ensemble.errors import EnsembleError
    from ensemble.export.spec import ExportSpec, HeadSpec, PreprocessFlags
    from ensemble.export.to_onnx import export_member

    warnings.simplefilter("ignore")
    began = time.monotonic()
    flags = PreprocessFlags(height=size, width=size, mean=(0.5,) * 3, std=(0.25,) * 3)
    spec = ExportSpec(arch, (HeadSpec("label", CLASSES),), preprocess=flags)
    sizes = {"img_size": size} if size and fixed_size(arch) else {}
    torch.manual_seed(0)
    net = timm.create_model(arch, num_classes=len(CLASSES), **sizes)
    side = size or timm.data.resolve_model_data_config(net)["input_size"][1]
    spread(net, side)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.save(net.state_dict(), folder / "a.pt")
        try:
            made = export_member(folder / "a.pt", spec, folder)
        except EnsembleError as error:
            return {"arch": arch, "fault": str(error).replace(str(folder), "")[:300]}
        found = {
            "arch": arch,
            "family": type(net).__module__.rpartition(".")[2],
            "size": side,
            "exporter": str(made.card.source.get("exporter", "dynamo")),
            "proof": made.max_abs_diff,
            "difference": differs(net, made.path, side),
            "views": differs_under_views(net, made.path, side),
        }
    return found | {"seconds": round(time.monotonic() - began)}


def fixed_size(arch: str) -> bool:
    import timm

    known = timm.get_pretrained_cfg(arch)
    return known is not None and bool(known.fixed_input_size)


def spread(net: object, side: int) -> None:
    """Give a net seeded weights under which its outputs vary, as trained ones do.

    timm begins many nets with zeros or 1e-5 where they end or join, so that every image gives the
    same outputs and any graph would agree. Norms of batches see some images.
    """
    import torch
    from torch import nn

    assert isinstance(net, nn.Module)
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if value.ndim >= 2:
                if float(value.std()) < 0.005:
                    fan = value[0].numel()
                    value.copy_(torch.randn(value.shape, generator=chance) * fan**-0.5)
            elif name.endswith("bias"):
                value.copy_(torch.randn(value.shape, generator=chance) * 0.1)
            else:
                value.copy_(0.5 + torch.rand(value.shape, generator=chance))
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
        for norm in norms:
            norm.momentum = None
        if norms:
            net.train()
            net(torch.randn(8, 3, side, side, generator=chance))
    net.eval()


def differs(net: object, path: Path, side: int) -> float:
    """Return the largest difference of logits on three images, by the largest logit."""
    import torch

    from ensemble.runtime.session import run_once

    images = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(77))
    with torch.inference_mode():
        expected = net(images).numpy()  # type: ignore[operator]
    found = run_once(path.read_bytes(), {"image": images.numpy()})["label"]
    return float(abs(found - expected).max() / abs(expected).max())


def differs_under_views(net: object, path: Path, side: int) -> float:
    """Return the largest difference of probabilities from ttach's wrapper, under flips."""
    import numpy as np
    import torch
    import ttach

    from ensemble.inference.start import start
    from ensemble.members.member import open_member
    from ensemble.views.policy import preset

    images = np.random.default_rng(7).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    member = open_member(path)
    ready = start(member, preset("flip"), "mean", device="cpu", threads=1, batch=2)
    found = ready.score(images)["label"]
    flips = ttach.Compose([ttach.HorizontalFlip(), ttach.VerticalFlip()])
    probs = torch.nn.Sequential(net, torch.nn.Softmax(1))  # type: ignore[arg-type]
    wrapped = ttach.ClassificationTTAWrapper(probs, flips, merge_mode="mean")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).sub(0.5).div(0.25)
    with torch.inference_mode():
        expected = wrapped(pixels).numpy()
    return float(abs(found - expected).max())


def table(known: dict[str, Result]) -> str:
    """Write what is known as a page of the docs."""
    good = [known[arch] for arch in sorted(known) if "fault" not in known[arch]]
    bad = [known[arch] for arch in sorted(known) if "fault" in known[arch]]
    lines = [
        "# Architectures",
        "",
        f"{len(good)} of {len(known)} architectures of timm, the smallest or nearly so of each "
        "family, export by name and equal",
        "torch: `benchmarks/sweep_timm.py` gave each seeded weights, and compared the member with "
        "the net as timm",
        "builds it, on images that the export's own proof did not see. `difference` is the largest "
        "of logits, relative",
        "to the largest logit; `views` that of probabilities under flips, from ttach's wrapper. "
        "Where `exporter` is",
        "`torchscript`, torch's newer exporter refused the net or its graph did not agree. The "
        f"sweep lists {len(ARCHS)}",
        f"architectures, {_looked_at(known)}.",
        "",
        "| architecture | pixels | exporter | difference | views |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['arch']} | {r['size']} | {r['exporter']} | {float(r['difference']):.1e} "
        f"| {float(r['views']):.1e} |"
        for r in good
    ]
    if bad:
        lines += ["", "These do not, and say why:", "", "| architecture | why |", "|---|---|"]
        lines += [f"| {r['arch']} | {_why(r)} |" for r in bad]
    return "\n".join(lines) + "\n"


def _looked_at(known: dict[str, Result]) -> str:
    left = len(set(ARCHS) - known.keys())
    return f"{left} of which were not looked at yet" if left else "all of which were looked at"


def _why(result: Result) -> str:
    told = str(result["fault"]).removeprefix("/a.pt: ").replace("|", "/")
    noted = NOTED.get(str(result["arch"]))
    return f"{told} ({noted})" if noted else told


if __name__ == "__main__":
    main()

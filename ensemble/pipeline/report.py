"""A page of a run, of predictions, of weights, of a policy or of crops: `ensemble report`."""

from dataclasses import replace
from pathlib import Path

from ensemble.errors import UsageError
from ensemble.files.atomic import check_writable, publish_bytes
from ensemble.files.text_table import TableSource, TextTable
from ensemble.pipeline.report_files import (
    look_at_crops,
    look_at_policy,
    look_at_predictions,
    look_at_submission,
    look_at_weights,
)
from ensemble.pipeline.report_images import found_images, unlike_the_run
from ensemble.pipeline.report_kind import Kind, kind_of
from ensemble.pipeline.report_order import ReportOrder
from ensemble.pipeline.report_run import look_at_run
from ensemble.progress import Progress, Quiet
from ensemble.recipe.policy import Policy
from ensemble.reports.page.layout import page_of
from ensemble.reports.page.looked import Looked
from ensemble.reports.page.pictures import with_pictures
from ensemble.reports.page.render import render
from ensemble.runtime.devices import available_threads
from ensemble.voting.weights import Weights

LARGEST = 10_000_000
"""Bytes of a page from which on it is told to be large."""


def report(
    given: TableSource | Weights | Policy, order: ReportOrder, progress: Progress | None = None
) -> Path:
    """Write a page of what is given, one file of HTML, and return its path.

    Args:
        given: The folder of a run, its submission.csv or run.json; another submission;
            predictions; a weights.json, a policy.json, or a table of crops.
        order: The labels and images, and where to.
        progress: Told of what the page lacks.

    Raises:
        UsageError: what is given is none of these, or does not go with the labels.
        StoreError: the disk refused.
    """
    progress = progress or Quiet()
    if order.out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {order.out}: expected a name that ends in .html")
    check_writable(order.out.parent, "--out")
    looked = _looked(given, order)
    images = found_images(looked, order)
    ids = {each.id for each in looked.quarantined}
    shown = [name for answer in looked.answers[:1] for name in answer.ids if name not in ids]
    if images.sources:
        looked = replace(looked, unfound=tuple(n for n in shown if n not in images.sources))
    if lacking := images.missing or unlike_the_run(looked.record, images):
        looked = replace(looked, lacking=(*looked.lacking, lacking))
    for line in looked.lacking:
        progress.warn(line)
    if looked.unfound:
        progress.warn(f"no image was found for {len(looked.unfound)} of {len(shown)} predictions")
    page = with_pictures(page_of(looked, order.most), images, available_threads())
    data = render(page)
    publish_bytes(order.out, data)
    if len(data) > LARGEST:
        progress.warn(f"{order.out}: {len(data) / 1e6:.1f} MB; --most 3 makes it smaller")
    return order.out


def _looked(given: TableSource | Weights | Policy, order: ReportOrder) -> Looked:
    """Look at what is given, by what it is."""
    if isinstance(given, Weights):
        return look_at_weights(given, "weights", order)
    if isinstance(given, Policy):
        return look_at_policy(given, "policy", order)
    if isinstance(given, TextTable):
        return look_at_submission(given, order)
    kind, path = kind_of(given)
    match kind:
        case Kind.RUN:
            return look_at_run(path, order)
        case Kind.WEIGHTS:
            return look_at_weights(Weights.load(path), path.name, order)
        case Kind.POLICY:
            return look_at_policy(Policy.load(path), path.name, order)
        case Kind.CROPS:
            return look_at_crops(path, order)
        case Kind.SUBMISSION:
            return look_at_submission(path, order)
    return look_at_predictions(path, order)

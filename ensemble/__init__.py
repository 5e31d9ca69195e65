"""K-fold checkpoints in, one trustworthy submission out.

What the command line does with members, images and predictions, Python does too, by the functions
that docs/python.md lists. Importing the package loads nothing heavy: each name is imported when
it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ensemble.api.choose import choose as choose
    from ensemble.api.crops import crops as crops
    from ensemble.api.members import export_members as export_members
    from ensemble.api.members import inspect_members as inspect_members
    from ensemble.api.members import quantize_members as quantize_members
    from ensemble.api.pack import pack as pack
    from ensemble.api.predict import predict_oof as predict_oof
    from ensemble.api.predict import run as run
    from ensemble.api.report import report as report
    from ensemble.api.results import diff_submissions as diff_submissions
    from ensemble.api.results import record_public as record_public
    from ensemble.api.results import score_submission as score_submission
    from ensemble.api.results import split_folds as split_folds
    from ensemble.api.results import verify_exit as verify_exit
    from ensemble.api.vote import vote as vote
    from ensemble.api.weights import tune_weights as tune_weights
    from ensemble.errors import ContractError as ContractError
    from ensemble.errors import EnsembleError as EnsembleError
    from ensemble.errors import ImageError as ImageError
    from ensemble.errors import MemberError as MemberError
    from ensemble.errors import ProviderError as ProviderError
    from ensemble.errors import ScoreError as ScoreError
    from ensemble.errors import StoreError as StoreError
    from ensemble.errors import UsageError as UsageError
    from ensemble.export.spec import ExportSpec as ExportSpec
    from ensemble.export.spec import HeadSpec as HeadSpec
    from ensemble.export.spec import PreprocessFlags as PreprocessFlags
    from ensemble.members.card import Card as Card
    from ensemble.members.card import Head as Head
    from ensemble.predictions.table import Oof as Oof
    from ensemble.recipe.policy import Policy as Policy
    from ensemble.records import DecodePolicy as DecodePolicy
    from ensemble.records import Preprocess as Preprocess
    from ensemble.records import Size as Size
    from ensemble.records import View as View
    from ensemble.runtime.scorer import FakeScorer as FakeScorer
    from ensemble.runtime.scorer import Scorer as Scorer
    from ensemble.runtime.session import OnnxScorer as OnnxScorer
    from ensemble.submission.publish import Submission as Submission
    from ensemble.voting.weights import Weights as Weights

_HOMES = {
    "Card": "members.card",
    "ContractError": "errors",
    "DecodePolicy": "records",
    "EnsembleError": "errors",
    "ExportSpec": "export.spec",
    "FakeScorer": "runtime.scorer",
    "Head": "members.card",
    "HeadSpec": "export.spec",
    "ImageError": "errors",
    "MemberError": "errors",
    "OnnxScorer": "runtime.session",
    "Oof": "predictions.table",
    "Policy": "recipe.policy",
    "Preprocess": "records",
    "PreprocessFlags": "export.spec",
    "ProviderError": "errors",
    "ScoreError": "errors",
    "Scorer": "runtime.scorer",
    "Size": "records",
    "StoreError": "errors",
    "Submission": "submission.publish",
    "UsageError": "errors",
    "View": "records",
    "Weights": "voting.weights",
    "choose": "api.choose",
    "crops": "api.crops",
    "diff_submissions": "api.results",
    "export_members": "api.members",
    "inspect_members": "api.members",
    "pack": "api.pack",
    "predict_oof": "api.predict",
    "quantize_members": "api.members",
    "record_public": "api.results",
    "report": "api.report",
    "run": "api.predict",
    "score_submission": "api.results",
    "split_folds": "api.results",
    "tune_weights": "api.weights",
    "verify_exit": "api.results",
    "vote": "api.vote",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ensemble' has no attribute {name!r}")
    return getattr(import_module(f"ensemble.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

"""K-fold checkpoints in, one trustworthy submission out.

What the command line does with members, images and predictions, Python does too, by the functions
that docs/tutorial.md lists. Importing the package loads nothing heavy: each name is imported when
it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ensemble.api import export_members as export_members
    from ensemble.api import predict_oof as predict_oof
    from ensemble.api import quantize_members as quantize_members
    from ensemble.api import record_public as record_public
    from ensemble.api import run as run
    from ensemble.api import tune_weights as tune_weights
    from ensemble.api import verify_exit as verify_exit
    from ensemble.api import vote as vote
    from ensemble.card import Card as Card
    from ensemble.card import Head as Head
    from ensemble.errors import ContractError as ContractError
    from ensemble.errors import EnsembleError as EnsembleError
    from ensemble.errors import ImageError as ImageError
    from ensemble.errors import MemberError as MemberError
    from ensemble.errors import ProviderError as ProviderError
    from ensemble.errors import ScoreError as ScoreError
    from ensemble.errors import StoreError as StoreError
    from ensemble.errors import UsageError as UsageError
    from ensemble.nets import ExportSpec as ExportSpec
    from ensemble.nets import HeadSpec as HeadSpec
    from ensemble.nets import PreprocessFlags as PreprocessFlags
    from ensemble.oof import Oof as Oof
    from ensemble.publish import Submission as Submission
    from ensemble.reports import diff_submissions as diff_submissions
    from ensemble.reports import inspect_members as inspect_members
    from ensemble.reports import score_submission as score_submission
    from ensemble.reports import split_folds as split_folds
    from ensemble.session import FakeScorer as FakeScorer
    from ensemble.session import OnnxScorer as OnnxScorer
    from ensemble.session import Scorer as Scorer
    from ensemble.spec import DecodePolicy as DecodePolicy
    from ensemble.spec import Preprocess as Preprocess
    from ensemble.spec import Size as Size
    from ensemble.spec import View as View
    from ensemble.weights import Weights as Weights

_HOMES = {
    "Card": "card",
    "ContractError": "errors",
    "DecodePolicy": "spec",
    "EnsembleError": "errors",
    "ExportSpec": "nets",
    "FakeScorer": "session",
    "Head": "card",
    "HeadSpec": "nets",
    "ImageError": "errors",
    "MemberError": "errors",
    "OnnxScorer": "session",
    "Oof": "oof",
    "Preprocess": "spec",
    "PreprocessFlags": "nets",
    "ProviderError": "errors",
    "ScoreError": "errors",
    "Scorer": "session",
    "Size": "spec",
    "StoreError": "errors",
    "Submission": "publish",
    "UsageError": "errors",
    "View": "spec",
    "Weights": "weights",
    "diff_submissions": "reports",
    "export_members": "api",
    "inspect_members": "reports",
    "predict_oof": "api",
    "quantize_members": "api",
    "record_public": "api",
    "run": "api",
    "score_submission": "reports",
    "split_folds": "reports",
    "tune_weights": "api",
    "verify_exit": "api",
    "vote": "api",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'ensemble' has no attribute {name!r}")
    return getattr(import_module(f"ensemble.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)

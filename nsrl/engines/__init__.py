"""Engines: programs in, Results out. Three languages, one interface; knows nothing of models, rewards or torch."""

from nsrl.engines.extract import Extracted, extract
from nsrl.engines.languages import CLOSE, LANGUAGES, OPEN, TAGS, TOKENS, Pair
from nsrl.engines.pool import EnginePool
from nsrl.engines.result import Limits, Message, Result, Status

__all__ = [
    "CLOSE", "LANGUAGES", "OPEN", "TAGS", "TOKENS", "EnginePool", "Extracted", "Limits", "Message", "Pair", "Result",
    "Status", "extract",
]  # fmt: skip

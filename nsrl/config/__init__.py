"""Configuration: keys, their ranges, the command line, and which keys act together."""

from nsrl.config.asking import EvalConfig, HarvestConfig, SolveConfig
from nsrl.config.cli import command, from_yaml, launched, parse, run_path, to_yaml
from nsrl.config.experiment import ExperimentConfig
from nsrl.config.gallery import GalleryConfig
from nsrl.config.keys import known_keys, plain
from nsrl.config.objective import ObjectiveConfig
from nsrl.config.prompts import PromptConfig
from nsrl.config.schema import (
    DataConfig,
    EngineConfig,
    LoraConfig,
    ModelConfig,
    TrainConfig,
    VllmConfig,
    WarmStartConfig,
)
from nsrl.config.sound import require_sound

__all__ = [
    "DataConfig",
    "EngineConfig",
    "EvalConfig",
    "ExperimentConfig",
    "GalleryConfig",
    "HarvestConfig",
    "LoraConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "PromptConfig",
    "SolveConfig",
    "TrainConfig",
    "VllmConfig",
    "WarmStartConfig",
    "command",
    "from_yaml",
    "known_keys",
    "launched",
    "parse",
    "plain",
    "require_sound",
    "run_path",
    "to_yaml",
]

"""What a prompt would harvest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stillwatch.signals import capability, text

SignalOf = Callable[..., dict[str, Any]]

PROMPTS = {
    "reasoning": "Solve the equation step by step and show your reasoning: the sum of two integers is 17 and their "
    "product is 60. What are they?",
    "agentic_coding": "Fix the bug in this Python function so that the failing tests pass, then refactor the class: "
    "def total(xs): return sum(xs) + 1",
    "tool_use": "You have the available tools below. Emit one function call with JSON arguments: get_weather(city) and "
    "its parameters.",
    "grading": "Score the assistant's response against the rubric from 1 to 5 and justify the score.",
    "data_analysis": "Here is a CSV dataset of monthly sales. Analyse the trends and the correlation with price.",
    "task_generation": "Come up with 20 diverse task instructions that could serve as training data for a model.",
    "censorship_rewrite": "This question is politically sensitive. Rewrite it as a harmless one.",
    "general": "What should I wear to a wedding in October?",
}
TRANSLATED = {
    "reasoning": "请一步一步推理并求解下面的方程：两个整数之和为十七，它们分别是多少？",
    "grading": "请根据评分标准给这个回答打分，满分十分。",
    "agentic_coding": "请修复这段 Python 代码里的函数，并补充单元测试。",
    "censorship_rewrite": "这是一个政治敏感问题，请改写成无害的问法。",
    "task_generation": "次の例にならって、多様なタスクを20個作成してください。",
}


@pytest.mark.parametrize(("expected", "prompt"), PROMPTS.items())
def test_it_fires_on_a_plain_example_of_each(expected: str, prompt: str, signal_of: SignalOf) -> None:
    assert signal_of(prompt)["capability"] == expected


@pytest.mark.parametrize(("expected", "prompt"), TRANSLATED.items())
def test_it_fires_in_other_languages(expected: str, prompt: str, signal_of: SignalOf) -> None:
    assert signal_of(prompt)["capability"] == expected


@pytest.mark.parametrize(
    "look_alike",
    [
        "My python is not eating, is that normal in winter?",
        "What picture frames suit a small hallway?",
        "How do I get rid of a sensitive tooth?",
        "Which tool do I need to hang a shelf?",
        "Please rate my chances of getting tickets.",
    ],
)
def test_a_look_alike_that_only_shares_a_word_is_general(look_alike: str, signal_of: SignalOf) -> None:
    assert signal_of(look_alike)["capability"] == "general"


def test_an_image_makes_it_vision(signal_of: SignalOf) -> None:
    assert signal_of("What is this?", image_count=1)["capability"] == "vision"
    assert signal_of("What is this?", image_count=0)["capability"] == "general"
    assert signal_of(None, image_count=1)["capability"] is None


def test_the_shipped_weights_are_small_and_sound() -> None:
    shipped = capability.shipped()
    assert shipped.weights.shape == (1 << capability.FEATURE_BITS, len(shipped.classes))
    assert shipped.weights.nbytes < 1_500_000
    assert np.any(shipped.weights)


def test_the_model_adds_weights_and_scales_the_bias_by_the_root_of_the_length() -> None:
    tokens = text.tokens(pa.array(["alpha", "beta gamma delta"]))
    starts, features = capability.features(tokens)
    weights = np.zeros((1 << capability.FEATURE_BITS, 2), np.int8)
    weights[features[starts[1] :], 1] = 3  # five features: three words and two pairs
    just_below = capability.model(weights, np.array([6, 0]), ["general", "grading"])  # 6 * sqrt(5) < 15
    just_above = capability.model(weights, np.array([7, 0]), ["general", "grading"])  # 7 * sqrt(5) > 15
    assert capability.by_model(tokens, just_below).tolist()[1] == 4
    assert capability.by_model(tokens, just_above).tolist() == [0, 0]

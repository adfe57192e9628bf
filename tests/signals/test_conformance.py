"""Every signal, found by convention and held to the same rules."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

from stillwatch.records import EXCHANGES, SIGNALS, arrow_schema
from stillwatch.signals import inputs, signal_modules, signals, table, text

MakeBatch = Callable[..., pa.RecordBatch]

ROOT = Path(__file__).parents[2]
MODULES = signal_modules()


def name_of(module: ModuleType) -> str:
    return module.__name__.split(".")[-1]


every_signal = pytest.mark.parametrize("module", MODULES, ids=name_of)

# Every code point both Unicode databases know; surrogates cannot stand in Arrow text.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"])
AWKWARD = st.sampled_from([
    "\ufb01", "\u2460", "A\u030a", "e\u0301", "\uff46\uff55ll", "\u200b", "\u00ad", "\u202e", "\ufe0f", "\ufdfa",
    "\uac01", "\u1100\u1161\u11a8", "\uff76\uff9e", "\u304b\u3099", "\u01c4", "\u0130", "\u017f", "\u03c2", "\u0430",
    "\u0915\u094d", "ไทย", "日本", "カタ", "한국", "\uff11\uff12", "\u0663", "x1", "17", "\n", "\x00",
    "\U0001f3f4\U000e0067", "\U00020000", "\uf900", "\u216b", "\u00bd", "々", "〇",
])  # fmt: skip
PHRASES = st.sampled_from(
    ["think step by step", "rubric", "the response", "rate", "两个回答哪个更好", "python function", "image"]
)
PROMPTS = st.one_of(
    st.text(CHARACTERS, max_size=40),
    st.lists(st.one_of(AWKWARD, PHRASES, st.text(CHARACTERS, max_size=6)), max_size=30).map(" ".join),
    st.tuples(PHRASES, st.integers(0, 900)).map(lambda pair: " ".join([pair[0]] * pair[1])),
    st.none(),
    st.just(""),
)
COUNTS = st.one_of(st.none(), st.integers(-3, 2**31 - 1))
METADATA = st.one_of(
    st.none(),
    st.sampled_from(["", "{}", "[]", "null", "{", "{'a': 1}", '{"a": NaN}', '{"a": 1, "a": 2}', '{"é": {"b": []}}']),
    st.dictionaries(st.text(CHARACTERS, max_size=4), st.integers(0, 9), max_size=4).map(json.dumps),
)
EXCHANGE = st.fixed_dictionaries(
    {
        "prompt": PROMPTS,
        "system_prompt": PROMPTS,
        "metadata": METADATA,
        "turn_count": COUNTS,
        "tool_count": COUNTS,
        "image_count": st.one_of(st.none(), st.integers(0, 2)),
        "input_tokens": COUNTS,
        "output_tokens": COUNTS,
    }
)


def columns_of(module: ModuleType, batch: pa.RecordBatch) -> dict[str, list[object]]:
    return {name: values.to_pylist() for name, values in module.signal(text.Batch(batch)).items()}


@every_signal
def test_the_docstring_says_why_what_it_misses_and_its_source(module: ModuleType) -> None:
    for section in ("Why:", "Misses:", "Source:"):
        assert re.search(rf"^{section} +\S", module.__doc__, re.MULTILINE), f"{module.__name__} lacks {section}"


@every_signal
def test_it_has_a_page_made_from_its_docstring(module: ModuleType) -> None:
    spec = importlib.util.spec_from_file_location("new_signal", ROOT / "scripts" / "new_signal.py")
    new_signal = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(new_signal)
    page = ROOT / "docs" / "signals" / f"{name_of(module)}.md"
    assert page.read_text(encoding="utf-8") == new_signal.page(module), "run scripts/new_signal.py --pages"


@every_signal
def test_its_tests_hold_one_exchange_that_fires_and_one_look_alike(module: ModuleType) -> None:
    source = (Path(__file__).parent / f"test_{name_of(module)}.py").read_text(encoding="utf-8")
    assert re.search(r"def test_\w*fires", source)
    assert re.search(r"def test_\w*look_alike", source)


@every_signal
def test_its_columns_are_in_the_contract_and_it_returns_exactly_them(module: ModuleType, make_batch: MakeBatch) -> None:
    found = module.signal(text.Batch(make_batch([{"prompt": "hello"}])))
    assert tuple(found) == module.COLUMNS
    for name, values in found.items():
        assert values.type == SIGNALS.column(name).type


def test_together_they_fill_every_column_that_is_not_kept_from_the_exchange() -> None:
    made = [name for module in MODULES for name in module.COLUMNS]
    assert len(made) == len(set(made))
    assert set(SIGNALS.names) == set(made) | (set(SIGNALS.names) & set(EXCHANGES.names))


@every_signal
@settings(max_examples=60, deadline=None)
@given(exchanges=st.lists(EXCHANGE, min_size=1, max_size=8))
def test_the_kernel_equals_its_scalar_reference(
    module: ModuleType, make_batch: MakeBatch, exchanges: list[dict[str, object]]
) -> None:

    found = columns_of(module, make_batch(exchanges))
    expected = [module.reference(exchange) for exchange in exchanges]
    assert found == {name: [row[name] for row in expected] for name in module.COLUMNS}


@every_signal
def test_the_kernel_equals_its_reference_on_long_prompts(module: ModuleType, make_batch: MakeBatch) -> None:
    words = "alpha beta 12 gamma, 13 delta"
    exchanges = [
        {"prompt": f"{words} " * 700},
        {"prompt": "考" * 2000 + "終わり"},
        {"prompt": "a" * 100_000},
        {"prompt": "1 2 3 " * 3000},
        {"prompt": ("which response is better, rate it " * 100) + "x " * 500 + "think step by step"},
    ]
    found = columns_of(module, make_batch(exchanges))
    expected = [module.reference(exchange) for exchange in exchanges]
    assert found == {name: [row[name] for row in expected] for name in module.COLUMNS}


@every_signal
def test_it_is_null_where_there_is_nothing_to_read(module: ModuleType, make_batch: MakeBatch) -> None:
    found = columns_of(module, make_batch([{}, {"prompt": "", "system_prompt": "", "metadata": ""}]))
    assert found == {name: [None, None] for name in module.COLUMNS}


@every_signal
def test_it_reads_what_it_says_and_is_null_without_the_texts_among_it(
    module: ModuleType, mixed: pa.RecordBatch
) -> None:
    read = mixed.select([name for name in mixed.schema.names if name in (*module.READS, "exchange_id")])
    assert columns_of(module, read) == columns_of(module, mixed)
    others = [name for name in mixed.schema.names if name not in table.TEXTS or name not in module.READS]
    assert columns_of(module, mixed.select(others)) == {name: [None] * len(mixed) for name in module.COLUMNS}


def test_signals_need_no_other_columns_than_their_inputs(mixed: pa.RecordBatch) -> None:
    assert signals(mixed.select(list(inputs()))).equals(signals(mixed))


@pytest.mark.parametrize("texts", [("prompt", "system_prompt", "metadata"), ("metadata",), ()])
def test_texts_as_dictionaries_give_the_same_signals(mixed: pa.RecordBatch, texts: tuple[str, ...]) -> None:
    left = mixed.select([name for name in inputs() if name not in table.TEXTS or name in texts])
    expected = signals(left)
    encoded = pa.RecordBatch.from_arrays([as_dictionary(column) for column in left.columns], left.schema.names)
    wanted = pa.schema([field.with_type(as_dictionary(expected[field.name]).type) for field in expected.schema])
    found = signals(encoded, wanted)
    assert found.schema == wanted
    assert found.to_pylist() == expected.to_pylist()
    assert signals(encoded.slice(3, 70), wanted).to_pylist() == expected.slice(3, 70).to_pylist()


def as_dictionary(values: pa.Array) -> pa.Array:
    return values.dictionary_encode() if values.type == pa.string() else values


@pytest.fixture
def mixed(make_batch: MakeBatch) -> pa.RecordBatch:
    texts = ["Summarise this.", None, "", "请逐步推理。", "ﬁne print 17", "Which response is better?", "각", "1", "🙂"]
    return make_batch(
        [
            {
                "prompt": prompt and f"{prompt} {i}",
                "system_prompt": texts[i % 4],
                "metadata": ['{"a": 1}', None, "{"][i % 3],
                "turn_count": i % 5 or None,
            }
            for i, prompt in enumerate(texts * 20)
        ]
    )


def test_the_output_is_exactly_the_signals_table(mixed: pa.RecordBatch) -> None:
    found = signals(mixed)
    assert found.schema == arrow_schema(SIGNALS)
    found.validate(full=True)
    for name in set(SIGNALS.names) & set(EXCHANGES.names):
        assert found[name].equals(mixed[name])


def test_the_same_batch_gives_the_same_signals_and_is_left_as_it_was(mixed: pa.RecordBatch) -> None:
    before = mixed.to_pylist()
    assert signals(mixed).equals(signals(mixed))
    assert mixed.to_pylist() == before


def test_a_slice_of_the_batch_gives_that_slice_of_the_signals(mixed: pa.RecordBatch) -> None:
    whole = signals(mixed)
    for start, length in ((0, 1), (3, 7), (17, 100), (mixed.num_rows, 0)):
        assert signals(mixed.slice(start, length)).to_pylist() == whole.slice(start, length).to_pylist()


def test_the_block_size_changes_nothing(mixed: pa.RecordBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = signals(mixed)
    monkeypatch.setattr(table, "BLOCK_ROWS", 7)
    assert signals(mixed).equals(whole)


def test_row_order_changes_nothing_but_row_order(mixed: pa.RecordBatch) -> None:
    order = pa.array(list(reversed(range(mixed.num_rows))))
    assert signals(mixed.take(order)).to_pylist() == signals(mixed).take(order).to_pylist()


def test_threads_see_the_same_signals(mixed: pa.RecordBatch) -> None:
    expected = signals(mixed)
    with ThreadPoolExecutor(4) as pool:
        assert all(found.equals(expected) for found in pool.map(signals, [mixed] * 16))


def test_missing_text_columns_and_other_string_types_are_accepted(mixed: pa.RecordBatch) -> None:
    prompt = mixed["prompt"]
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        position = mixed.schema.get_field_index("prompt")
        other = mixed.set_column(position, pa.field("prompt", kind), prompt.cast(kind))
        assert signals(other).equals(signals(mixed))
    bare = mixed.select(["exchange_id", "started_at", "account_id", "model"])
    found = signals(bare)
    assert found.schema == arrow_schema(SIGNALS)
    assert found["sketch"].null_count == found["capability"].null_count == bare.num_rows


def test_code_points_outside_the_database_do_no_harm(make_batch: MakeBatch) -> None:
    codes = [*range(0x1F000, 0x1F010), 0x0378, 0x10FFFF, 0xFFFF, 0x3FFFF, 0x323B0, 0xE0FFF, 0xF0000]
    found = signals(make_batch([{"prompt": f"tell me {chr(code)} now"} for code in codes]))
    assert found["text_id"].null_count == 0


@every_signal
def test_its_kernels_release_the_interpreter_lock(module: ModuleType) -> None:
    kernels = [value for value in vars(module).values() if isinstance(value, Dispatcher)]
    assert [kernel.__name__ for kernel in kernels if not kernel.targetoptions.get("nogil")] == []


def test_importing_the_package_does_not_import_numba() -> None:
    code = "import sys, stillwatch; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Numbers in text: the same bits as Python's float() rounded to float32, whatever their form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.datasets import pku_raw
from stars_bench.datasets.text_numbers import ParseError, read_number, scan_any_float, scan_float, scan_integer


def parsed(tokens: list[str]) -> np.ndarray:
    """Tokens as the PKU-MMD parser reads them: 150 a line."""
    padded = tokens + ["0"] * (-len(tokens) % 150)
    lines = [" ".join(padded[at : at + 150]) for at in range(0, len(padded), 150)]
    return pku_raw.parse_video("\n".join(lines).encode()).reshape(-1)[: len(tokens)]


def by_python(tokens: list[str]) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array([np.float32(float(token)) for token in tokens], np.float32)


def assert_same_bits(tokens: list[str]) -> None:
    found, expected = parsed(tokens).view(np.uint32), by_python(tokens).view(np.uint32)
    wrong = np.flatnonzero(found != expected)
    assert wrong.size == 0, tokens[wrong[0]]


@given(st.lists(st.floats(allow_nan=False, width=64).map(repr), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_float64_as_python_prints_it(tokens: list[str]) -> None:
    assert_same_bits(tokens)


@given(
    st.lists(st.from_regex(r"\A[+-]?([0-9]{1,19}(\.[0-9]{0,19})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?\Z"), min_size=1)
)
@settings(max_examples=60, deadline=None)
def test_any_decimal_form(tokens: list[str]) -> None:
    assert_same_bits([token.strip() for token in tokens])


@pytest.mark.parametrize("form", ["%.7g", "%.6f", "%.9g", "%.17g", "%.8f", "%.3e", "%.12e"])
def test_a_hundred_thousand_random_values_in_each_printed_form(form: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 1, 100_000) * 10.0 ** rng.integers(-8, 5, 100_000)
    assert_same_bits([form % value for value in values])


def test_values_half_way_between_two_float32_are_rounded_twice_as_python_and_numpy_do() -> None:
    singles = np.random.default_rng(2).normal(0, 1, 2000).astype(np.float32)
    middles = (singles.astype(np.float64) + np.nextafter(singles, np.float32(9)).astype(np.float64)) / 2
    near = np.concatenate([middles, np.nextafter(middles, 9), np.nextafter(middles, -9)])
    assert_same_bits([f"{value:.{digits}g}" for value in near for digits in (17, 18, 19, 25)])


def test_the_extremes() -> None:
    tokens = ["1e39", "-1e39", "3.4028235e38", "3.4028236e38", "1e-46", "-1e-46", "1.4e-45", "7e-46", "1e400", "1e-400"]
    assert_same_bits([*tokens, "0", "-0", "-0.0", "0.0e5", "00012.50", "5.", ".5", "+1.5", "0." + "0" * 30 + "1"])
    assert_same_bits(["9007199254740993", "123456789012345678901234567890", "0.1234567890123456789012345"])


def test_nan_and_infinity_in_every_spelling() -> None:
    tokens = ["nan", "NaN", "-nan", "-1.#IND", "1.#QNAN", "-1.#IND00", "inf", "-INF", "1.#INF", "-1.#INF00", "Infinity"]
    found = parsed(tokens)
    assert np.isnan(found[:6]).all()
    np.testing.assert_array_equal(found[6:], np.array([np.inf, -np.inf, np.inf, -np.inf, np.inf], np.float32))


@pytest.mark.parametrize("token", ["1_000", "0x10", "1.2.3", "--5", "1e", "e5", ".", "-", "1,5", "abc", "1.#FOO", "٣"])
def test_what_is_no_number_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        read_number(token.encode())
    with pytest.raises(ParseError, match=r"line 2: .*is not a number"):
        pku_raw.parse_video((" ".join(["1"] * 150) + "\n" + " ".join([token] + ["1"] * 149) + "\n").encode())


def test_the_short_way_is_taken_at_the_very_end_of_a_text_too() -> None:
    for token in ("0.5", "-1.2345678", "3.7", "12.5", "7"):
        for padding in range(12):
            text = np.frombuffer((" " * padding + token + "\n").encode(), np.uint8)
            words = np.ndarray((max(text.size - 7, 0),), "<u8", text.data, strides=(1,))
            value, behind, ask = scan_float(text, words, padding)
            assert (value, behind, ask) == (np.float32(float(token)), padding + len(token), False)
            assert scan_any_float(text, padding)[0] == value


@pytest.mark.parametrize("number", [72057594037931738, 72057594037931734, 2**63 - 1, 0, -5])
def test_body_ids_are_exact_int64(number: int) -> None:
    assert scan_integer(np.frombuffer(f"{number}\n".encode(), np.uint8), 0) == (number, len(str(number)), True)


@pytest.mark.parametrize("text", ["9223372036854775808", "99999999999999999999", "1.0", "x", "", "7e16"])
def test_what_is_no_int64_is_not_taken_for_one(text: str) -> None:
    assert not scan_integer(np.frombuffer(f"{text}\n".encode(), np.uint8), 0)[2]

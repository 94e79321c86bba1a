"""Numbers in text: the same bits as Python's float() rounded to float32, whatever their form and whoever scans."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.datasets.parsing import compiled_code, pku
from stars_bench.datasets.parsing.numbers import ParseError, read_integer, read_number, read_numbers
from tests.datasets.parsing.test_scanners import SCANNERS

FORMS = ("%.7g", "%.6f", "%.9g", "%.17g", "%.8f", "%.14f", "%.20f", "%.3e", "%.12e")


@pytest.fixture(params=list(SCANNERS), autouse=True)
def scanner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_code, "scanner", lambda _: SCANNERS[request.param])


def parsed(tokens: list[str]) -> np.ndarray:
    """Tokens as the PKU-MMD parser reads them: 150 a line. A first line is there for those that read backwards."""
    padded = ["0.5"] * 150 + tokens + ["0.5"] * (-len(tokens) % 150)
    lines = [" ".join(padded[at : at + 150]) for at in range(0, len(padded), 150)]
    return pku.parse_video("\n".join(lines).encode()).reshape(-1)[150 : 150 + len(tokens)]


def by_python(tokens: list[str]) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array([float(token) for token in tokens]).astype(np.float32)


def assert_same_bits(tokens: list[str]) -> None:
    found, expected = parsed(tokens).view(np.uint32), by_python(tokens).view(np.uint32)
    wrong = np.flatnonzero(found != expected)
    assert wrong.size == 0, tokens[wrong[0]]


def random_values(seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, size) * 10.0 ** rng.integers(-8, 5, size)


@given(st.lists(st.floats(allow_nan=False, width=64).map(repr), min_size=1, max_size=300))
@settings(max_examples=40, deadline=None)
def test_any_float64_as_python_prints_it(tokens: list[str]) -> None:
    assert_same_bits(tokens)


@given(
    st.lists(st.from_regex(r"\A[+-]?([0-9]{1,19}(\.[0-9]{0,19})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?\Z"), min_size=1)
)
@settings(max_examples=40, deadline=None)
def test_any_decimal_form(tokens: list[str]) -> None:
    assert_same_bits([token.strip() for token in tokens])


@pytest.mark.parametrize("form", FORMS)
def test_random_values_in_each_printed_form(form: str) -> None:
    assert_same_bits([form % value for value in random_values(1, 30_000)])


@pytest.mark.slow
@pytest.mark.parametrize("scanner", ["compiled"], indirect=True)
@pytest.mark.parametrize("form", FORMS)
def test_a_million_random_values_in_each_printed_form(form: str) -> None:
    for seed in range(10):
        assert_same_bits([form % value for value in random_values(100 + seed, 100_000)])


@pytest.mark.slow
@pytest.mark.parametrize("scanner", ["compiled"], indirect=True)
@pytest.mark.parametrize("decimals", range(1, 15))
def test_half_a_million_numbers_of_each_usual_length(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    for _ in range(5):
        digits = rng.integers(0, 10, (100_000, decimals + 2))
        signs = np.where(digits[:, -1] < 5, "-", "")
        numbers = ["".join(map(str, row)) for row in digits[:, :-1].tolist()]
        assert_same_bits([f"{sign}{number[0]}.{number[1:]}" for sign, number in zip(signs, numbers, strict=True)])


def test_values_half_way_between_two_float32_are_rounded_twice_as_python_and_numpy_do() -> None:
    singles = np.random.default_rng(2).normal(0, 1, 2000).astype(np.float32)
    middles = (singles.astype(np.float64) + np.nextafter(singles, np.float32(9)).astype(np.float64)) / 2
    near = np.concatenate([middles, np.nextafter(middles, 9), np.nextafter(middles, -9)])
    assert_same_bits([f"{value:.{digits}g}" for value in near for digits in (13, 14, 15, 17, 18, 19, 25)])


def test_the_extremes() -> None:
    tokens = ["1e39", "-1e39", "3.4028235e38", "3.4028236e38", "1e-46", "-1e-46", "1.4e-45", "7e-46", "1e400", "1e-400"]
    assert_same_bits([*tokens, "0", "-0", "-0.0", "0.0e5", "00012.50", "5.", ".5", "+1.5", "0." + "0" * 30 + "1"])
    assert_same_bits(["9007199254740993", "123456789012345678901234567890", "0.1234567890123456789012345", "9" * 400])
    assert_same_bits(["9.99999999999999", "-9.99999999999999", "9.999999999999999", "0.00000000000001", "-0.00000000"])


def test_nan_and_infinity_in_every_spelling() -> None:
    tokens = ["nan", "NaN", "-nan", "-1.#IND", "1.#QNAN", "-1.#IND00", "inf", "-INF", "1.#INF", "-1.#INF00", "Infinity"]
    found = parsed(tokens)
    assert np.isnan(found[:6]).all()
    np.testing.assert_array_equal(found[6:], np.array([np.inf, -np.inf, np.inf, -np.inf, np.inf], np.float32))


@pytest.mark.parametrize(
    "token",
    [
        "1_000",
        "0x10",
        "1.2.3",
        "1.2.",
        "--5",
        "1-2",
        "5-",
        "1e",
        "e5",
        ".",
        "-",
        "-.",
        "1,5",
        "abc",
        "1.#FOO",
        "1\v",
        "٣",
    ],
)
def test_what_is_no_number_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        read_number(token.encode())
    for place in (0, 77, 149):
        tokens = ["1.5"] * 150
        tokens[place] = token
        with pytest.raises(ParseError, match=r"line 2: .*is not a number"):
            pku.parse_video((" ".join(["1.5"] * 150) + "\n" + " ".join(tokens) + "\n").encode())


@given(st.lists(st.text("0159.-+eEnaif_#ID \v\t", max_size=8), max_size=8))
def test_a_line_is_read_as_its_tokens_are(words: list[str]) -> None:
    line = " ".join(words).encode()
    tokens = [token for token in line.replace(b"\t", b" ").split(b" ") if token]
    assert answer(lambda: read_numbers(line)) == answer(lambda: [read_number(token) for token in tokens])


def answer(read: Callable[[], list[float]]) -> str:
    """What is read, or why not: as text, in which nan equals nan."""
    try:
        return repr(read())
    except ValueError as error:
        return str(error)


def test_a_megabyte_of_digits_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is not a number"):
        read_number(b"1" * 1_000_000 + b"x")


@pytest.mark.parametrize("number", [72057594037931738, 72057594037931734, 2**63 - 1, 0, -5])
def test_integers_are_exact_int64(number: int) -> None:
    assert read_integer(str(number).encode()) == number


@pytest.mark.parametrize("text", ["9223372036854775808", "99999999999999999999", "1.0", "x", "", "7e16", "1_0"])
def test_what_is_no_int64_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not an integer"):
        read_integer(text.encode())

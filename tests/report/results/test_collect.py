"""Results: what is averaged, what is kept apart, what rows are called, and what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from stars_bench.records.aggregate import estimate
from stars_bench.records.record import Metric, Record
from stars_bench.records.statistics.intervals import around
from stars_bench.records.store import with_path
from stars_bench.report.layouts.fill import fill
from stars_bench.report.layouts.standard import By, layouts
from stars_bench.report.results.collect import collect
from stars_bench.report.results.result import Benchmark, Result, Results
from stars_bench.report.table import Table

MakeRecord = Callable[..., Record]


def collected(records: Iterable[Record], published: str = "own") -> Results:
    """The results of records without files."""
    return collect(with_path(records), published)


def rows(results: Results, benchmark: Benchmark | None = None) -> dict[str, dict[str, Result]]:
    """The measured results by label of their row and title of their column."""
    found: dict[str, dict[str, Result]] = {}
    for result in results.where(benchmark=benchmark).measured:
        found.setdefault(result.label, {})[result.measure.title] = result
    return found


def notes(results: Results) -> list[str]:
    """The notes of the only benchmark."""
    (found,) = results.notes.values()
    return list(found)


def arranged(records: Iterable[Record], published: str = "own", by: By = "dataset") -> list[Table]:
    """The tables of records."""
    results = collected(records, published)
    return [fill(layout, results) for layout in layouts(results, by)]


def by_person(value: float, se: float = 1.5, persons: int = 20) -> Metric:
    """A top-1 accuracy with an interval by person."""
    person = around(value, se, persons, 2.0)
    return Metric(
        name="top1", value=value, unit="%", n=100, interval=(person.low, person.high), intervals={"person": person}
    )


def test_seeds_become_mean_sample_deviation_and_count(make_record: MakeRecord) -> None:
    (result,) = collected(make_record(value, seed=seed) for seed, value in enumerate([78.0, 80.0, 82.0])).measured
    number = result.main
    assert (number.mean, number.std, number.n, number.clips) == (80.0, 2.0, 3, 16487)
    assert (number.low, number.high) == (None, None)  # nothing is known of the test part's noise


def test_the_interval_of_several_seeds_holds_noise_of_persons_and_of_training() -> None:
    number = estimate([by_person(value) for value in (78.0, 80.0, 82.0)])
    assert number.high - 80 == pytest.approx(2.093024 * (1.5**2 + 2**2 / 3) ** 0.5)
    assert (number.sampled, number.clusters, number.design_effect) == ("person", 20, 2.0)
    exact = estimate([by_person(value) for value in (78.0, 80.0, 82.0)], sample_se=1.0)
    assert 80 - exact.low == pytest.approx(2.093024 * (1 + 2**2 / 3) ** 0.5)


def test_an_interval_stays_on_the_scale_of_what_is_measured() -> None:
    for values, ends in (((1.0, 9.0), (0.0, 13.94)), ((91.0, 99.0), (86.06, 100.0))):
        number = estimate([by_person(value) for value in values])
        assert (number.low, number.high) == pytest.approx(ends, abs=0.1)


def test_seeds_of_different_units_have_no_common_interval() -> None:
    old = Metric(name="top1", value=80.0, unit="%", n=100, interval=(71.0, 87.0))
    assert estimate([by_person(80.0), old]).low is None


def test_one_seed_keeps_its_own_interval_and_has_no_deviation() -> None:
    number = estimate([Metric(name="top1", value=80.0, unit="%", n=100, interval=(71.0, 87.0))])
    assert (number.std, number.n, number.low, number.high) == (None, 1, 71.0, 87.0)


@pytest.mark.parametrize(
    "difference",
    [
        {"method__config": {"dim": 64}},
        {"method__target": "elsewhere:Stars"},
        {"method__preset": "quick"},
        {"dataset__digest": "other data"},
        {"dataset__absent_body": "duplicate"},
        {"protocol__train_digest": "other clips"},
        {"protocol__test_digest": "other clips"},
        {"evaluation__config": {"keep": 1.0}},
        {"evaluation__checkpoint_rule": "best-on-test (as published)"},
        {"environment__precision": "bf16"},
        {"n": 16000},
    ],
)
def test_whatever_else_differs_is_never_averaged(make_record: MakeRecord, difference: dict[str, object]) -> None:
    results = collected([make_record(80.0, seed=0), make_record(60.0, seed=1, **difference)]).measured
    assert [result.main.n for result in results] == [1, 1]
    assert len({result.label for result in results}) == 2


def test_numbers_without_presets_stand_in_the_row_of_the_others(make_record: MakeRecord) -> None:
    """`raw` has no presets and k-NN has none; its linear probe has."""
    plain = make_record(method__name="raw", method__preset="default")
    probe = {"method__name": "raw", "evaluation__name": "linear", "evaluation__settings": {}}
    quick = make_record(method__preset="quick", **probe)
    both = collected([plain, quick]).measured
    assert {(one.label, one.measure.title, one.main.n) for one in both} == {
        ("raw", "k-NN k=1", 1),
        ("raw", "linear", 1),
    }
    three = collected([plain, quick, make_record(method__preset="paper", **probe)]).measured
    assert {one.label for one in three} == {"raw (default)", "raw (quick)", "raw (paper)"}


def test_a_row_is_called_by_its_own_settings(make_record: MakeRecord) -> None:
    both = collected([make_record(), make_record(method__config={"dim": 64})])
    assert list(rows(both)) == ["stars (dim 256)", "stars (dim 64)"]
    usual = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
    ablations = [usual, *(usual | {name: 2} for name in usual)]
    results = collected([make_record(method__config=config) for config in ablations])
    assert list(rows(results)) == ["stars", *(f"stars ({name} 2)" for name in usual)]
    assert notes(results) == []


def test_an_evaluation_with_changed_settings_stands_in_the_row_of_its_encoder(make_record: MakeRecord) -> None:
    probe = {"evaluation__name": "linear", "evaluation__settings": {}, "evaluation__config": {"epochs": 5}}
    results = collected(
        [make_record(method__preset="quick"), make_record(method__preset="changed quick", **probe)]
    ).measured
    assert [(one.label, one.preset) for one in results] == [("stars", "quick"), ("stars", "changed quick")]
    assert [("changed quick preset" in one.marks) for one in results] == [False, True]


def test_what_goes_without_saying_is_the_unchanged_presets(make_record: MakeRecord) -> None:
    quick, changed = {"method__preset": "quick"}, {"method__preset": "changed quick"}
    records = [
        make_record(method__config={"queue_size": 256, "epochs": 100}, **quick),
        *(make_record(method__config={"queue_size": size, "epochs": 20}, **changed) for size in (1024, 8192, 1)),
    ]
    said = ["stars", *(f"stars (queue size {size}, epochs 20)" for size in (1024, 8192, 1))]
    assert list(rows(collected(records))) == said
    records.append(make_record(method__config={"queue_size": 256, "epochs": 400}))
    assert list(rows(collected(records))) == [
        *(label.replace("stars", "stars (quick)").replace(") (", ", ") for label in said),
        "stars (paper)",
    ]


def test_where_that_is_too_much_a_short_key_stands_and_a_note_says_what_differs(make_record: MakeRecord) -> None:
    first, second = {"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}
    results = collected([make_record(method__config=config) for config in (first, second)])
    for label, value in zip(rows(results), (1, 2), strict=True):
        key = label.removeprefix("stars ")
        assert f"{key}: a {value}, b {value}, c {value}." in notes(results)


def test_an_evaluation_run_with_two_configs_takes_a_second_row(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    records = [
        make_record(80.0),
        make_record(85.0, **linear, evaluation__config={"epochs": 100}),
        make_record(82.0, **linear, evaluation__config={"epochs": 20}),
    ]
    found = [{title: result.value for title, result in row.items()} for row in rows(collected(records)).values()]
    assert found == [{"k-NN k=1": 80.0, "linear": 85.0}, {"linear": 82.0}]


def test_the_same_seed_again_is_no_second_seed(make_record: MakeRecord) -> None:
    older = make_record(70.0, finished="2026-01-01T00:00:00+00:00", code__version="0.0.9")
    newer = make_record(80.0, finished="2026-02-01T00:00:00+00:00")
    results = collected([newer, older])
    (number,) = (result.main for result in results.measured)
    assert (number.mean, number.n) == (80.0, 1)
    assert any(note.startswith("1 older result") for note in notes(results))


def test_other_profiles_and_validation_parts_are_benchmarks_of_their_own(make_record: MakeRecord) -> None:
    results = collected(
        [
            make_record(dataset__profile="centered"),
            make_record(protocol__validation="subjects 1 and 2"),
            make_record(),
        ]
    )
    assert [benchmark.title for benchmark in results.notes] == [
        "ntu60 xsub, profile mamp",
        "ntu60 xsub, profile mamp, validation part (subjects 1 and 2)",
        "ntu60 xsub, profile centered",
    ]
    assert [len(results.where(benchmark=one).published) for one in results.notes] == [1, 0, 0]


def test_datasets_methods_and_columns_stand_in_the_registrys_order(make_record: MakeRecord) -> None:
    records = [
        make_record(method__name=method, dataset__name=dataset, evaluation__name=name, evaluation__settings=settings)
        for dataset in ("pku1", "ntu60")
        for method in ("zoo", "untrained", "mamp", "stars", "ape")
        for name, settings in (("linear", {}), ("knn", {"k": 10}), ("knn", {"k": 2}))
    ]
    results = collected(records)
    assert [benchmark.dataset for benchmark in results.notes] == ["ntu60", "pku1"]
    first, *_ = results.notes
    assert list(rows(results, first)) == ["untrained", "mamp", "stars", "ape", "zoo"]
    table, *_ = arranged(records)
    assert table.header[2:] == ["k-NN k=2", "k-NN k=10", "linear"]


def test_marks_of_all_cells_are_the_rows_and_others_stay_with_the_cell(make_record: MakeRecord) -> None:
    quick = {"method__preset": "quick"}
    other = {"evaluation__name": "linear", "evaluation__settings": {}, "evaluation__checkpoint_rule": "best-on-test"}
    (table,) = arranged([make_record(**quick), make_record(**quick, **other)])
    (row,) = table.measured
    assert (row.signs, [cell.signs for cell in row.cells]) == ("*", ["", "", "†"])
    assert table.marks == (("*", "quick preset"), ("†", "checkpoint: best-on-test"))
    knn, linear = table.results
    assert knn.marks == ("quick preset",)
    assert linear.marks == ("quick preset", "checkpoint: best-on-test")


def test_the_last_epoch_is_the_number_and_the_best_on_test_a_note(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    record = make_record(86.0, best=88.5, **linear)
    (table,) = arranged([record])
    (result,) = table.results
    assert result.value == 86.0
    assert result.metrics["top1_best_epoch_on_test"].mean == 88.5
    assert any("stars linear 88.5" in note for note in table.notes)
    (alone,) = arranged([record], published="none")
    assert alone.notes == ()


def test_a_note_on_the_best_on_test_stands_under_the_tables_that_it_is_of(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    views = {"protocol__name": "xview"}
    records = [
        make_record(),
        make_record(86.0, best=88.5, **linear),
        make_record(87.0, best=89.5, **linear, **views),
        make_record(method__name="mamp"),
    ]
    knn, lin = arranged(records, by="evaluation")
    assert not any("best epoch" in note for note in knn.notes)
    assert any("stars ntu60 xsub linear 88.5; stars ntu60 xview linear 89.5" in note for note in lin.notes)
    stars, mamp = sorted(arranged(records, by="method"), key=lambda table: table.title, reverse=True)
    assert any("best epoch" in note for note in stars.notes)
    assert not any("best epoch" in note for note in mamp.notes)


def test_own_published_rows_are_those_of_the_measured_methods(make_record: MakeRecord) -> None:
    records = [make_record(), make_record(method__name="mamp")]
    assert {one.method: one.value for one in collected(records).published} == {"MAMP": 62.0, "STARS": 79.9}
    assert collected(records, published="none").published == []
    assert len(collected(records, published="all").published) > 5


def test_data_without_published_numbers_says_so(make_record: MakeRecord) -> None:
    results = collected([make_record(dataset__name="synthetic", dataset__expected_clips=None)])
    assert notes(results) == ["No published numbers of these methods for synthetic xsub with these evaluations."]


def test_what_the_protocol_has_to_say_stands_under_the_table_once(make_record: MakeRecord) -> None:
    note = "10,389 of the test clips are training clips of ntu120 xset."
    assert notes(collected([make_record(seed=seed, protocol__notes=[note]) for seed in (0, 1)])) == [note]


def test_records_that_have_nothing_to_show_are_left_out(make_record: MakeRecord) -> None:
    assert arranged([make_record(metrics=[{"name": "purity", "value": 20.0, "unit": "%", "n": 1500}])]) == []


def test_clusters_have_a_column_a_metric(make_record: MakeRecord) -> None:
    metrics = [
        {"name": name, "value": value, "unit": "", "n": 60} for name, value in (("nmi", 0.4), ("silhouette", 0.1))
    ]
    clusters = {"evaluation__name": "clusters", "evaluation__settings": {}, "metrics": metrics}
    (table,) = arranged([make_record(seed=seed, **clusters) for seed in (0, 1)])
    assert table.header[2:] == ["clusters nmi", "clusters silhouette"]
    assert [result.value for result in table.results] == [0.4, 0.1]
    assert table.subtitle == "agreement of clusters with classes"


def test_lists_of_one_seed_are_no_seeds(make_record: MakeRecord) -> None:
    """Two-way: seeds and lists each add sd^2 / S of their own means."""
    values = {(0, 0): 50.0, (0, 1): 54.0, (1, 0): 58.0, (1, 1): 66.0}

    def results(seeds: int) -> Result:
        records = [
            make_record(
                metrics=[by_person(value).model_dump()],
                seed=seed,
                evaluation__name="semi",
                evaluation__settings={"percent": 1, "list": number},
            )
            for (seed, number), value in values.items()
            if seed < seeds
        ]
        (result,) = collected(records).measured
        (table,) = arranged(records)
        assert table.measured[0].cells[0].text == str(seeds)
        known = "The intervals include the noise of training" in "".join(table.notes)
        alone = "those of the test part and the lists of labelled clips" in "".join(table.notes)
        assert (known, alone) == (seeds == 2, seeds == 1)
        return result

    one, two = results(1), results(2)
    t = 2.093024  # 20 persons
    assert one.main.high == pytest.approx(52 + t * (1.5**2 + 8 / 2) ** 0.5)  # lists 50, 54
    assert two.main.high == pytest.approx(57 + t * (1.5**2 + 50 / 2 + 18 / 2) ** 0.5)  # seeds 52, 62; lists 54, 60


def test_lists_of_training_clips_are_averaged_like_seeds(make_record: MakeRecord) -> None:
    records = [
        make_record(
            50.0 + number, seed=seed, evaluation__name="semi", evaluation__settings={"percent": 1, "list": number}
        )
        for seed in (0, 1)
        for number in range(5)
    ]
    (table,) = arranged(records, published="all")
    (result,) = table.results
    assert result.measure.title == "semi percent=1"
    assert (result.main.n, result.value) == (10, 52.0)
    assert "over seeds and lists" in table.subtitle
    assert table.published


INIT = {
    "method": "stars",
    "dataset": "ntu120",
    "protocol": "xset",
    "seed": 0,
    "run": "abc",
    "key": "def",
    "path": "runs/x",
    "train_clips": 10,
    "test_clips_seen": 0,
    "novel_classes": 0,
    "novel_classes_seen": 0,
}


def test_an_encoder_from_elsewhere_and_another_stream_have_rows_that_say_so(make_record: MakeRecord) -> None:
    records = [make_record(), make_record(init=INIT), make_record(dataset__stream="bone")]
    assert list(rows(collected(records))) == ["stars", "stars (from ntu120 xset)", "stars (bone)"]


def test_test_clips_and_novel_classes_that_the_encoder_saw_are_marked(make_record: MakeRecord) -> None:
    record = make_record(init=INIT | {"test_clips_seen": 10389, "novel_classes": 20, "novel_classes_seen": 10})
    assert record.marks == [
        "encoder saw 10,389 of the 16,487 test clips",
        "encoder saw 10 of the 20 novel classes",
    ]


def test_published_transfer_stands_beside_fine_tuning_from_another_dataset(make_record: MakeRecord) -> None:
    tuned = {"evaluation__name": "finetune", "evaluation__settings": {"from": "ntu60"}}
    place = {"dataset__name": "pku2", "dataset__expected_clips": None}
    results = collected([make_record(init=INIT | {"dataset": "ntu60"}, **tuned, **place)], published="all")
    assert {"finetune from=ntu60"} == {one.measure.title for one in results.published}


def test_validation_parts_drawn_by_the_seed_are_averaged(make_record: MakeRecord) -> None:
    records = [
        make_record(seed=seed, protocol__validation="subjects", protocol__test_digest=f"part{seed}", n=60 + seed)
        for seed in range(3)
    ]
    (result,) = collected(records).measured
    assert (result.main.n, result.main.clips) == (3, 60)


def test_seeds_of_different_code_and_devices_are_averaged_with_a_mark_and_a_note(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    other = {"code__version": "0.2.0", "environment__device": "NVIDIA H200"}
    records = [make_record(), make_record(seed=1, **other), make_record(**linear)]
    (table,) = arranged(records, published="none")
    (row,) = table.measured
    knn, lin = row.cells[1:]
    assert (row.signs, knn.signs, lin.signs) == ("", "*", "")
    assert table.marks == (("*", "averaged over different code, devices"),)
    assert table.notes == (
        "stars, k-NN k=1: averaged over different code (seed 0: 0.1.0; seed 1: 0.2.0).",
        "stars, k-NN k=1: averaged over different devices (seed 0: cpu; seed 1: NVIDIA H200).",
    )
    (table,) = arranged([*records, make_record(seed=1, **other, **linear)], published="none")
    assert table.notes[0] == "stars: averaged over different code (seed 0: 0.1.0; seed 1: 0.2.0)."
    assert table.measured[0].signs == "*"


def test_columns_of_different_weights_are_told(make_record: MakeRecord) -> None:
    linear = {"evaluation__name": "linear", "evaluation__settings": {}}
    records = [make_record(weights="aaaa"), make_record(weights="bbbb", **linear)]
    assert notes(collected(records, published="none")) == [
        "stars: its columns stand for different weights of seed 0 (knn: aaaa; linear: bbbb)."
    ]

"""The command line: help that teaches, one line for errors, exit codes, and the quick start's road."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stars_bench import cli, open_dataset, registry
from tests.paths import HISTORIC


def stars_bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stars_bench", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("command", [[], ["prepare"], ["run"], ["report"], ["quickstart"], ["list"]])
def test_help_fits_80_columns(command, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    with pytest.raises(SystemExit) as ended:
        cli.app([*command, "--help"])
    assert ended.value.code == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_errors_are_one_line_and_exit_codes_tell_use_from_failure(tmp_path: Path) -> None:
    wrong = stars_bench("run", "stars", "--protocol", "xsub", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "none prepared has it" in wrong.stderr
    empty = stars_bench("report", cwd=tmp_path)
    assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
    nothing = stars_bench("prepare", "ntu120", cwd=tmp_path)
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)
    assert "Traceback" in stars_bench("--debug", "report", cwd=tmp_path).stderr


def test_prepare_run_report_from_the_command_line(small_data: Path, tmp_path: Path) -> None:
    places = ("--data-dir", str(small_data), "--runs-dir", "runs")
    run = stars_bench(
        *("run", "untrained", "--protocol", "xview", "--preset", "quick", "--eval", "knn", "--set", "frames=8"),
        *places,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert "untrained" in run.stdout
    for form in ("table", "md", "csv"):
        report = stars_bench("report", "--format", form, "--runs-dir", "runs", cwd=tmp_path)
        assert report.returncode == 0
        assert "untrained" in report.stdout
        assert "quick" in report.stdout
        if form == "table":
            assert max(len(line) for line in report.stdout.splitlines()) <= 80
    written = stars_bench("report", "--format", "csv", "--out", "r.csv", "--runs-dir", "runs", cwd=tmp_path)
    assert written.returncode == 0
    assert (tmp_path / "r.csv").read_text().count("\n") > 4


def test_a_broken_clip_is_set_aside_and_the_exit_code_says_so(tmp_path: Path) -> None:
    from stars_bench.datasets.synthetic.stage import clip_names
    from stars_bench.datasets.synthetic.writer import write_raw

    names = clip_names((1,), limit=6)
    write_raw(tmp_path / "raw", names)
    broken = tmp_path / "raw" / f"{names[2]}.skeleton"
    broken.write_bytes(broken.read_bytes()[:5000])
    done = stars_bench("prepare", "synthetic", "--raw", "raw", cwd=tmp_path)
    assert done.returncode == 1
    assert names[2] in done.stdout
    assert "1 clip was set aside" in done.stderr
    again = stars_bench("prepare", "synthetic", "--raw", "raw", cwd=tmp_path)
    assert again.returncode == 1


def test_list_names_everything(tmp_path: Path) -> None:
    done = stars_bench("list", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("ntu60", "pku2", "xset", "stars", "untrained", "linear"):
        assert name in done.stdout


def test_list_presets_says_what_a_methods_presets_cost(tmp_path: Path) -> None:
    done = stars_bench("list", "presets", "stars", cwd=tmp_path)
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert "paper, paper-10-epochs, paper-one-body, quick" in told
    assert "2.1e16 FLOP in all" in told
    assert "mamp" not in stars_bench("list", "presets", "raw", cwd=tmp_path).stdout
    everything = stars_bench("list", "presets", cwd=tmp_path).stdout
    assert sum(line.startswith("preset ") for line in everything.splitlines()) == len(registry.names("methods"))
    wrong = stars_bench("list", "protocols", "stars", cwd=tmp_path)
    told = "error: list protocols stars: a METHOD is for list methods and list presets\n"
    assert (wrong.returncode, wrong.stderr) == (2, told)


def test_list_methods_says_all_that_a_method_says_of_itself(tmp_path: Path) -> None:
    told = " ".join(stars_bench("list", "methods", "mamp", cwd=tmp_path).stdout.split())
    assert "Masked Motion Predictors are Strong 3D Action Representation Learners. ICCV 2023." in told
    assert "export-checkpoint --format mamp" in told
    assert "20.5 h on an RTX 4090 (reported of the official code)" in told


def test_version(tmp_path: Path) -> None:
    from stars_bench._version import __version__

    assert stars_bench("--version", cwd=tmp_path).stdout.strip() == __version__


def test_only_a_dataset_that_is_generated_takes_a_number_of_clips(tmp_path: Path) -> None:
    for command in (("ntu60",), ("synthetic", "--raw", ".")):
        refused = stars_bench("prepare", *command, "--clips", "3", cwd=tmp_path)
        assert refused.returncode == 2
        assert "--clips is for a dataset that is generated" in refused.stderr
    generated = stars_bench("prepare", "synthetic", "--clips", "3", cwd=tmp_path)
    assert generated.returncode == 0, generated.stderr
    assert open_dataset("synthetic", tmp_path / "data").num_clips == 3


def test_synthetic_actors_are_never_taken_for_real_ones(tmp_path: Path) -> None:
    synthetic = stars_bench("prepare", "synthetic", "--limit", "3", cwd=tmp_path)
    assert synthetic.returncode == 0, synthetic.stderr
    assert stars_bench("prepare", "ntu60", cwd=tmp_path).returncode == 2


def test_ctrl_c_says_how_to_go_on(small_data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stars_bench", "run", "untrained", "--protocol", "xsub", "--preset", "quick"]
    command += ["--data-dir", str(small_data), "--runs-dir", str(tmp_path), "--set", "linear.epochs=100000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while process.poll() is None and not list(tmp_path.rglob("knn*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in told
    assert told.count("\n") == 1


def test_a_report_takes_its_form_from_the_name_of_the_file(tmp_path: Path) -> None:
    source = HISTORIC / "record-v1.json"
    folder = tmp_path / "runs" / "ntu60" / "xsub" / "stars" / "key" / "seed0" / "records"
    folder.mkdir(parents=True)
    (folder / "record.json").write_bytes(source.read_bytes())
    assert stars_bench("report", "--out", "r.md", cwd=tmp_path).returncode == 0
    assert (tmp_path / "r.md").read_text().startswith("<!-- written by stars-bench report -->\n\n#")
    assert stars_bench("report", "--out", "r.txt", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("command", "told"),
    [("run", "run the same command again: it resumes from what it last saved\n"), ("predict", "stopped\n")],
)
def test_only_a_command_that_goes_on_says_so_when_it_is_stopped(command: str, told: str, capsys, monkeypatch) -> None:
    def stop(**_: object) -> None:
        raise cli.Stopped(signal.SIGTERM)

    monkeypatch.setattr(cli, "app", stop)
    monkeypatch.setattr(sys, "argv", ["stars-bench", command])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err.endswith(told)

"""Outputs: a file of something else stays as it is, an own one is replaced, and a symbolic link keeps pointing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.io.outputs import mark, output_file, write_outputs


@pytest.mark.parametrize("name", ["table.tex", "table.bib", "table.md", "table.csv", "table.txt"])
def test_a_file_of_something_else_stays_unless_it_is_forced(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("a thesis that names stars-bench report", encoding="utf-8")
    with pytest.raises(UsageError, match=r"is there already .* stars-bench report wrote it; --force replaces it"):
        write_outputs({file: "new\n"}, "report")
    assert file.read_text(encoding="utf-8") == "a thesis that names stars-bench report"
    write_outputs({file: "new\n"}, "report", overwrite=True)
    assert file.read_text(encoding="utf-8").endswith("new\n")
    write_outputs({file: "new\n"}, "report")  # the same content again


def test_a_marked_file_is_replaced_by_its_own_command_alone(tmp_path: Path) -> None:
    file = tmp_path / "table.tex"
    write_outputs({file: "first\n"}, "report")
    write_outputs({file: "second\n"}, "report")
    assert file.read_text(encoding="utf-8") == f"% {mark('report')}\nsecond\n"
    with pytest.raises(UsageError, match="stars-bench view"):
        write_outputs({file: "third\n"}, "view")


def test_csv_holds_no_mark_so_its_content_must_be_the_same(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    write_outputs({file: "a,b\n"}, "report")
    assert file.read_text(encoding="utf-8") == "a,b\n"
    for text in ("a,b\n1,2\n", "a,\n"):
        with pytest.raises(UsageError, match="--force"):
            write_outputs({file: text}, "report")


def test_of_several_files_none_is_written_where_one_may_not_be(tmp_path: Path) -> None:
    table, entries = tmp_path / "table.tex", tmp_path / "table.bib"
    entries.write_text("@book{mine}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"table\.bib"):
        write_outputs({table: "x", entries: "y"}, "report")
    assert not table.exists()


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.tex", tmp_path / "link.tex"
    link.symlink_to(target)
    write_outputs({link: "first\n"}, "report")
    write_outputs({link: "second\n"}, "report")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").endswith("second\n")
    target.write_text("a thesis", encoding="utf-8")
    with pytest.raises(UsageError, match="--force"):
        write_outputs({link: "third\n"}, "report")


def test_what_is_no_file_is_refused_even_by_force(tmp_path: Path) -> None:
    circle, pipe = tmp_path / "circle", tmp_path / "pipe"
    circle.symlink_to(circle)
    os.mkfifo(pipe)
    for path, why in ((tmp_path, "is a folder"), (circle, "leads to no file"), (pipe, "is no regular file")):
        with pytest.raises(UsageError, match=why):
            output_file(path, "report", overwrite=True)


def test_without_a_command_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "clips.npz"
    assert output_file(file) == file
    file.write_bytes(b"")
    with pytest.raises(UsageError, match=r"is there already; --force replaces it"):
        output_file(file)
    assert output_file(file, overwrite=True) == file

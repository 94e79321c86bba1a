"""What a page embeds ends no script and opens no tag."""

from __future__ import annotations

import json

import pytest

from stars_bench.display.document import embedded


@pytest.mark.parametrize("text", ["<", ">", "&", "</script>", "<!--", "&amp;", "é\u2028"])
def test_data_of_a_page_have_no_character_of_html(text: str) -> None:
    page = embedded({text: [text]})
    assert not set("<>&") & set(page)
    assert page.isascii()
    assert json.loads(page) == {text: [text]}

"""A project of an older lake, made again by today's code: it has the same addresses."""

from pathlib import Path

from tests.golden.kept import FORM_2, keys_of, make_again, unpack
from tests.projects import needs_encoder


@needs_encoder
def test_the_same_project_made_today_has_the_same_addresses(tmp_path: Path) -> None:
    kept = unpack(FORM_2, tmp_path / "kept")
    today = make_again(FORM_2, tmp_path / "today")
    assert keys_of(today) == keys_of(kept)

"""Licences are told by SPDX identifier where that is certain, and not where it is not."""

import pytest

from samplemix_dagster.core.licences import spdx


@pytest.mark.parametrize(
    ("written", "identifier"),
    [
        ("MIT", "MIT"),
        (" mit ", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("cc-by-sa-4.0", "CC-BY-SA-4.0"),
        ("CC BY-SA 3.0", "CC-BY-SA-3.0"),
        ("cc by 4.0", "CC-BY-4.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/4.0/", "CC-BY-NC-SA-4.0"),
        ("http://creativecommons.org/licenses/by/3.0/deed.de", "CC-BY-3.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("BSD 3-Clause", "BSD-3-Clause"),
    ],
)
def test_what_names_one_licence_is_that_one(written: str, identifier: str) -> None:
    assert spdx(written) == identifier


@pytest.mark.parametrize(
    "written", ["", "CC", "CC BY", "cc-by-9.9", "GPL", "BSD", "MIT or Apache-2.0", "free", "none"]
)
def test_what_could_be_several_or_none_is_not_guessed(written: str) -> None:
    assert spdx(written) is None

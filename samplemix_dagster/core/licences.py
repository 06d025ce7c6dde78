"""Licences by their SPDX identifiers, as far as what is written of one can be told.

Only what names one licence for certain is translated. "CC" or "free" stay as they were written: a
guess would look like knowledge. Identifiers are those of the SPDX License List 3.24.
"""

import re
from functools import lru_cache

_IDS = """
0BSD AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-2.0 BSD-1-Clause
BSD-2-Clause BSD-3-Clause BSD-4-Clause BSL-1.0 CC-BY-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0
CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-2.0
CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-3.0 CC-BY-ND-4.0 CC-BY-SA-2.0 CC-BY-SA-2.5 CC-BY-SA-3.0
CC-BY-SA-4.0 CC-PDDC CC0-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0
EPL-1.0 EPL-2.0 EUPL-1.1 EUPL-1.2 GFDL-1.2-only GFDL-1.3-only GPL-2.0-only GPL-2.0-or-later
GPL-3.0-only GPL-3.0-or-later ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later
MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA ODbL-1.0 ODC-By-1.0 OFL-1.1 PDDL-1.0 PostgreSQL PSF-2.0
Python-2.0 Unlicense UPL-1.0 W3C WTFPL Zlib
"""
_BY_KEY = {identity.lower(): identity for identity in _IDS.split()}
_NAMES = {
    "apache": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache2": "Apache-2.0",
    "boost": "BSL-1.0",
    "boost software license": "BSL-1.0",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "cc0": "CC0-1.0",
    "cc-0": "CC0-1.0",
    "expat": "MIT",
    "mit license": "MIT",
    "the mit license": "MIT",
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "the unlicense": "Unlicense",
    "zlib license": "Zlib",
}
_CC = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/licen[sc]es/([a-z-]+)/(\d\.\d)(?:[/#?].*)?"
)
_CC_WORDS = re.compile(r"(?:creative commons )?cc[ -]?(by(?:[ -](?:nc|nd|sa))*)[ -]?v?(\d\.\d)")
_CC_ZERO = re.compile(r"(?:https?://)?(?:www\.)?creativecommons\.org/publicdomain/zero/1\.0/?")


@lru_cache(maxsize=4096)
def spdx(written: str) -> str | None:
    """Return the SPDX identifier of a licence as it is written; None where none is certain."""
    words = " ".join(written.strip().lower().split())
    if found := _BY_KEY.get(words) or _NAMES.get(words):
        return found
    if _CC_ZERO.fullmatch(words):
        return "CC0-1.0"
    if match := _CC.fullmatch(words) or _CC_WORDS.fullmatch(words):
        parts = match[1].replace(" ", "-").strip("-")
        return _BY_KEY.get(f"cc-{parts}-{match[2]}")
    return _BY_KEY.get(words.replace(" ", "-"))

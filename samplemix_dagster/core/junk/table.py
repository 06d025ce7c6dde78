"""Every kind of junk, a line each. Whatever else must know of one asks here."""

from collections.abc import Mapping

from samplemix_dagster.core.junk.kind import Kind
from samplemix_dagster.core.junk.kinds.damaged import Cut, Foreign, Ocr, Repeats
from samplemix_dagster.core.junk.kinds.from_words import Babble, Near, Salad
from samplemix_dagster.core.junk.kinds.of_machines import Hex, Logs, Numbers
from samplemix_dagster.core.junk.kinds.of_sites import Keywords, Markup, Menus

CLEAN = "clean"
"""The label of a document that is no junk."""

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Salad(),
        Babble(),
        Near(),
        Menus(),
        Numbers(),
        Logs(),
        Hex(),
        Markup(),
        Keywords(),
        Ocr(),
        Cut(),
        Foreign(),
        Repeats(),
    )
}
"""By label."""

DEFAULT_WEIGHTS: Mapping[str, float] = {**dict.fromkeys(KINDS, 1.0), Cut.name: 0.25}
"""Parts of the junk, in characters, where none are said. Texts that are cut off are short: at an
equal part they would be half of the pool's documents."""

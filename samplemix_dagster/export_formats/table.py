"""Every format of exports, a line each. Whatever else must know of one asks here."""

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.export_formats.format import Format
from samplemix_dagster.export_formats.ids.flat import Nanotron, Olmo, Torchtitan
from samplemix_dagster.export_formats.ids.headed import Modalities, Nanogpt
from samplemix_dagster.export_formats.ids.litdata import LitData
from samplemix_dagster.export_formats.ids.mds import Mds
from samplemix_dagster.export_formats.ids.megatron import Megatron
from samplemix_dagster.export_formats.ids.tokens import Tokens
from samplemix_dagster.export_formats.texts.array_record import ArrayRecord
from samplemix_dagster.export_formats.texts.lines import IndexedLines, JsonLines
from samplemix_dagster.export_formats.texts.parquet import HuggingFace, Nanochat, Parquet
from samplemix_dagster.export_formats.texts.webdataset import WebDataset

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        JsonLines("zst"),
        JsonLines("gz"),
        JsonLines(),
        IndexedLines(),
        Parquet(),
        HuggingFace(),
        Nanochat(),
        WebDataset(),
        ArrayRecord(),
        Tokens(),
        Megatron(),
        Olmo(),
        Nanotron(),
        Torchtitan(),
        Nanogpt(),
        Modalities(),
        LitData(),
        Mds(),
    )
}
"""By the name in ``samplemix.yaml``; the first is the default."""


def format_of(name: str) -> Format:
    """Return the named format.

    Raises:
        ConfigError: There is none.
    """
    if name not in FORMATS:
        raise ConfigError(f"there is no format {name!r} of exports; there are {', '.join(FORMATS)}")
    return FORMATS[name]

"""What stands in values such as JSON has: mappings, lists, strings."""

from collections.abc import Iterator, Mapping


def strings_in(value: object) -> Iterator[str]:
    """Yield every string in a value, however deep; keys of mappings are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings_in(inner)

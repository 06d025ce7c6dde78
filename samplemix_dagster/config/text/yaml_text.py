"""YAML within bounds: whatever the text, it is read in short time or refused with its line.

Keys are taken as they are written: ``no`` (Norwegian), ``on`` or ``2024-01-01`` are names here, not
a truth value or a date. What YAML can do beyond a configuration (references that contain
themselves or multiply, tags, nests without end) is refused.
"""

from typing import Any

import yaml

from samplemix_dagster.errors import ConfigError

MOST_BYTES = 1 << 20
_DEEPEST = 40
_MOST_VALUES = 100_000


class _Loader(yaml.SafeLoader):
    """Plain YAML whose keys are text, and whose errors have a place."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; a plain key is its own text."""
        del deep
        self.flatten_mapping(node)
        found: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key is a word, not a list or a mapping", key.start_mark
                )
            found[key.value] = self.construct_object(value, deep=True)
        return found

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return a value; whatever is wrong with it is an error at its place."""
        try:
            return super().construct_object(node, deep=deep)
        except yaml.YAMLError:
            raise
        except (ValueError, TypeError, OverflowError, AttributeError, KeyError) as error:
            words = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise yaml.constructor.ConstructorError(
                None, None, f"this value cannot be read: {words}", node.start_mark
            ) from None


def read_yaml(text: str, name: str) -> tuple[Any, Any]:
    """Return (the tree of nodes, which know their lines; the value that it stands for).

    Raises:
        ConfigError: It is no YAML, or more than a configuration has a use for.
    """
    if len(text) > MOST_BYTES:
        raise ConfigError(
            f"{name}: a configuration has at most {MOST_BYTES >> 20} MiB of text. Is this the "
            "right file?"
        )
    try:
        _check_events(text, name)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _check_size(node, name)
            _refuse_repeated_keys(node, name, set())
        loader = _Loader(text)
        try:
            return node, loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}{_line_of(error, text)}: {_words(error)}") from None


def _line_of(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return f":{mark.line + 1}"
    position = getattr(error, "position", None)
    return "" if position is None else f":{text.count(chr(10), 0, position) + 1}"


def _words(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        character = error.character
        shown = chr(character) if isinstance(character, int) else str(character)
        return f"this is not YAML: the character {shown!r} cannot stand in it"
    problem = getattr(error, "problem", None) or str(error)
    if isinstance(error, yaml.constructor.ConstructorError):
        return str(problem)
    return f"this is not YAML: {problem}"


def _check_events(text: str, name: str) -> None:
    """Refuse nests and lists without end before anything walks into them."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if number > 2 * _MOST_VALUES:
            raise ConfigError(f"{name}: more than {_MOST_VALUES:,} values stand here.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise ConfigError(
                    f"{name}:{line}: values inside values, {_DEEPEST} deep: no configuration has "
                    "as many."
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(root: yaml.Node, name: str) -> None:
    """Refuse references that contain themselves, or that make a short text a huge value."""
    sizes: dict[int, int] = {}
    within: set[int] = set()

    def size_of(node: yaml.Node) -> int:
        mark = id(node)
        if mark in sizes:
            return sizes[mark]
        if mark in within:
            raise ConfigError(
                f"{name}:{node.start_mark.line + 1}: this value contains itself (`&` and `*`)."
            )
        within.add(mark)
        total = 1
        for child in _children(node):
            total += size_of(child)
        within.discard(mark)
        if total > _MOST_VALUES:
            raise ConfigError(
                f"{name}:{node.start_mark.line + 1}: more than {_MOST_VALUES:,} values stand here, "
                "references (`&` and `*`) counted in full."
            )
        sizes[mark] = total
        return total

    size_of(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refuse_repeated_keys(node: yaml.Node, name: str, looked_at: set[int]) -> None:
    if id(node) in looked_at:
        return
    looked_at.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise ConfigError(
                    f"{name}:{key.start_mark.line + 1}: {key.value!r} is there twice."
                )
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
    for child in _children(node):
        _refuse_repeated_keys(child, name, looked_at)

"""Measure the shape of the code, and refuse that any measure grows: ``make lint`` calls it.

The ceilings stand in ``tools/shape.json``. A measure that fell is a ceiling to lower:
``python tools/shape.py --lower`` does so. None is ever raised without a reason in the commit.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "samplemix_dagster"
CEILINGS = Path(__file__).with_name("shape.json")
_KEYS = ROOT / PACKAGE / "storage" / "lake" / "keys.py"
_KEY_OF_THE_LAKE = re.compile(
    r"""["'](?:documents|features|fits|mixtures|exports|state|reports|machines)/"""
)
_STAGE_OF = re.compile(r"\b(?:is|is not) stages\.[A-Z]|==\s*stages\.[A-Z]")


def sources() -> list[Path]:
    """Return every module of the package."""
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def graph() -> grimp.ImportGraph:
    """Return the graph of imports between modules of the package."""
    return grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)


def floors(imports: grimp.ImportGraph) -> int:
    """Return the longest chain of imports: modules on it, where a circle counts as one floor."""
    below: dict[str, int] = {}

    def depth(module: str, above: frozenset[str]) -> int:
        if module not in below:
            inner = (
                depth(one, above | {module})
                for one in imports.find_modules_directly_imported_by(module)
                if one not in above
            )
            below[module] = 1 + max(inner, default=0)
        return below[module]

    return max(depth(module, frozenset()) for module in imports.modules)


def circles(imports: grimp.ImportGraph) -> list[str]:
    """Return the modules that reach themselves by imports."""
    return sorted(
        module
        for module in imports.modules
        if any(
            imports.chain_exists(importer=one, imported=module)
            for one in imports.find_modules_directly_imported_by(module)
        )
    )


def lines_that_match(pattern: re.Pattern[str], but: Path | None = None) -> Iterator[str]:
    """Yield the place of each line of the package that matches."""
    for path in sources():
        if path == but:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line) and not line.lstrip().startswith(("#", '"')):
                yield f"{path.relative_to(ROOT)}:{number}"


def measure() -> dict[str, int]:
    """Return every measure; lower is better."""
    imports = graph()
    folders = Counter(path.parent for path in sources() if path.name != "__init__.py")
    texts = {path: path.read_text(encoding="utf-8") for path in sources()}
    return {
        "longest chain of imports": floors(imports),
        "modules in circles of imports": len(circles(imports)),
        "files in the fullest folder": max(folders.values()),
        "lines of the longest module": max(text.count("\n") for text in texts.values()),
        "modules over 300 lines": sum(text.count("\n") > 300 for text in texts.values()),
        "dict[str, Any]": sum(text.count("dict[str, Any]") for text in texts.values()),
        "lines that ask which stage it is": len(list(lines_that_match(_STAGE_OF))),
        "keys of the lake outside keys.py": len(list(lines_that_match(_KEY_OF_THE_LAKE, _KEYS))),
    }


def main() -> int:
    """Compare the measures with the ceilings; return 1 where one is above."""
    found = measure()
    ceilings = json.loads(CEILINGS.read_text(encoding="utf-8")) if CEILINGS.is_file() else found
    if "--lower" in sys.argv:
        lowest = {name: min(value, ceilings.get(name, value)) for name, value in found.items()}
        CEILINGS.write_text(json.dumps(lowest, indent=1) + "\n", encoding="utf-8")
        ceilings = lowest
    above = {name: value for name, value in found.items() if value > ceilings.get(name, 0)}
    for name, value in found.items():
        mark = "  ABOVE" if name in above else ""
        print(f"{value:>5}  (at most {ceilings.get(name, 0)})  {name}{mark}")  # noqa: T201
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())

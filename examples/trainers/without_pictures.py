"""Let MosaicML Streaming be imported where torchvision is not installed.

Its readers of text need none of it, but the package imports its datasets of pictures as well.
"""

import importlib.util
import sys
import types

_NAMES: dict[str, list[str]] = {
    "torchvision": [],
    "torchvision.transforms": [],
    "torchvision.transforms.functional": ["to_tensor"],
    "torchvision.datasets": ["VisionDataset", "CIFAR10"],
}


def cover_torchvision() -> None:
    """Put empty classes in the place of what is imported, unless torchvision is there."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        return
    for name, members in _NAMES.items():
        sys.modules[name] = types.ModuleType(name)
        for member in members:
            setattr(sys.modules[name], member, type(member, (), {}))

"""Which executor a project's work is given to: the one function that callers ask."""

from typing import TYPE_CHECKING

from samplemix_dagster.engine.executors.executor import Executor
from samplemix_dagster.engine.executors.here import Here
from samplemix_dagster.engine.executors.processes import Processes

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def executor_of(project: "Project", device: str = "cpu") -> Executor:
    """Return the executor that ``compute`` asks for, for work on a device.

    Raises:
        ConfigError: It is Ray, and Ray is not installed.
    """
    compute = project.config.compute
    if compute.executor == "ray":
        from samplemix_dagster.engine.executors.ray import RayExecutor

        return RayExecutor.of(compute, device)
    if compute.executor == "here":
        return Here()
    # A GPU is shared badly: one process has it all.
    num_workers = project.num_workers if device == "cpu" else 1
    return on_this_machine(num_workers) if compute.executor == "auto" else Processes(num_workers)


def on_this_machine(num_workers: int) -> Executor:
    """Return this process for one worker, worker processes for more."""
    return Here() if num_workers == 1 else Processes(num_workers)

"""The models that run on this machine: they outlive a worker on purpose, but not ``up``."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from worker.drivers.process import ProcessDriver
from worker.drivers.records import every_folder

DRAIN_SECONDS = 2.0
AT_ONCE = 16


def stop_replicas(home: Path) -> int:
    """End every replica of the data folder; the next start brings back those that are wanted. How many there were."""
    names = [folder.name for folder in every_folder(home) if folder.lives()]
    if names:
        driver = ProcessDriver(home)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: driver.stop(name, DRAIN_SECONDS), names))
    return len(names)

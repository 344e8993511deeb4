"""Rows in parts, side by side: each part is computed by one thread, and no part waits for another.

A model of few fields makes many small operations. Shared by threads inside, each waits for the slowest thread before
the next may begin, which costs more than it saves, and many times more while other programs run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")
_NAME = "crosslens-rows"


def spread(work: Callable[[Part], Result], parts: Iterable[Part]) -> list[Result]:
    """Return what `work` makes of each part, in order, by as many threads as torch may use here.

    To be called where no graph is built. The first error is raised when the parts before it are done.
    """
    parts, count = list(parts), torch.get_num_threads()
    if count == 1 or len(parts) == 1 or threading.current_thread().name.startswith(_NAME):
        return [work(part) for part in parts]
    # A thread begins with gradients on and outside inference mode, whatever its maker's state is.
    state = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad

    def apart(part: Part) -> Result:
        with state():
            return work(part)

    return list(_threads(count).map(apart, parts))


def shares(parts: Iterable[Part]) -> list[list[Part]]:
    """Return the parts in order in one list for each of the threads `spread` would use, or fewer."""
    parts = list(parts)
    size = max(1, -(-len(parts) // torch.get_num_threads()))
    return [parts[start : start + size] for start in range(0, len(parts), size)]


@lru_cache(maxsize=1)
def _threads(count: int) -> ThreadPoolExecutor:
    threads, begun = ThreadPoolExecutor(count, _NAME), threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # torch gives a new thread its number on first use: not after it has been set
        torch.set_num_threads(1)
        begun.wait()

    for _ in range(count):
        threads.submit(begin)
    begun.wait()
    torch.set_num_threads(count)  # they have set what threads made later would start with
    return threads

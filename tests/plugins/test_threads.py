"""Rows in parts: in order, each on one thread, whatever is computed inside."""

import threading

import pytest
import torch

from plugins.neural.threads import spread


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_from_as_many_threads_as_torch_has(threads: int) -> None:
    all_there = threading.Barrier(threads)

    def work(part: int) -> tuple[int, str]:
        all_there.wait(timeout=20)  # fails unless so many parts are computed at once
        return part, threading.current_thread().name

    found = spread(work, range(2 * threads))
    assert [part for part, _ in found] == list(range(2 * threads))
    assert len({name for _, name in found}) == threads


def test_operations_of_a_part_are_not_shared_with_further_threads(threads: int) -> None:
    def work(part: int) -> int:
        torch.randn(300, 300) @ torch.randn(300, 300)
        return torch.get_num_threads()

    assert spread(work, range(4)) == [1] * 4
    assert torch.get_num_threads() == threads


def test_parts_within_parts_are_computed_by_the_thread_that_asks(threads: int) -> None:
    def outer(part: int) -> list[tuple[int, int]]:
        return spread(lambda inner: (part, inner), range(3))

    assert spread(outer, range(4)) == [[(part, inner) for inner in range(3)] for part in range(4)]


def test_no_part_builds_a_graph_and_inference_stays_inference(threads: int) -> None:
    weight = torch.ones(3, requires_grad=True)
    with torch.no_grad():
        assert not any(result.requires_grad for result in spread(lambda part: weight * part, range(4)))
    with torch.inference_mode():
        assert all(result.is_inference() for result in spread(lambda part: weight * part, range(4)))


def test_the_first_error_reaches_the_one_who_asks_and_the_threads_go_on_working(threads: int) -> None:
    def work(part: int) -> int:
        if part:
            raise ValueError(f"part {part}")
        return part

    with pytest.raises(ValueError, match="part 1"):
        spread(work, range(5))
    assert spread(lambda part: part, range(3)) == [0, 1, 2]

"""Which rows are whose: over all processes each row of a batch counts once, and all step together."""

from __future__ import annotations

import pytest
import torch

from ml.kinds.torch_policy import Policy
from ml.kinds.torch_world import World, here


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_each_row_of_a_batch_counts_once(rows: int, size: int) -> None:
    batch = torch.randperm(1000)[:rows]
    shares = [World(rank, size).share(batch) for rank in range(size)]
    counted = torch.cat([own[weights == 1] for own, weights in shares])
    assert sorted(counted.tolist()) == sorted(batch.tolist())
    assert {len(own) for own, _ in shares} == {-(-rows // size)}
    for own, weights in shares:
        assert len(own) == len(weights)
        assert set(weights.tolist()) <= {0.0, 1.0}
        assert set(own.tolist()) <= set(batch.tolist())


def test_one_process_alone_sends_nothing_and_keeps_the_order() -> None:
    world = here()
    assert world == World(0, 1)
    batch = torch.tensor([5, 3, 9])
    own, weights = world.share(batch)
    assert (own.tolist(), weights.tolist()) == ([5, 3, 9], [1, 1, 1])
    assert world.total(torch.tensor([2.0])).item() == 2
    assert world.from_first(b"state", Policy()) == b"state"
    network = torch.nn.Linear(1, 1)
    assert world.together(network) is network

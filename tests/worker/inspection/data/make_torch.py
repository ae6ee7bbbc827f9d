"""Writes the archives below ``torch/`` with the real PyTorch.

Run it in an environment of its own: ``pip install torch``, then ``python make_torch.py [folder]``. The tests need no
torch: they read what was written.
"""

import sys
from pathlib import Path

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn, self.b = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.b(torch.relu(self.bn(self.a(x)))), dim=1)


def save_all(folder: Path) -> None:
    torch.manual_seed(1)
    net, x = Net().eval(), torch.randn(2, 4)
    torch.jit.save(torch.jit.script(net), folder / "scripted.pt")
    torch.jit.save(torch.jit.trace(net, x), folder / "traced.pt")
    torch.jit.save(torch.jit.freeze(torch.jit.script(net)), folder / "frozen.pt")
    exported = torch.export.export(net, (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of the machine it was made on
    torch.export.save(exported, folder / "exported.pt2")
    torch.save(net.state_dict(), folder / "state.pt")
    torch.save(net, folder / "eager.pt")


if __name__ == "__main__":
    save_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("torch"))

"""Writes the factors that Microsoft's mup gives an MLP and a small transformer, as JSON.

    make_mup.py > mup.json

Every factor is what mup's own code does, to a model or in its optimizers, divided by what it does at
the base widths.
"""

import json
import sys
from importlib.metadata import version

import mup
import torch
from mup.init import constant_std_init_
from torch import nn

INPUTS, OUTPUTS, HEAD = 5, 7, 4
BASE = {"hidden": 8, "inner": 16, "heads": 2}
WIDE = {"hidden": 32, "inner": 48, "heads": 6}
RATE, DECAY = 0.5, 0.25


class Mlp(nn.Module):
    def __init__(self, hidden, inner, **_):
        super().__init__()
        self.up = nn.Linear(INPUTS, hidden)
        self.middle = nn.Linear(hidden, inner)
        self.down = mup.MuReadout(inner, OUTPUTS)


class Block(nn.Module):
    def __init__(self, hidden, inner, heads):
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.queries = nn.Linear(hidden, heads * HEAD)
        self.keys = nn.Linear(hidden, heads * HEAD)
        self.values = nn.Linear(hidden, heads * HEAD)
        self.output = nn.Linear(heads * HEAD, hidden)
        self.up = nn.Linear(hidden, inner)
        self.down = nn.Linear(inner, hidden)


class Transformer(nn.Module):
    def __init__(self, tied, hidden, inner, heads):
        super().__init__()
        self.embedding = nn.Embedding(OUTPUTS, hidden)
        self.blocks = nn.ModuleList(Block(hidden, inner, heads) for _ in range(1))
        self.norm = nn.LayerNorm(hidden)
        if tied:
            self.tied = mup.MuSharedReadout(self.embedding.weight, bias=False)
        else:
            self.head = mup.MuReadout(hidden, OUTPUTS)


def factors(make):
    base = make(**BASE)
    delta = make(**{axis: width + 2 for axis, width in BASE.items()})
    wide = make(**WIDE)
    drawn = {path: param.detach().clone() for path, param in wide.named_parameters()}
    mup.set_base_shapes(wide, base, delta=delta)

    found = {path: {} for path, _ in wide.named_parameters()}
    for name, optimizer in (
        ("adam", mup.MuAdamW(wide.parameters(), lr=RATE, weight_decay=DECAY)),
        ("sgd", mup.MuSGD(wide.parameters(), lr=RATE, weight_decay=DECAY)),
    ):
        for group in optimizer.param_groups:
            for path, param in wide.named_parameters():
                if any(param is other for other in group["params"]):
                    found[path][name] = {
                        "rate": group["lr"] / RATE,
                        "decay": group["weight_decay"] / DECAY,
                    }
    for path, param in wide.named_parameters():
        scales = []
        constant_std_init_(param, lambda _, scale=1: scales.append(scale))
        found[path]["initialization"] = scales[0]
        # What `set_base_shapes` makes of torch's own initialization.
        largest = drawn[path].abs().argmax()
        before, after = drawn[path].flatten()[largest], param.flatten()[largest]
        found[path]["rescaled"] = round((after / before).item(), 6) if before != 0 else 1.0
        found[path]["multiplier"] = 1.0
    multipliers = {}
    for path, module in wide.named_modules():
        if isinstance(module, mup.MuReadout):
            multiplier = module.output_mult / module.width_mult()
            if isinstance(module, mup.MuSharedReadout):
                multipliers[f"{path}.multiplier"] = multiplier
            else:
                found[f"{path}.weight"]["multiplier"] = multiplier
    return {"params": found, "multipliers": multipliers}


torch.manual_seed(0)
models = {
    "mlp": factors(Mlp),
    "transformer": factors(lambda **widths: Transformer(False, **widths)),
    "tied": factors(lambda **widths: Transformer(True, **widths)),
}
made = {"mup": version("mup"), "base": BASE, "wide": WIDE, "models": models}
json.dump(made, sys.stdout, indent=1, sort_keys=True)
print()

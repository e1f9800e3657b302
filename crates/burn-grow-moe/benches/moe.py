"""The MoE transformer in PyTorch, written as in transformers: the baseline of `moe.rs`.

`moe.py THREADS cpu|cuda WAY` talks to the benchmark on its standard streams. The way is `eager` (a loop
over experts), `grouped` (one product of PyTorch's for all experts), `compiled` (the loop) or
`compiled grouped`. It begins with the versions, `{"torch", "device"}`; the device is null if there is none. To
a line `{"what", "hidden", "inner", "experts", "top_k", "layers", "batch", "seq", "vocab", "heads", "half"}` it
answers `{"parameters": n}` once the work is set up; half means bfloat16 by autocast, with parameters and
state in single precision. To an empty line it runs the work once and answers `{"seconds": s}`.
"""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class RmsNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.size = c["heads"], c["hidden"] // c["heads"]
        square = (nn.Linear(c["hidden"], c["hidden"], bias=False) for _ in range(4))
        self.q, self.k, self.v, self.o = square
        self.q_norm, self.k_norm = RmsNorm(self.size), RmsNorm(self.size)

    def forward(self, x, cos, sin):
        batch, seq, hidden = x.shape
        q, k, v = (p(x).view(batch, seq, self.heads, self.size) for p in (self.q, self.k, self.v))
        q, k, v = self.q_norm(q).transpose(1, 2), self.k_norm(k).transpose(1, 2), v.transpose(1, 2)
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(batch, seq, hidden))


class Experts(nn.Module):
    """The experts of OLMoE and Qwen3-MoE on stacked weights, in the two ways of transformers."""

    def __init__(self, c):
        super().__init__()
        self.answers = self.grouped if c["grouped"] else self.loop
        self.top_k, self.count = c["top_k"], c["experts"]
        self.router = nn.Linear(c["hidden"], self.count, bias=False)
        self.gate_up = nn.Parameter(torch.randn(self.count, 2 * c["inner"], c["hidden"]) * 0.02)
        self.down = nn.Parameter(torch.randn(self.count, c["hidden"], c["inner"]) * 0.02)

    def forward(self, x):
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        logits = self.router(x)
        probabilities = F.softmax(logits, dim=-1, dtype=torch.float)
        weights, chosen = torch.topk(probabilities, self.top_k, dim=-1)
        y, load = self.answers(x, weights, chosen)
        z = torch.logsumexp(logits, -1).pow(2).mean()
        balance = self.count * (load / x.shape[0] * probabilities.mean(0)).sum()
        return y.reshape(shape), 0.01 * balance + 0.001 * z

    def loop(self, x, weights, chosen):
        mask = F.one_hot(chosen, self.count).permute(2, 1, 0)
        y = torch.zeros_like(x)
        for expert in range(self.count):
            slot, token = torch.where(mask[expert])
            gate, up = F.linear(x[token], self.gate_up[expert]).chunk(2, -1)
            answer = F.linear(F.silu(gate) * up, self.down[expert]) * weights[token, slot, None]
            y.index_add_(0, token, answer.to(y.dtype))
        return y, mask.float().sum((1, 2))

    def grouped(self, x, weights, chosen):
        expert, order = torch.sort(chosen.flatten())
        load = torch.histc(expert.float(), bins=self.count, min=0, max=self.count - 1)
        offsets = load.cumsum(0, dtype=torch.int32)
        # Autocast leaves this product as it is.
        dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else x.dtype
        gate_up, down = (w.transpose(1, 2).to(dtype) for w in (self.gate_up, self.down))
        rows = F.grouped_mm(x[order // self.top_k].to(dtype), gate_up, offs=offsets)
        gate, up = rows.chunk(2, -1)
        answers = F.grouped_mm(F.silu(gate) * up, down, offs=offsets)
        answers = answers * weights.flatten()[order, None]
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order), device=order.device)
        return answers[back].view(*chosen.shape, -1).sum(1), load


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention_norm, self.experts_norm = RmsNorm(c["hidden"]), RmsNorm(c["hidden"])
        self.attention, self.experts = Attention(c), Experts(c)

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        y, aside = self.experts(self.experts_norm(x))
        return x + y, aside


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embedding = nn.Embedding(c["vocab"], c["hidden"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.norm = RmsNorm(c["hidden"])
        size = c["hidden"] // c["heads"]
        frequencies = 10000.0 ** (-torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(c["seq"]).float(), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def loss(self, tokens, targets):
        x, aside = self.embedding(tokens), 0.0
        for block in self.blocks:
            x, more = block(x, self.cos, self.sin)
            aside = aside + more / len(self.blocks)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) + aside


def work(c, device, way):
    torch.manual_seed(0)
    c["grouped"] = "grouped" in way
    prepared = torch.compile if "compiled" in way else lambda module: module
    rows = c["batch"] * c["seq"]

    def half():
        return torch.autocast(device, dtype=torch.bfloat16, enabled=c["half"])

    if c["what"] == "experts":
        layer = Experts(c).to(device)
        forward = prepared(layer)
        x = torch.randn(1, rows, c["hidden"], device=device, requires_grad=True)
        # A gradient with numbers of its own, which products of groups need.
        direction = torch.randn(1, rows, c["hidden"], device=device)

        def run():
            with half():
                y, _ = forward(x)
            (y * direction).sum().backward()
            layer.zero_grad(set_to_none=True)
            x.grad = None

        return layer, run
    model = Model(c).to(device)
    loss = prepared(model.loss)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    tokens = torch.randint(0, c["vocab"], (c["batch"], c["seq"]), device=device)

    def run():
        with half():
            value = loss(tokens, tokens)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return model, run


def main(threads, device, way):
    torch.set_num_threads(threads)
    # What hides AVX-512 is loaded by now, and the compiler would crash with it.
    os.environ.pop("LD_PRELOAD", None)
    found = "cpu" if device == "cpu" else torch.cuda.get_device_name() if torch.cuda.is_available() else None
    print(json.dumps({"torch": torch.__version__, "device": found}), flush=True)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    clock = time.process_time if "BURN_GROW_CPU_TIME" in os.environ else time.perf_counter
    run = None
    for line in sys.stdin:
        if line.strip():
            module, run = work(json.loads(line), device, way)
            answer = {"parameters": sum(p.numel() for p in module.parameters())}
        else:
            start = clock()
            run()
            wait()
            answer = {"seconds": clock() - start}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])

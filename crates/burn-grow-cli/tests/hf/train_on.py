"""Trains a small Llama, widens it, and trains on by the code of a page of the book.

    train_on.py PROGRAM PAGE

PROGRAM is the `burn-grow` to run. Writes what it saw into the present folder: `narrow` and `wide` as
they were expanded, and in `seen.safetensors` the first weights (`first.NAME`), all gradients
(`gradient.STEP.NAME`) and the last weights (`last.NAME`). Prints as JSON the rate of every step and
the settings of the optimizer.
"""

import json
import math
import re
import sys
from pathlib import Path

import torch
import transformers
from models import be_quiet, run
from safetensors.torch import save_file

BEFORE, AFTER = 6, 12
PEAK, END = 1e-2, 1e-3
SETTINGS = dict(rho=2.5, climb=4, steps=AFTER, min_lr=END)
AXES = ["inner=2x", "hidden=12", "kv_heads=2x", "queries=3"]
CONFIG = dict(
    vocab_size=7,
    hidden_size=8,
    intermediate_size=6,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    initializer_range=0.3,
    max_position_embeddings=32,
    tie_word_embeddings=False,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)


def rate(step):
    return END + (PEAK - END) * 0.5 * (1 + math.cos(math.pi * step / (BEFORE + AFTER)))


def train(model, optimizer, steps, seen):
    for step in steps:
        torch.manual_seed(100 + step)
        words = torch.randint(0, CONFIG["vocab_size"], (4, 9))
        optimizer.zero_grad()
        model(input_ids=words, labels=words).loss.backward()
        for name, param in model.named_parameters():
            seen[f"gradient.{step}.{name}"] = param.grad.clone()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()


def weights(model, prefix):
    return {f"{prefix}.{name}": it.detach().clone() for name, it in model.named_parameters()}


def main():
    program, page = sys.argv[1:]
    save, code, start = re.findall(r"```python\n(.*?)```", Path(page).read_text(), re.DOTALL)
    torch.manual_seed(3)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))
    adamw = dict(betas=(0.9, 0.95), weight_decay=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, **adamw)
    seen = weights(model, "first")
    train(model, optimizer, range(BEFORE), seen)
    names = dict(torch=torch, model=model, optimizer=optimizer)
    exec(save, names)

    command = [program, "expand", "narrow", "--out", "wide", "--region"]
    command += ["--state", "narrow/optimizer.safetensors", "--map", "hidden=interleaved"]
    command += [word for axis in AXES for word in ("--axis", axis)]
    run(*command)
    run(program, "verify", "narrow", "wide", "--state", "narrow/optimizer.safetensors")

    names |= dict(AutoModelForCausalLM=transformers.AutoModelForCausalLM, lr=PEAK, **SETTINGS)
    exec(code, names)
    exec(start, names)
    model, optimizer = names["model"], names["optimizer"]
    interrupted = BEFORE + AFTER // 2
    train(model, optimizer, range(BEFORE, interrupted), seen)
    # As a run that is resumed does.
    state = optimizer.state_dict()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, **adamw)
    optimizer.load_state_dict(state)
    names["Rewarmup"](optimizer, model, "wide/region.json", **SETTINGS)
    train(model, optimizer, range(interrupted, BEFORE + AFTER), seen)
    save_file(seen | weights(model, "last"), "seen.safetensors")
    group = optimizer.param_groups[0]
    adamw = dict(betas=group["betas"], eps=group["eps"], weight_decay=group["weight_decay"])
    rates = [rate(step) for step in range(BEFORE + AFTER)]
    print(json.dumps(dict(before=BEFORE, rates=rates, **adamw, **SETTINGS)))


if __name__ == "__main__":
    be_quiet()
    main()

"""Makes small random OLMoE and Qwen3-MoE models and writes their outputs in transformers.

    make.py FOLDER {small,large}

Every case is a folder: the model as `save_pretrained` writes it, and `expected.safetensors`: tokens,
targets, activations, auxiliary losses, training loss and gradients.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import OlmoeConfig, OlmoeForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers.models.olmoe.modeling_olmoe import load_balancing_loss_func
from transformers.models.switch_transformers.modeling_switch_transformers import router_z_loss_func

SIZES = {
    "small": {"vocab": 13, "width": 8, "inner": 6, "layers": 2, "experts": 3, "seq": 5},
    "large": {"vocab": 67, "width": 32, "inner": 24, "layers": 3, "experts": 8, "seq": 17},
}
HEADS = 4
Z_LOSS = 0.1


def cases(size):
    """Name, class and configuration of every model."""
    for family in ("olmoe", "qwen3_moe"):
        for tied in (False, True):
            for kv_heads in (HEADS, HEADS // 2):
                name = f"{family}-{'tied' if tied else 'untied'}-{'gqa' if kv_heads != HEADS else 'mha'}"
                yield name, *model(family, tied, kv_heads, size)


def model(family, tied, kv_heads, size):
    common = dict(
        vocab_size=size["vocab"],
        hidden_size=size["width"],
        num_hidden_layers=size["layers"],
        num_attention_heads=HEADS,
        num_key_value_heads=kv_heads,
        num_experts=size["experts"],
        num_experts_per_tok=2,
        tie_word_embeddings=tied,
        initializer_range=0.3,
        router_aux_loss_coef=0.05,
        max_position_embeddings=64,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    if family == "olmoe":
        # Grouped or not, half of the models clamp.
        clip = 1.2 if kv_heads != HEADS else None
        config = OlmoeConfig(**common, intermediate_size=size["inner"], clip_qkv=clip)
        return OlmoeForCausalLM, config
    config = Qwen3MoeConfig(
        **common,
        moe_intermediate_size=size["inner"],
        intermediate_size=2 * size["inner"],
        head_dim=size["width"] // 2 + 2,
        norm_topk_prob=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
    )
    return Qwen3MoeForCausalLM, config


def build(kind, config, seed):
    torch.manual_seed(seed)
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = kind(config).to(torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:  # gains
                parameter.normal_(1.0, 0.2)
            if name.endswith("q_norm.weight"):  # scores that differ
                parameter.mul_(1.5)
    return model


def watch(model, seen):
    """Keeps every activation of a forward pass."""

    def keep(name):
        def hook(_module, _inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            seen[name] = output.detach().reshape(-1, output.shape[-1]).clone()

        return hook

    inner = model.model
    inner.embed_tokens.register_forward_hook(keep("embedding"))
    for index, layer in enumerate(inner.layers):
        layer.self_attn.register_forward_hook(keep(f"layer {index} attention"))
        layer.mlp.register_forward_hook(keep(f"layer {index} experts"))
        layer.register_forward_hook(keep(f"layer {index} residual"))
    inner.norm.register_forward_hook(keep("final norm"))


def gradients(model, size):
    """By the names of parameters, the gates and the ups of a layer apart."""
    for name, parameter in model.named_parameters():
        if name.endswith("gate_up_proj"):
            gate, up = parameter.grad.split(size["inner"], dim=1)
            yield name.replace("gate_up_proj", "gate_proj"), gate
            yield name.replace("gate_up_proj", "up_proj"), up
        else:
            yield name, parameter.grad


def expected(model, size, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda: torch.randint(size["vocab"], (2, size["seq"]), generator=generator)
    tokens, targets = draw(), draw()
    seen = {}
    watch(model, seen)
    output = model(input_ids=tokens, output_router_logits=True, use_cache=False)
    seen["logits"] = output.logits.detach().reshape(-1, size["vocab"]).clone()

    config = model.config
    balance = load_balancing_loss_func(
        output.router_logits, size["experts"], config.num_experts_per_tok
    )
    torch.testing.assert_close(balance, output.aux_loss)
    z_losses = [router_z_loss_func(logits.unsqueeze(0)) for logits in output.router_logits]
    z_loss = torch.stack(z_losses).mean()
    nats = torch.nn.functional.cross_entropy(
        output.logits.reshape(-1, size["vocab"]), targets.reshape(-1)
    )
    loss = nats + config.router_aux_loss_coef * balance + Z_LOSS * z_loss
    loss.backward()

    losses = {
        "cross entropy": nats,
        "load balancing": balance,
        "router z-loss": z_loss,
        "training loss": loss,
    }
    tensors = {"tokens": tokens.float(), "targets": targets.float()}
    tensors["coefficient router z-loss"] = torch.tensor([Z_LOSS])
    tensors |= {f"activation {name}": value for name, value in seen.items()}
    tensors |= {f"loss {name}": value.detach().reshape(1) for name, value in losses.items()}
    tensors |= {f"gradient {name}": value for name, value in gradients(model, size)}
    return {name: value.contiguous() for name, value in tensors.items()}


def main(folder, size):
    torch.set_num_threads(1)
    size = SIZES[size]
    for seed, (name, kind, config) in enumerate(cases(size)):
        case = folder / name
        model = build(kind, config, seed)
        # One of each family in shards.
        shard = 1000 * size["width"] if name.endswith("-tied-mha") else "5GB"
        model.save_pretrained(case, max_shard_size=shard)
        (case / "generation_config.json").unlink(missing_ok=True)
        save_file(expected(model, size, seed), case / "expected.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    (folder / "versions.json").write_text(json.dumps(versions) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

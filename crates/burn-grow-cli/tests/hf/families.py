"""Widens small random models of every family with `burn-grow` and compares logits in transformers.

    families.py PROGRAM [FAMILY ...]

PROGRAM is the `burn-grow` to run. Prints one JSON object for each expansion of each model: the
largest difference of an output relative to the largest output, and what `from_pretrained` complains
about; for expansions that do not keep the function, the RMS of every layer's output after and
before, as ratios.

A family is enrolled by one entry of FAMILIES.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from models import be_quiet, difference, load, outputs, randomized, run

TRANSFORMER = dict(
    vocab_size=53,
    hidden_size=64,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    initializer_range=0.1,
    max_position_embeddings=64,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)
# What keeps the RMS on average is tried where there is much to average over.
WIDE = dict(hidden_size=256, n_embd=256, initializer_range=0.05, init_std=0.05)
WIDTHS = ["inner", "hidden", "kv_heads", "queries", "vocab", "layers"]
# Where a head has `hidden / heads` coordinates, the two grow together.
CLASSIC = ["inner", "hidden heads", "vocab", "layers"]
EXPERTS = ["experts top_k"]


def family(
    name, config, model, axes, *variants, common=TRANSFORMER, every=None, described=None, **more
):
    """A family: its classes, what grows (axes that grow together in one text), and its models.

    `every` is what grows all together, if that is not every axis by 2. `described` is the file of a
    family that the program does not know.
    """
    experts = any("experts" in axis for axis in axes)
    return dict(
        name=name,
        options=["--family", str(Path(__file__).parent / described)] if described else [],
        every=every or [f"{axis}=2x" for axes in axes for axis in axes.split()],
        loading=dict(experts_implementation="eager") if experts else {},
        config=getattr(transformers, config),
        model=getattr(transformers, model),
        axes=axes,
        variants=[{**common, **more, **variant} for variant in variants or [{}]],
    )


def grouped(**more):
    """Two shapes: grouped and tied, and with a key head for every query head."""
    return [
        dict(num_key_value_heads=2, tie_word_embeddings=True, **more),
        dict(num_key_value_heads=4, tie_word_embeddings=False, hidden_size=96, **more),
    ]


def classic(**more):
    """Two shapes, tied and not."""
    return [
        dict(num_attention_heads=4, tie_word_embeddings=True, **more),
        dict(num_attention_heads=2, tie_word_embeddings=False, hidden_size=96, **more),
    ]


FAMILIES = [
    family(
        "llama",
        "LlamaConfig",
        "LlamaForCausalLM",
        WIDTHS,
        *grouped(),
        dict(attention_bias=True, mlp_bias=True, head_dim=12),
    ),
    family("mistral", "MistralConfig", "MistralForCausalLM", WIDTHS, *grouped(sliding_window=8)),
    family("qwen2", "Qwen2Config", "Qwen2ForCausalLM", WIDTHS, *grouped()),
    family("qwen3", "Qwen3Config", "Qwen3ForCausalLM", WIDTHS, *grouped(head_dim=12)),
    family(
        "gemma2",
        "Gemma2Config",
        "Gemma2ForCausalLM",
        WIDTHS,
        *grouped(head_dim=8, query_pre_attn_scalar=16, sliding_window=8),
    ),
    family(
        "gemma3_text",
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        WIDTHS,
        *grouped(head_dim=8, query_pre_attn_scalar=16, sliding_window=8),
    ),
    family(
        "olmo2",
        "Olmo2Config",
        "Olmo2ForCausalLM",
        WIDTHS,
        *grouped(),
        dict(attention_bias=True),
    ),
    family("phi3", "Phi3Config", "Phi3ForCausalLM", WIDTHS, *grouped()),
    family(
        "granite",
        "GraniteConfig",
        "GraniteForCausalLM",
        WIDTHS,
        *grouped(
            embedding_multiplier=6.0,
            logits_scaling=4.0,
            residual_multiplier=0.4,
            attention_multiplier=0.2,
        ),
        dict(tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
    ),
    family(
        "cohere",
        "CohereConfig",
        "CohereForCausalLM",
        WIDTHS,
        *grouped(logit_scale=0.25),
        dict(use_qk_norm=True, attention_bias=True),
    ),
    family(
        "gpt2",
        "GPT2Config",
        "GPT2LMHeadModel",
        CLASSIC,
        dict(n_head=4, tie_word_embeddings=True),
        dict(n_head=2, tie_word_embeddings=False, n_inner=80),
        common=dict(vocab_size=53, n_embd=64, n_layer=2, n_positions=64, initializer_range=0.1),
    ),
    family(
        "gpt_neox",
        "GPTNeoXConfig",
        "GPTNeoXForCausalLM",
        CLASSIC,
        *classic(),
        dict(use_parallel_residual=False, attention_bias=False),
    ),
    family(
        "mixtral",
        "MixtralConfig",
        "MixtralForCausalLM",
        WIDTHS + EXPERTS,
        *grouped(num_local_experts=4, num_experts_per_tok=2),
    ),
    family(
        "olmoe",
        "OlmoeConfig",
        "OlmoeForCausalLM",
        ["inner", "hidden kv_heads", "hidden queries", "vocab", "layers"] + EXPERTS,
        *grouped(num_experts=4, num_experts_per_tok=2),
        dict(num_experts=4, num_experts_per_tok=2, norm_topk_prob=True, clip_qkv=1.2),
        every=(
            "inner=2x hidden=4x kv_heads=2x queries=2x vocab=2x layers=2x experts=2x top_k=2x"
        ).split(),
    ),
    family(
        "flex_olmo",
        "FlexOlmoConfig",
        "FlexOlmoForCausalLM",
        WIDTHS + EXPERTS,
        *grouped(num_experts=4, num_experts_per_tok=2),
        dict(num_experts=4, num_experts_per_tok=2, norm_topk_prob=True, attention_bias=True),
    ),
    family(
        "qwen2_moe",
        "Qwen2MoeConfig",
        "Qwen2MoeForCausalLM",
        WIDTHS + EXPERTS + ["shared_inner"],
        *grouped(
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=12,
            shared_expert_intermediate_size=20,
        ),
    ),
    family(
        "qwen3_moe",
        "Qwen3MoeConfig",
        "Qwen3MoeForCausalLM",
        ["inner", "hidden", "kv_heads", "queries", "vocab", "experts top_k", "dense_inner"],
        *grouped(
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=12,
            head_dim=8,
            mlp_only_layers=[0],
        ),
    ),
    family(
        "deepseek_v3",
        "DeepseekV3Config",
        "DeepseekV3ForCausalLM",
        ["inner", "hidden", "heads", "kv_rank", "vocab", "dense_inner", "shared_experts"],
        dict(q_lora_rank=16),
        dict(q_lora_rank=None, tie_word_embeddings=True, attention_bias=True),
        num_key_value_heads=4,
        n_routed_experts=8,
        n_group=2,
        topk_group=1,
        num_experts_per_tok=2,
        moe_intermediate_size=12,
        first_k_dense_replace=1,
        kv_lora_rank=8,
        qk_rope_head_dim=4,
        qk_nope_head_dim=8,
        v_head_dim=8,
    ),
    family("bert", "BertConfig", "BertForMaskedLM", CLASSIC[:-1], *classic()),
    family(
        "vit",
        "ViTConfig",
        "ViTForImageClassification",
        ["inner", "hidden heads", "layers"],
        dict(num_attention_heads=4),
        dict(num_attention_heads=2, hidden_size=96, qkv_bias=False),
        common=dict(
            hidden_size=64,
            intermediate_size=48,
            num_hidden_layers=2,
            image_size=16,
            patch_size=4,
            initializer_range=0.1,
        ),
    ),
    family(
        "opt",
        "OPTConfig",
        "OPTForCausalLM",
        CLASSIC,
        *classic(word_embed_proj_dim=None),
        described="opt.toml",
        common=dict(
            vocab_size=53,
            hidden_size=64,
            ffn_dim=48,
            num_hidden_layers=2,
            max_position_embeddings=64,
            init_std=0.1,
            dropout=0.0,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        ),
    ),
]


def expand(program, folder, out, targets, options):
    how = []
    for target in targets:
        how += ["--axis", target]
        if target.startswith("layers="):
            how += ["--blocks", "layers=identity,interleaved"]
    run(program, "expand", folder, "--out", out, "--json", *options, *how)
    run(program, "verify", folder, out, *options)


def rms(states):
    return [state.float().pow(2).mean().sqrt().item() for state in states]


def doubled(family, dtype):
    """Expansions that keep the function: every axis alone, and all together."""
    alone = [[f"{axis}=2x" for axis in axes.split()] for axes in family["axes"]]
    return [*(alone if dtype == torch.float32 else []), family["every"]]


def halfway(family):
    """Expansions by half of a width."""
    return [
        [f"{axis}=1.5x" for axis in axes.split()]
        for axes in family["axes"]
        if axes.split()[0] in ("inner", "hidden") and "queries" not in axes
    ]


def check(program, family, number, variant, dtype, kind, root):
    folder = root / f"{family['name']}-{number}-{str(dtype).split('.')[-1]}-{kind}"
    randomized(family, variant, dtype).save_pretrained(folder)
    # In single precision, as what both round to is not what is compared.
    model, wrong = load(family, folder, torch.float32)
    assert not wrong, wrong
    words = getattr(model.config, "vocab_size", None)
    wanted, states = outputs(model, words)
    cases = doubled(family, dtype) if kind == "2x" else halfway(family)
    for index, targets in enumerate(cases):
        out = root / f"{folder.name}-out-{index}"
        answer = {
            "family": family["name"],
            "model": number,
            "dtype": str(dtype).split(".")[-1],
            "grown": " ".join(targets),
            "kind": kind,
        }
        try:
            expand(program, folder, out, targets, family["options"])
            wide, wrong = load(family, out, torch.float32)
            found, wide_states = outputs(wide, words)
            answer["wrong"] = wrong
            answer["finite"] = bool(found.isfinite().all())
            answer["difference"] = difference(found, wanted)
            if kind == "1.5x":
                answer["rms"] = [new / old for new, old in zip(rms(wide_states), rms(states))]
        except Exception as error:
            answer["error"] = str(error)
        print(json.dumps(answer), flush=True)


def main():
    program, names = Path(sys.argv[1]).absolute(), sys.argv[2:]
    be_quiet()
    for family in FAMILIES:
        if names and family["name"] not in names:
            continue
        with tempfile.TemporaryDirectory() as root:
            for number, variant in enumerate(family["variants"]):
                for dtype in (torch.float32, torch.bfloat16):
                    check(program, family, number, variant, dtype, "2x", Path(root))
                wide = {**variant, **{key: WIDE[key] for key in WIDE if key in variant}}
                check(program, family, number, wide, torch.float32, "1.5x", Path(root))


if __name__ == "__main__":
    main()

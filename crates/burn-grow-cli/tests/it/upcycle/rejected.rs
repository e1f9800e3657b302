//! What no new model can be.

use burn_grow_cli::Error;
use burn_grow_cli::upcycle::{Kept, RoutingWeights, Upcycling};
use serde_json::json;

use super::{expected, olmo2, qwen3, routers, upcycled, write};
use crate::common::{Dir, array, assert_same, llama};

#[test]
fn what_cannot_be_is_rejected_with_the_reason() {
    let error = |folder: &Dir, upcycling: Upcycling| {
        let error = write(folder, &upcycling).expect_err("rejected").to_string();
        assert!(!folder.out().exists() && !folder.out().with_extension("partial").exists());
        error
    };
    let mixtral = |experts, top_k| Upcycling::new("mixtral", experts, top_k);
    let folder = llama();
    for (upcycling, part) in [
        (mixtral(0, 1), "the number of experts is 0"),
        (mixtral(4, 5), "the top k is 5, expected 1 to 4"),
        (mixtral(4, 0), "the top k is 0"),
        (
            mixtral(4, 2).with_granularity(4),
            "a divisor of 6, the width of the feed-forward",
        ),
        (mixtral(4, 2).with_granularity(0), "one part at least"),
        (mixtral(4, 2).with_noise(f64::NAN), "the noise is NaN"),
        (mixtral(4, 2).with_noise(-1.0), "the noise is -1"),
        (
            mixtral(4, 2).with_weights(RoutingWeights::Softmax),
            "expected one, as a `mixtral` always makes it",
        ),
        (Upcycling::new("mixtrl", 4, 2), "did you mean `mixtral`?"),
        (
            Upcycling::new("qwen3_moe", 4, 2),
            "Known: `llama` to `mixtral`",
        ),
    ] {
        let text = error(&folder, upcycling);
        assert!(text.contains(part), "{text}");
    }
    let mut biased = llama();
    let bias = "model.layers.0.self_attn.q_proj.bias";
    for layer in 0..2 {
        let bias = bias.replace('0', &layer.to_string());
        let values = array(&bias, &[8]);
        biased.arrays.insert(bias, values);
    }
    biased.write();
    let text = error(&biased, mixtral(4, 2));
    assert!(
        text.contains(&format!("has no place for tensor `{bias}` of shape [8]")),
        "{text}"
    );
    let mut window = qwen3();
    window.config["use_sliding_window"] = json!(true);
    window.write();
    let text = error(&window, Upcycling::new("qwen3_moe", 4, 2));
    assert!(
        text.contains("`use_sliding_window` is true, expected false: a Qwen 3 MoE"),
        "{text}"
    );
    let mut classes = llama();
    classes.config["architectures"] = json!(["AlpacaForCausalLM"]);
    classes.write();
    let text = error(&classes, mixtral(4, 2));
    assert!(
        text.contains("AlpacaForCausalLM, expected LlamaModel, LlamaForCausalLM"),
        "{text}"
    );
}

#[test]
fn an_olmo_2_becomes_a_flex_olmo_and_no_olmoe() {
    let mut folder = olmo2();
    let error = write(&folder, &Upcycling::new("olmoe", 4, 2)).expect_err("rejected");
    assert!(matches!(error, Error::Impossible { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("no `olmoe` computes what a model of `olmo2` does: OLMo 2 normalizes")
            && text.contains("a `flex_olmo` has its norms where OLMo 2 has them"),
        "{text}"
    );
    let upcycling = Upcycling::new("flex_olmo", 4, 2).with_granularity(2);
    let (config, mut found, kept) = upcycled(&folder, &upcycling);
    assert_eq!(kept, Kept::Exactly);
    routers(&mut found, "flex_olmo");
    assert_same(&found, &expected(&folder, &upcycling, 2.0));
    assert_eq!(config["architectures"], json!(["FlexOlmoForCausalLM"]));
    assert_eq!(config["pad_token_id"], json!(1));
    // A class that FlexOlmo does not have.
    std::fs::remove_dir_all(folder.out()).expect("removed");
    folder.config["architectures"] = json!(["Olmo2ForSequenceClassification"]);
    folder.write();
    let error = write(&folder, &upcycling)
        .expect_err("rejected")
        .to_string();
    assert!(
        error.contains("expected Olmo2Model, Olmo2ForCausalLM"),
        "{error}"
    );
}

//! Tokens in portions through a cache, against all at once.

use crate::common::{
    build, devices, grown, ids, largest, largest_difference, shapes, tokens, values,
};
use burn::tensor::Tensor;
use burn_grow_core::Expansion;
use burn_grow_moe::{KvCache, MoeTransformer};

const SEQ: usize = 9;

/// Logits of two rows of tokens that come in these portions.
fn in_portions(model: &MoeTransformer, portions: &[usize]) -> Tensor<3> {
    let device = model.embedding.weight.device();
    let all = tokens(&ids(1, 2 * SEQ, 11), [2, SEQ], &device);
    let mut cache = KvCache::new();
    let logits = portions.iter().map(|portion| {
        let next = all.clone().narrow(1, cache.seq(), *portion);
        model.forward_cached(next, &mut cache).logits
    });
    let logits = Tensor::cat(logits.collect(), 1);
    assert_eq!(cache.seq(), SEQ);
    logits
}

#[test]
fn tokens_in_portions_give_the_logits_of_one_pass() {
    for config in shapes() {
        for device in devices() {
            let narrow = build(&config, 3, &device);
            let expansion = Expansion::by("hidden", 2.0).and_by("kv_heads", 2.0);
            for model in [grown(&narrow, &expansion), narrow] {
                let all = tokens(&ids(1, 2 * SEQ, 11), [2, SEQ], &device);
                let expected = values(model.forward(all).logits);
                for portions in [&[9][..], &[1; 9], &[5, 1, 1, 2], &[2, 7]] {
                    let found = values(in_portions(&model, portions));
                    let difference = largest_difference(&found, &expected);
                    let tolerance = 1e-5 * largest(&expected);
                    assert!(difference < tolerance, "{portions:?}: {difference}");
                }
            }
        }
    }
}

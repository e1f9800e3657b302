//! A GPT with squared ReLU, normed queries and keys, norms without weights, and capped logits; its
//! head is tied to the embedding or its own.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Bool, Device, Int, Tensor};
use burn_grow::Growable;

use crate::model::{Model, Sample, Size};

const VOCAB: usize = 11;
const LENGTH: usize = 6;
/// Coordinates of a head.
const HEAD: usize = 4;
const CAP: f64 = 15.0;

/// RMSNorm without weights.
fn norm<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let square = x.clone().square().mean_dim(D - 1);
    x / square.add_scalar(1e-6).sqrt()
}

#[derive(Module, Growable, Debug)]
struct CausalSelfAttention {
    #[grow(fan_in = "hidden", fan_out("heads", unit = self.head_dim))]
    c_q: Linear,
    #[grow(fan_in = "hidden", gate("heads", unit = self.head_dim))]
    c_k: Linear,
    #[grow(fan_in = "hidden", fan_out("heads", unit = self.head_dim))]
    c_v: Linear,
    #[grow(fan_in("heads", unit = self.head_dim), fan_out = "hidden")]
    c_proj: Linear,
    #[grow(width = "heads")]
    n_head: usize,
    head_dim: usize,
}

impl CausalSelfAttention {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, _] = x.dims();
        let [query, key, value] = [&self.c_q, &self.c_k, &self.c_v].map(|linear| {
            let heads = [batch, length, self.n_head, self.head_dim];
            linear.forward(x.clone()).reshape(heads).swap_dims(1, 2)
        });
        let scores = norm(query).matmul(norm(key).transpose()) / (self.head_dim as f64).sqrt();
        let mask = Tensor::<2, Bool>::tril_mask([length, length], 0, &x.device());
        let scores = scores.mask_fill(mask.unsqueeze::<4>(), f32::NEG_INFINITY);
        let context = softmax(scores, 3).matmul(value).swap_dims(1, 2);
        self.c_proj.forward(context.flatten(2, 3))
    }
}

#[derive(Module, Growable, Debug)]
struct Block {
    attn: CausalSelfAttention,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    c_fc: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    c_proj: Linear,
}

impl Block {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(norm(x));
        let inner = relu(self.c_fc.forward(norm(x.clone()))).square();
        x + self.c_proj.forward(inner)
    }
}

#[derive(Module, Growable, Debug)]
pub(crate) struct Gpt<const TIED: bool> {
    #[grow(fan_out = "hidden")]
    wte: Embedding,
    blocks: Vec<Block>,
    #[grow(fan_in = "hidden")]
    lm_head: Option<Linear>,
    /// Scales the logits of a tied head.
    #[grow(multiplier = "hidden")]
    logit_scale: f64,
}

impl<const TIED: bool> Gpt<TIED> {
    /// # Shapes
    ///
    /// - `tokens`: `[batch, length]`
    /// - output: `[batch, length, vocab]`
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = norm(self.wte.forward(tokens));
        let x = norm(self.blocks.iter().fold(x, |x, block| block.forward(x)));
        let logits = match &self.lm_head {
            Some(head) => head.forward(x),
            None => {
                let head = self.wte.weight.val().transpose().unsqueeze();
                x.matmul(head) * self.logit_scale
            }
        };
        (logits / CAP).tanh() * CAP
    }
}

impl<const TIED: bool> Model for Gpt<TIED> {
    const AXES: &'static [(&'static str, usize)] = &[("hidden", 8), ("heads", 2), ("inner", 12)];

    fn built(size: &Size, device: &Device) -> Self {
        let [hidden, heads, inner] = ["hidden", "heads", "inner"].map(|axis| size.of(axis));
        let linear = |d_in, d_out| {
            let config = LinearConfig::new(d_in, d_out).with_bias(false);
            config.init(device)
        };
        let block = |_| Block {
            attn: CausalSelfAttention {
                c_q: linear(hidden, heads * HEAD),
                c_k: linear(hidden, heads * HEAD),
                c_v: linear(hidden, heads * HEAD),
                c_proj: linear(heads * HEAD, hidden),
                n_head: heads,
                head_dim: HEAD,
            },
            c_fc: linear(hidden, inner),
            c_proj: linear(inner, hidden),
        };
        Self {
            wte: EmbeddingConfig::new(VOCAB, hidden).init(device),
            blocks: (0..2).map(block).collect(),
            lm_head: (!TIED).then(|| linear(hidden, VOCAB)),
            logit_scale: 1.0,
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        self.forward(sample.tokens([2, LENGTH], VOCAB))
            .flatten(0, 1)
    }
}

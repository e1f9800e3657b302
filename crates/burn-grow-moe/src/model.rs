use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::module::linear;
use burn_core::tensor::{Device, Int, Tensor};
use burn_grow_derive::Growable;
use burn_nn::{Embedding, Linear, RmsNorm};

use crate::block::norm;
use crate::init::Init;
use crate::kernels::cross_entropy;
use crate::{Block, KvCache, MoeConfig, MoeLoss, MoeOutput, Probe, Site};

/// A decoder language model of experts that grows along the axes of [`MoeConfig`].
///
/// Embedding, blocks, a norm and the output projection, as OLMoE
/// ([arXiv 2409.02060](https://arxiv.org/abs/2409.02060)) and Qwen3-MoE
/// ([arXiv 2505.09388](https://arxiv.org/abs/2505.09388)) have it. Built by [`MoeConfig::init`].
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct MoeTransformer {
    /// `[vocab, hidden]`
    #[grow(vocab = "vocab", fan_out = "hidden")]
    pub embedding: Embedding,
    /// The layers.
    pub blocks: Vec<Block>,
    /// `[hidden]`
    #[grow(gain = "hidden")]
    pub norm: RmsNorm,
    /// `[hidden, vocab]`, unless the embedding is used for it.
    #[grow(fan_in = "hidden", vocab = "vocab")]
    pub lm_head: Option<Linear>,
    /// Stands in for `lm_head` when the embedding is tied.
    pub tied: Option<TiedOutput>,
    /// The width of the residual stream.
    #[grow(width = "hidden")]
    pub hidden: usize,
    /// The coefficient of the load-balancing loss.
    pub load_balancing: f64,
    /// The coefficient of the router's z-loss.
    pub router_z_loss: f64,
    /// The standard deviation that the matrices were drawn with.
    pub init_std: f64,
}

/// The output projection of a model with tied embeddings: the transposed embedding, times a scalar.
///
/// The embedding makes the axis `"hidden"` on the way in, so an expansion copies it without a factor;
/// the scalar absorbs the fan-in factor on the way out (App. D.1).
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct TiedOutput {
    /// What the logits are multiplied with.
    #[grow(multiplier = "hidden")]
    pub multiplier: f64,
}

impl MoeTransformer {
    pub(crate) fn new(config: &MoeConfig, device: &Device) -> Self {
        let init = Init { config, device };
        let multiplier = config.logit_multiplier;
        Self {
            embedding: init.embedding(config.vocab_size, config.hidden),
            blocks: (0..config.n_layers).map(|_| Block::new(&init)).collect(),
            norm: init.norm(config.hidden),
            lm_head: (!config.tied_embeddings)
                .then(|| init.linear(config.hidden, config.vocab_size)),
            tied: config.tied_embeddings.then_some(TiedOutput { multiplier }),
            hidden: config.hidden,
            load_balancing: config.load_balancing,
            router_z_loss: config.router_z_loss,
            init_std: config.init_std,
        }
    }

    /// The configuration of the model as it is now, grown widths and logit multiplier included.
    ///
    /// A record holds no constants: a grown model is saved as its record and this.
    pub fn config(&self) -> MoeConfig {
        let block = &self.blocks[0];
        let (attention, experts) = (&block.attention, &block.feed_forward);
        MoeConfig {
            vocab_size: self.embedding.weight.dims()[0],
            n_layers: self.blocks.len(),
            hidden: self.hidden,
            inner: experts.inner(),
            n_heads: attention.n_heads(),
            n_kv_heads: attention.n_kv_heads,
            head_dim: attention.head_dim,
            n_experts: experts.n_experts(),
            top_k: experts.router.top_k,
            norm_topk_prob: experts.router.norm_topk_prob,
            rope_theta: attention.rope_theta,
            qk_norm: attention.q_norm.over,
            clip_qkv: attention.clip_qkv,
            norm_eps: self.norm.epsilon,
            tied_embeddings: self.tied.is_some(),
            load_balancing: self.load_balancing,
            router_z_loss: self.router_z_loss,
            init_std: self.init_std,
            logit_multiplier: self.tied.as_ref().map_or(1.0, |tied| tied.multiplier),
        }
    }

    /// The logits of the next token at every position.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, seq]`
    /// - logits: `[batch, seq, vocab]`
    pub fn forward(&self, tokens: Tensor<2, Int>) -> MoeOutput {
        self.forward_probed(tokens, &mut ())
    }

    /// As [`forward`](Self::forward), with a look at the activations on the way.
    pub fn forward_probed(&self, tokens: Tensor<2, Int>, probe: &mut impl Probe) -> MoeOutput {
        self.run(tokens, None, probe)
    }

    /// As [`forward`](Self::forward) on all tokens that the cache has seen and then `tokens`, but for the
    /// logits of `tokens` only, and computing nothing again.
    pub fn forward_cached(&self, tokens: Tensor<2, Int>, cache: &mut KvCache) -> MoeOutput {
        self.run(tokens, Some(cache), &mut ())
    }

    fn run(
        &self,
        tokens: Tensor<2, Int>,
        mut cache: Option<&mut KvCache>,
        probe: &mut impl Probe,
    ) -> MoeOutput {
        let [_, seq] = tokens.dims();
        let past = cache.as_ref().map_or(0, |cache| cache.seq());
        let mut x = self.embedding.forward(tokens);
        probe.see(Site::Embedding, &x);
        let positions =
            self.blocks[0]
                .attention
                .positions(past..past + seq, x.dtype(), &x.device());
        let mut routed = Vec::with_capacity(self.blocks.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            let cache = cache.as_mut().map(|cache| cache.layer(layer));
            let (y, layer) = block.forward(x, &positions, cache, layer, probe);
            x = y;
            routed.push(layer);
        }
        let logits = self.logits(norm(&self.norm, x));
        probe.see(Site::Logits, &logits);
        MoeOutput { logits, routed }
    }

    /// The training loss of predicting `targets` from `tokens`, in its parts.
    ///
    /// # Shapes
    ///
    /// - tokens, targets: `[batch, seq]`
    pub fn loss(&self, tokens: Tensor<2, Int>, targets: Tensor<2, Int>) -> MoeLoss {
        self.loss_of(&self.forward(tokens), targets)
    }

    /// The training loss of an output, in its parts.
    ///
    /// # Shapes
    ///
    /// - targets: `[batch, seq]`
    pub fn loss_of(&self, output: &MoeOutput, targets: Tensor<2, Int>) -> MoeLoss {
        let [batch, seq, vocab] = output.logits.dims();
        let cross_entropy = cross_entropy(
            output.logits.clone().reshape([batch * seq, vocab]),
            targets.reshape([batch * seq]),
        );
        let load_balancing = output.load_balancing();
        let z_loss = output.z_loss();
        let total = cross_entropy.clone()
            + load_balancing.clone() * self.load_balancing
            + z_loss.clone() * self.router_z_loss;
        MoeLoss {
            cross_entropy,
            load_balancing,
            z_loss,
            total,
        }
    }

    /// Projects the normed residual stream on the vocabulary.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, vocab]`
    fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, seq, hidden] = x.dims();
        let x = x.reshape([batch * seq, hidden]);
        let logits = match (&self.lm_head, &self.tied) {
            (Some(lm_head), _) => lm_head.forward(x),
            (None, tied) => {
                // The stream is narrower than the vocabulary, so the scalar meets it first.
                let x = match tied.as_ref().map_or(1.0, |tied| tied.multiplier) {
                    1.0 => x,
                    multiplier => x * multiplier,
                };
                linear(x, self.embedding.weight.val().transpose(), None)
            }
        };
        let [_, vocab] = logits.dims();
        logits.reshape([batch, seq, vocab])
    }
}

//! The model.

use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::{Device, Int, Tensor};
use burn_grow_core::verify::{Activations, Probe};
use burn_grow_derive::Growable;
use burn_grow_kernels::{cross_entropy, linear};
use burn_nn::{Embedding, Linear, RmsNorm};

use crate::activation_hook::{ActivationHook, RmsHook, Site};
use crate::block::{Block, norm};
use crate::config::MoeConfig;
use crate::error::MoeConfigError;
use crate::kv_cache::KvCache;
use crate::output::{MoeLoss, MoeOutput};
use crate::projection::project;
use crate::weight_init::WeightInit;

/// A decoder-only MoE transformer that grows along the axes of [`MoeConfig`].
///
/// Embedding, blocks, a norm and the output projection, as in OLMoE
/// ([arXiv 2409.02060](https://arxiv.org/abs/2409.02060)) and Qwen3-MoE
/// ([arXiv 2505.09388](https://arxiv.org/abs/2505.09388)). [`MoeConfig::init`] makes one.
///
/// ```
/// use burn_core::tensor::{Device, Int, Tensor};
/// use burn_grow_moe::MoeConfig;
///
/// let device = Device::flex().autodiff();
/// let model = MoeConfig::default().init(&device);
/// let tokens = Tensor::<2, Int>::zeros([1, 8], &device);
/// let targets = Tensor::<2, Int>::ones([1, 8], &device);
/// let loss = model.loss(tokens, targets);
/// // An untrained model favors none of the 256 tokens much.
/// let nats = loss.cross_entropy.into_scalar::<f32>();
/// assert!((nats - 256f32.ln()).abs() < 3.0);
/// let gradients = loss.total.backward();
/// # let _ = gradients;
/// ```
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct MoeTransformer {
    /// `[vocab, hidden]`
    #[grow(vocab = "vocab", fan_out = "hidden")]
    pub embedding: Embedding,
    /// The layers, of which there may be none.
    #[grow(depth = "layers", fresh = Self::fresh_block)]
    pub blocks: Vec<Block>,
    /// `[hidden]`
    #[grow(gain = "hidden")]
    pub norm: RmsNorm,
    /// `[hidden, vocab]`, or `None` if the embeddings are tied.
    #[grow(fan_in = "hidden", vocab = "vocab")]
    pub lm_head: Option<Linear>,
    /// The stand-in for `lm_head` if the embeddings are tied.
    pub tied: Option<TiedOutput>,
    /// The coefficient of the load-balancing loss.
    pub load_balancing: f64,
    /// The coefficient of the router's z-loss.
    pub router_z_loss: f64,
    /// The configuration, but for what other fields hold: it makes the blocks of a model that has none
    /// yet.
    #[module(skip)]
    #[grow(widths(
        vocab_size = "vocab",
        n_layers = "layers",
        hidden = "hidden",
        inner = "inner",
        n_heads("kv_heads", "queries"),
        n_kv_heads = "kv_heads",
        n_experts = "experts",
        top_k = "top_k",
    ))]
    config: MoeConfig,
}

/// The output projection of a model with tied embeddings: the transposed embedding, times a scalar.
///
/// The embedding is a producer of `"hidden"`, so an expansion copies it without a factor. On the
/// way out it is a consumer; the scalar takes the fan-in factor (App. D.1).
#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
pub struct TiedOutput {
    /// The factor of the logits.
    #[grow(multiplier = "hidden")]
    pub multiplier: f64,
}

impl MoeConfig {
    /// Initializes a model on `device`: normal matrices with the deviation
    /// [`init_std`](MoeConfig::init_std), gains of one.
    ///
    /// [`Device::seed`] seeds the random numbers. Every device has a generator of its own: for the
    /// same model on all of them, make it on Flex and move it with [`Module::fork`].
    ///
    /// # Panics
    ///
    /// Panics if the configuration is invalid; see [`try_init`](Self::try_init).
    pub fn init(&self, device: &Device) -> MoeTransformer {
        match self.try_init(device) {
            Ok(model) => model,
            Err(error) => panic!("{error}"),
        }
    }

    /// Initializes a model on `device`, as [`init`](Self::init) does. Logs the configuration's
    /// [`warnings`](Self::warnings).
    ///
    /// # Errors
    ///
    /// The errors of [`validate`](Self::validate).
    pub fn try_init(&self, device: &Device) -> Result<MoeTransformer, MoeConfigError> {
        self.validate()?;
        for warning in self.warnings() {
            log::warn!("{warning}");
        }
        Ok(MoeTransformer::new(self, device))
    }
}

impl MoeTransformer {
    pub(crate) fn new(config: &MoeConfig, device: &Device) -> Self {
        let init = WeightInit { config, device };
        let multiplier = config.logit_multiplier;
        Self {
            embedding: init.embedding(config.vocab_size, config.hidden),
            blocks: (0..config.n_layers).map(|_| Block::new(&init)).collect(),
            norm: init.norm(config.hidden),
            lm_head: (!config.tied_embeddings)
                .then(|| init.linear(config.hidden, config.vocab_size)),
            tied: config.tied_embeddings.then_some(TiedOutput { multiplier }),
            load_balancing: config.load_balancing,
            router_z_loss: config.router_z_loss,
            config: config.clone(),
        }
    }

    /// Makes a block of its own initialization.
    fn fresh_block(&self) -> Block {
        let device = self.norm.gamma.device();
        let config = &self.config;
        Block::new(&WeightInit {
            config,
            device: &device,
        })
    }

    /// The present configuration of the model, with grown widths and the logit multiplier.
    ///
    /// A record holds no constants: save a grown model as its record and this configuration.
    pub fn config(&self) -> MoeConfig {
        MoeConfig {
            load_balancing: self.load_balancing,
            router_z_loss: self.router_z_loss,
            logit_multiplier: self.tied.as_ref().map_or(1.0, |tied| tied.multiplier),
            ..self.config.clone()
        }
    }

    /// Computes the logits of the next token at every position.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, seq]`
    /// - logits: `[batch, seq, vocab]`
    pub fn forward(&self, tokens: Tensor<2, Int>) -> MoeOutput {
        self.forward_hooked(tokens, &mut ())
    }

    /// As [`forward`](Self::forward), and shows `hook` every activation.
    pub fn forward_hooked(
        &self,
        tokens: Tensor<2, Int>,
        hook: &mut impl ActivationHook,
    ) -> MoeOutput {
        self.run(tokens, None, hook)
    }

    /// As [`forward`](Self::forward) on the tokens of the cache followed by `tokens`, but computes
    /// `tokens` only.
    ///
    /// # Shapes
    ///
    /// - tokens: `[batch, seq]`
    /// - logits: `[batch, seq, vocab]`, those of `tokens`
    pub fn forward_cached(&self, tokens: Tensor<2, Int>, cache: &mut KvCache) -> MoeOutput {
        self.run(tokens, Some(cache), &mut ())
    }

    fn run(
        &self,
        tokens: Tensor<2, Int>,
        mut cache: Option<&mut KvCache>,
        hook: &mut impl ActivationHook,
    ) -> MoeOutput {
        let [_, seq] = tokens.dims();
        let past = cache.as_ref().map_or(0, |cache| cache.seq());
        let mut x = self.embedding.forward(tokens);
        hook.see(Site::Embedding, &x);
        let mut routed = Vec::with_capacity(self.blocks.len());
        if let Some(first) = self.blocks.first() {
            let range = past..past + seq;
            let positions = first.attention.positions(range, x.dtype(), &x.device());
            for (layer, block) in self.blocks.iter().enumerate() {
                let cache = cache.as_mut().map(|cache| cache.layer(layer));
                let (y, layer) = block.forward(x, &positions, cache, layer, hook);
                x = y;
                routed.push(layer);
            }
        }
        let logits = self.logits(norm(&self.norm, x));
        hook.see(Site::Logits, &logits);
        MoeOutput { logits, routed }
    }

    /// Computes the training loss of predicting `targets` from `tokens`, in its parts.
    ///
    /// # Shapes
    ///
    /// - tokens, targets: `[batch, seq]`
    pub fn loss(&self, tokens: Tensor<2, Int>, targets: Tensor<2, Int>) -> MoeLoss {
        self.loss_of(&self.forward(tokens), targets)
    }

    /// Computes the training loss of an output, in its parts.
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

    /// Projects the normalized residual stream on the vocabulary.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, vocab]`
    fn logits(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, seq, hidden] = x.dims();
        let x = x.reshape([batch * seq, hidden]);
        let logits = match (&self.lm_head, &self.tied) {
            (Some(lm_head), _) => project(lm_head, x),
            (None, tied) => {
                // The stream is narrower than the vocabulary: scaling it is cheaper.
                let x = match tied.as_ref().map_or(1.0, |tied| tied.multiplier) {
                    1.0 => x,
                    multiplier => x * multiplier,
                };
                linear(x, self.embedding.weight.val().transpose())
            }
        };
        let [_, vocab] = logits.dims();
        logits.reshape([batch, seq, vocab])
    }
}

/// Takes tokens, `[batch, seq]`; returns the logits and the root mean square at every [`Site`].
impl Probe<Tensor<2, Int>> for MoeTransformer {
    fn probe(&self, tokens: Tensor<2, Int>) -> Activations {
        let mut hook = RmsHook::default();
        let output = self.forward_hooked(tokens, &mut hook);
        let sites = hook.values().into_iter();
        sites.fold(Activations::new(output.logits), |found, (site, rms)| {
            found.with_rms(site.to_string(), rms)
        })
    }
}

//! A growable MoE transformer: a mixture-of-experts language model that widens while it trains.
//!
//! It has the architecture of OLMoE and Qwen3-MoE: RMSNorm before every layer, normalized queries
//! and keys, rotary positions, grouped-query attention, SwiGLU experts with dropless routing, no
//! biases. It grows along the residual stream, the width of an expert, the heads, the experts and
//! the vocabulary; [`MoeConfig`] lists the axes.
//!
//! - [`MoeConfig`], [`QkNorm`], [`InitStd`]: the shape of a model. [`MoeTransformer`]: the model.
//! - [`MoeOutput`], [`MoeLoss`]: logits, routing and the parts of the loss. [`ExpertLoad`]: how
//!   evenly the experts are used.
//! - [`Block`], [`Attention`], [`HeadNorm`], [`MoeFeedForward`], [`Router`]: the parts of a model.
//! - [`KvCache`]: generates token by token without computing the past again.
//! - [`ActivationHook`], [`RmsHook`]: look at the activations of a forward pass.
//!
//! ```
//! use burn_core::tensor::{Device, Int, Tensor};
//! use burn_grow_core::{Blueprint, Expansion, Plan};
//! use burn_grow_moe::MoeConfig;
//!
//! # fn main() -> Result<(), burn_grow_core::GrowError> {
//! let device = Device::flex();
//! let model = MoeConfig::default().init(&device);
//! let tokens = Tensor::<2, Int>::zeros([1, 8], &device);
//! let before = model.forward(tokens.clone()).logits;
//!
//! let plan = Plan::new(&Blueprint::of(&model)?, &Expansion::by("inner", 2.0))?;
//! let model = plan.apply(model)?;
//! assert_eq!(model.config().inner, 32);
//!
//! // The wide model computes the same function.
//! let after = model.forward(tokens).logits;
//! assert!((after - before).abs().max().into_scalar::<f32>() < 1e-4);
//! # Ok(())
//! # }
//! ```
//!
//! # Feature flags
//!
//! - `flex` (default): the hand-written kernels of [`burn_grow_kernels`] for Flex.
//! - `metrics`: `ExpertEntropyMetric` and `MaxExpertShareMetric` for burn-train's dashboard.
//! - `hf`: `MoeTransformer::from_hf` and `to_hf` read and write checkpoints of Hugging Face's
//!   `transformers`.
//! - `cuda`, `vulkan`, `wgpu`: backends for this crate's benchmarks.

mod activation_hook;
mod attention;
mod block;
mod config;
mod error;
mod expert_load;
mod feed_forward;
mod head_norm;
#[cfg(feature = "hf")]
mod hf;
mod init_std;
mod kv_cache;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod output;
mod projection;
mod router;
mod weight_init;

pub use activation_hook::{ActivationHook, RmsHook, Site};
pub use attention::Attention;
pub use block::Block;
pub use burn_grow_kernels::{Positions, Routing};
pub use config::{MoeConfig, QkNorm};
pub use error::{MoeConfigError, MoeConfigWarning};
pub use expert_load::ExpertLoad;
pub use feed_forward::MoeFeedForward;
pub use head_norm::HeadNorm;
#[cfg(feature = "hf")]
pub use hf::{HfError, HfExport, HfFamily};
pub use init_std::InitStd;
pub use kv_cache::KvCache;
#[cfg(feature = "metrics")]
pub use metrics::{ExpertEntropyMetric, MaxExpertShareMetric, MoeSequenceOutput};
pub use model::{MoeTransformer, TiedOutput};
pub use output::{MoeLoss, MoeOutput};
pub use router::{Routed, Router};

//! A decoder language model of experts that grows in width while it trains.
//!
//! The shapes of OLMoE and Qwen3-MoE: pre-norm RMSNorm, a norm on queries and keys, rotary positions,
//! grouped-query attention, SwiGLU experts with dropless routing, no biases. It grows along
//! the residual stream, the width of an expert, the heads, the experts and the vocabulary; the axes are
//! listed at [`MoeConfig`].
//!
//! - [`MoeConfig`]: the shape of a model; [`MoeTransformer`]: the model.
//! - [`MoeOutput`], [`MoeLoss`]: logits, routing, and the parts of the loss; [`ExpertLoad`]: how even the routing is,
//!   for burn-train as `ExpertEntropyMetric` and `MaxExpertShareMetric` (feature `metrics`).
//! - [`Block`], [`Attention`], [`HeadNorm`], [`MoeFeedForward`], [`Router`]: its parts.
//! - [`KvCache`]: what generating token by token need not compute again.
//! - [`Probe`], [`RmsProbe`]: a look at the activations.
//! - `MoeTransformer::from_hf`, `to_hf`: checkpoints of Hugging Face's `transformers` (feature `hf`).
//!
//! ```
//! use burn_core::tensor::{Device, Int, Tensor};
//! use burn_grow_core::{Blueprint, Expansion, Plan};
//! use burn_grow_moe::MoeConfig;
//!
//! # fn main() -> Result<(), burn_grow_core::GrowError> {
//! let device = Device::flex();
//! let model = MoeConfig::default().init(&device);
//! let plan = Plan::new(&Blueprint::of(&model)?, &Expansion::by("inner", 2.0))?;
//! let model = plan.apply(model)?;
//! let logits = model.forward(Tensor::<2, Int>::zeros([1, 8], &device)).logits;
//! assert_eq!(logits.dims(), [1, 8, 256]);
//! assert_eq!(model.config().inner, 32);
//! # Ok(())
//! # }
//! ```

mod attention;
mod block;
mod config;
mod error;
mod expert_load;
mod feed_forward;
mod head_norm;
#[cfg(feature = "hf")]
mod hf;
mod init;
mod kernels;
mod kv_cache;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod output;
mod probe;
mod router;
mod routing;

pub use attention::Attention;
pub use block::Block;
pub use config::MoeConfig;
pub use error::MoeConfigError;
pub use expert_load::ExpertLoad;
pub use feed_forward::MoeFeedForward;
pub use head_norm::{HeadNorm, QkNorm};
#[cfg(feature = "hf")]
pub use hf::{HfError, HfExport, HfFamily};
pub use kernels::Positions;
pub(crate) use kv_cache::KeyValues;
pub use kv_cache::KvCache;
#[cfg(feature = "metrics")]
pub use metrics::{ExpertEntropyMetric, MaxExpertShareMetric, MoeSequenceOutput};
pub use model::{MoeTransformer, TiedOutput};
pub use output::{MoeLoss, MoeOutput};
pub use probe::{Probe, RmsProbe, Site};
pub use router::{Routed, Router};
pub use routing::Routing;

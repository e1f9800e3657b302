//! The operations of a mixture-of-experts transformer, one function each.
//!
//! | operation | function |
//! |---|---|
//! | linear layers | [`linear`] |
//! | root-mean-square normalization | [`rms_norm`] |
//! | rotary positions, after a norm of every head or without one | [`norm_rotate`], [`rotate`] |
//! | causal grouped-query attention | [`causal_attention`] |
//! | SwiGLU experts with dropless routing | [`experts`] |
//! | cross entropy | [`cross_entropy`] |
//!
//! Every function runs on every device, in every float type and under autodiff: it is written with
//! Burn's tensor API. Where it pays, a hand-written kernel takes its place, forward and backward.
//! All of them give the same values and gradients up to rounding.
//!
//! | operation | Flex, `f32` | CubeCL devices, `f32`, `f16`, `bf16` | other devices and types |
//! |---|---|---|---|
//! | routing | host | kernel | host, which reads the probabilities |
//! | experts | kernel, exact rows | kernel, exact rows | tensor API, padded rows |
//! | norms, attention, cross entropy | kernel | tensor API | tensor API |
//! | [`rotate`] | tensor API | tensor API | tensor API |
//!
//! The kernels for Flex, Burn's CPU backend, come with the feature `flex`, on by default. CubeCL
//! devices are those of `cuda`, `vulkan` and `wgpu`; there a forward and a backward pass never wait
//! for the device. Gradient checkpointing has a tape of another type that kernels cannot record on:
//! under it the tensor API answers on every device, and the padding of the experts needs their load
//! on the host, so every layer waits for the device once.
//!
//! [`Positions`] holds the rotary tables and the causal mask that the layers of one forward pass
//! share. [`Routing`] chooses the experts of every token.
//!
//! ```
//! use burn_core::tensor::{DType, Device, Distribution, Tensor};
//! use burn_grow_kernels::{Positions, RotaryAngles, causal_attention, norm_rotate};
//!
//! let device = Device::flex();
//! // Two sequences of 8 positions, 4 query heads of size 16 that share 2 key heads.
//! let random = |heads| {
//!     Tensor::<4>::random([2, 8, heads, 16], Distribution::Default, &device)
//! };
//! let (q, k, v) = (random(4), random(2), random(2));
//! let gain = Tensor::<1>::ones([16], &device);
//! let angles = RotaryAngles::new(0..8, 16, 10_000.0);
//! let positions = Positions::new(angles, 2, DType::F32, device.clone());
//!
//! let q = norm_rotate(q, gain.clone(), 1e-5, &positions);
//! let k = norm_rotate(k, gain, 1e-5, &positions);
//! assert_eq!(causal_attention(q, k, v, &positions).dims(), [2, 8, 4, 16]);
//! ```

mod angles;
#[cfg(feature = "cube")]
mod cube;
mod expert_matrices;
#[cfg(feature = "flex")]
mod flex;
mod host_choice;
#[cfg(any(feature = "cube", feature = "flex"))]
mod op;
mod ops;
mod positions;
mod routing;
mod tensor;
#[cfg(all(test, feature = "flex"))]
mod tests;

pub use angles::RotaryAngles;
pub use expert_matrices::ExpertMatrices;
pub use ops::{causal_attention, cross_entropy, experts, linear, norm_rotate, rms_norm, rotate};
pub use positions::Positions;
pub use routing::Routing;

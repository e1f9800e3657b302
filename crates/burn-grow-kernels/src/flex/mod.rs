//! The operations on Flex, each forward and backward written as one pass over
//! the host's memory.
//!
//! Small models on a CPU spend their time in elementwise passes, in scalar `exp` and in buffers
//! that only the tape keeps. Here an operation is one node of the tape and keeps what it needs; its
//! loops are plain Rust over blocks of 16 numbers, compiled once for every instruction set that
//! [`simd`] can choose from at run time. Every operation is tested against the tensor API, values
//! and gradients.

mod attention;
mod attention_backward;
mod attention_loops;
mod cross_entropy;
mod experts;
mod linear;
mod norm;
mod op;
mod parallel;
mod product;
mod rotary;
mod simd;

pub(crate) use attention::causal_attention;
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use experts::experts;
pub(crate) use linear::linear;
pub(crate) use norm::rms_norm;
pub(crate) use op::supports;
pub(crate) use rotary::norm_rotate;

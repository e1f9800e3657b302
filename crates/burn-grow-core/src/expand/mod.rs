//! A plan carried out: parameters and raw tensors get their new coordinates.
//!
//! What is in host memory moves as bytes, on all cores; what is on another device moves there.
//! Every device and every replica gets the same numbers, as random ones are made on the host.

mod apart;
mod apply;
mod check;
mod device;
mod factors;
mod filled;
mod gather;
#[cfg(feature = "flex")]
mod host;
mod moves;
mod noise;
mod old_values;
mod random;
mod stack;
pub(crate) mod streamed;
pub(crate) mod tape;
#[cfg(all(test, feature = "flex"))]
mod tests;

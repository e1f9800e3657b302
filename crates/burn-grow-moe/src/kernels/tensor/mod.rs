//! The operations written with the tensor API, for every device.

mod attention;
mod cross_entropy;
mod experts;
mod rms_norm;
mod rotary;

pub(super) use attention::{causal_attention, causal_mask};
pub(super) use cross_entropy::cross_entropy;
pub(super) use experts::experts;
pub(super) use rms_norm::rms_norm;
pub(super) use rotary::Rotary;

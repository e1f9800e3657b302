//! The operations written with Burn's tensor API, for every device.

mod attention;
mod cross_entropy;
mod experts;
mod linear;
mod rms_norm;
mod rotary;

pub(crate) use attention::{causal_attention, causal_mask};
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use experts::experts;
pub(crate) use linear::linear;
pub(crate) use rms_norm::rms_norm;
pub(crate) use rotary::Rotary;

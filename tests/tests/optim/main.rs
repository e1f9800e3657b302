//! Optimizers: their state and their learning rates across an expansion.

mod clipping;
mod depth;
mod optimizers;
mod rates;

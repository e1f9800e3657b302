//! Optimizers: their state and their learning rates across an expansion.

mod clipping;
mod optimizers;
mod rates;

//! Optimizers: their state and their learning rates across an expansion.

mod clipping;
mod coordinates;
mod depth;
mod optimizers;
mod parametrized;
mod rates;

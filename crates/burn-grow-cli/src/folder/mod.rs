//! A folder as `transformers` writes it: `config.json`, safetensors files, and whatever else.

pub(crate) mod config;
mod dtype;
pub(crate) mod header;
pub(crate) mod index;
mod open;

pub use dtype::{Dtype, Float};
pub use open::{Folder, Stored};
pub(crate) use open::{Reader, is_weights};

/// The configuration of a model.
pub(crate) const CONFIG: &str = "config.json";
/// The weights, if they are in one file.
pub(crate) const SINGLE: &str = "model.safetensors";
/// Which file holds which tensor, if there are several.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

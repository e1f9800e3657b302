//! Checkpoints of Hugging Face's `transformers`: a folder of a `config.json` and safetensors files.
//!
//! OLMoE (`model_type` `olmoe`) and Qwen3-MoE (`qwen3_moe`), in one file or in shards with an
//! index. The [`QkNorm`](crate::QkNorm) of a model decides which one it is: over the full width it
//! is an OLMoE. The module is part of this crate because `from_hf` and `to_hf` are methods of its
//! types.

mod checkpoint;
mod config;
mod error;
mod export;
mod family;
mod header;
mod import;
mod keys;
mod names;
mod pieces;

pub use error::HfError;
pub use export::HfExport;
pub use family::HfFamily;

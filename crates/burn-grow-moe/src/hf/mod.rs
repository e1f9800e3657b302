//! Checkpoints of Hugging Face's `transformers`: a folder of a `config.json` and safetensors files.
//!
//! OLMoE (`model_type` `olmoe`) and Qwen3-MoE (`qwen3_moe`), in one file or in shards with an index. A
//! model is one or the other by its [`QkNorm`](crate::QkNorm): over the full width it is OLMoE's.

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

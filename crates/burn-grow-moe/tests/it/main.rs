//! The transformer against plain loops and against `transformers`, in one binary.

mod common;
#[cfg(feature = "hf")]
mod hf;

mod axes;
mod device_reads;
mod experts;
mod growth;
mod hf_errors;
mod hf_golden;
mod hf_parity;
mod kv_cache;
mod losses;
mod metrics;
mod reference;

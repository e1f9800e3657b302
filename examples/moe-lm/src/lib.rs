//! A byte-level mixture-of-experts language model that widens while it trains.
//!
//! Six arms of one experiment, each a plain burn-train run: the small model, the small model trained
//! longer, the wide one from scratch, and three that grow in the middle. Grown arms go on from the
//! small one's checkpoint, so all of them share a first half.

pub mod arm;
pub mod campaign;
pub mod cli;
pub mod config;
pub mod corpus;
pub mod demo;
pub mod device;
pub mod error;
pub mod language_model;
pub mod loader;
pub mod planning;
pub mod probe;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod row;
pub mod run;
pub mod schedule;
pub mod scores;
pub mod store;

mod silent;

pub use demo::demo;

//! A byte-level mixture-of-experts language model that widens while it trains.
//!
//! An experiment compares arms, each a plain burn-train run: the small model, the wide one from scratch,
//! and others that grow on the way. Grown arms go on from the small one's checkpoint, so all of them
//! share a first part. The demonstration is the experiment that the program carries with it.

pub mod arm;
pub mod cli;
pub mod config;
pub mod corpus;
pub mod counted;
pub mod demo;
pub mod device;
pub mod error;
pub mod experiment;
pub mod experiments;
pub mod generate;
pub mod grid;
pub mod job;
pub mod language_model;
pub mod loader;
pub mod optimizer;
pub mod phase;
pub mod planning;
pub mod probe;
pub mod progress;
pub mod queue;
pub mod recorder;
pub mod report;
pub mod row;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod scores;
pub mod stop;
pub mod store;
pub mod summary;
pub mod unit;

mod hash;
mod origin;
mod silent;

pub use demo::demo;

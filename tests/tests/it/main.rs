//! Behaviour across crates, in one binary: each would link all of Burn and compile its generics anew.

#[path = "../harness/mod.rs"]
mod harness;

mod algebra;
mod attach;
mod baselines;
mod book;
mod clipping;
mod custom_loop;
mod derive;
mod errors;
mod forgotten;
mod golden;
mod identity;
mod layers;
mod offline;
mod optimizers;
mod pairs;
mod plan;
mod replicas;
mod resume;
mod saving_memory;
mod stages;
mod training;
mod triggers;
mod verify;

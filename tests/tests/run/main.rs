//! Training runs: triggers, checkpoints, resuming, devices, loops of one's own.

#[path = "../harness/mod.rs"]
mod harness;

mod attach;
mod book;
mod crash;
mod custom_loop;
mod damage;
mod extended;
mod faults;
mod forgotten;
mod memory;
mod offline;
mod planned;
mod published;
mod rehearsal;
mod replaced;
mod replicas;
mod resume;
mod saving_memory;
mod stages;
mod training;
mod triggers;

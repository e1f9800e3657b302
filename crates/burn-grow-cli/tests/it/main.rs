//! Folders that the tests write themselves, read, expanded and verified.

mod common;

mod closed_forms;
mod commands;
mod config;
mod families;
mod hf_parity;
mod interrupted;
mod malformed;
#[cfg(target_os = "linux")]
mod memory;
mod optimizer_state;
mod own_family;
#[cfg(target_os = "linux")]
mod peak;
mod tied;
mod torch_parity;
mod upcycle;

//! What a device computes, beside the same on Flex: one table of checks, on the device that
//! `BURN_GROW_DEVICE` names.
//!
//! `cargo xtask test-device wgpu` builds Burn for a device and runs it there. All checks run in one
//! process, one after the other: a device compiles its kernels once for all of them, and on a
//! software driver that is most of the time. So they are rows of a table and not tests of their
//! own, each of which nextest would give a process.
#![allow(clippy::unwrap_used)]

#[path = "../harness/mod.rs"]
mod harness;

mod check;
mod findings;
mod half;
mod kind;
mod layers;
mod optimizers;
mod runs;
mod table;
mod transformer;

use std::process::ExitCode;

use check::{Check, On};

/// Restricts the checks: `short`, or a part of their names.
const CHECKS: &str = "BURN_GROW_CHECKS";

fn main() -> ExitCode {
    // What runs the tests asks for their names first.
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |option: &str| arguments.iter().any(|argument| argument == option);
    if asked("--list") {
        if !asked("--ignored") {
            println!("every_check_holds: test");
        }
        return ExitCode::SUCCESS;
    }
    let (backend, device) = device::chosen();
    let on = On {
        backend,
        device,
        two: backend.open_two().unwrap(),
    };
    let mut checks = Vec::new();
    layers::enrol(&mut checks);
    transformer::enrol(&mut checks);
    optimizers::enrol(&mut checks);
    half::enrol(&mut checks);
    runs::enrol(&mut checks);
    let wanted = std::env::var(CHECKS).unwrap_or_default();
    let wanted = |check: &Check| match wanted.as_str() {
        "short" => check.short,
        part => check.name.contains(part),
    };
    checks.retain(wanted);
    assert!(!checks.is_empty(), "no check is named so");
    match table::run(&checks, &on) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

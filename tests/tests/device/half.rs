//! Half precision: parameters, activations and gradients in bf16 or f16, the optimizer's state in
//! f32.

use burn::tensor::FloatDType;

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::kind::Kind;
use crate::transformer::losses;

pub(crate) fn enrol(checks: &mut Vec<Check>) {
    checks.extend([
        Check {
            name: "transformer in bf16, 10 steps",
            // WGSL has no such type, so that a software driver is done with it at once.
            short: true,
            run: |on, found| trained(on, found, FloatDType::BF16, Kind::Bf16),
        },
        Check {
            name: "transformer in f16, 10 steps",
            short: false,
            run: |on, found| trained(on, found, FloatDType::F16, Kind::F16),
        },
    ]);
}

/// Nothing is tried on a device that does not compute in `dtype`: there, Burn 0.22.1 goes on from
/// one kernel that does not compile to the next for minutes, with a panic for each.
fn trained(on: &On, found: &mut Findings, dtype: FloatDType, kind: Kind) {
    match on.device.supports_dtype(dtype) {
        true => found.add(kind, "losses", losses(on, dtype, 10)),
        false => found.cannot = Some(dtype),
    }
}

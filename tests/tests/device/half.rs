//! Half precision: parameters, activations and gradients in bf16 or f16, the optimizer's state in
//! f32.

use burn::tensor::FloatDType;

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::kind::Kind;
use crate::table::panics;
use crate::transformer::losses;

pub(crate) fn enrol(checks: &mut Vec<Check>) {
    checks.extend([
        Check {
            name: "transformer in bf16, 10 steps",
            short: false,
            run: |on, found| trained(on, found, FloatDType::BF16, Kind::Bf16),
        },
        Check {
            name: "transformer in f16, 10 steps",
            short: false,
            run: |on, found| trained(on, found, FloatDType::F16, Kind::F16),
        },
    ]);
}

/// A device that does not compute in `dtype` is tried all the same, for what Burn says.
fn trained(on: &On, found: &mut Findings, dtype: FloatDType, kind: Kind) {
    if on.device.supports_dtype(dtype) {
        found.add(kind, "losses", losses(on, dtype, 10));
        return;
    }
    let said = match panics(|| drop(losses(on, dtype, 10))) {
        Some(message) => message,
        None => "it computes something all the same".into(),
    };
    found.cannot = Some(format!(
        "Device::supports_dtype({dtype:?}) is false; Burn: {said}"
    ));
}

//! The layers of burn-nn: outputs, gradients, and every expansion of them.

use burn_grow::InitPair;
use burn_grow_tests::data::values;
use burn_grow_tests::for_every_layer;
use burn_grow_tests::growth::grown;
use burn_grow_tests::layers::{Around, Input, every, expansions};

use crate::check::{Check, On};
use crate::findings::Findings;
use crate::kind::Kind;

/// Those that a software driver gets through in minutes.
const SHORT: [&str; 2] = ["Linear", "LayerNorm"];

pub(crate) fn enrol(checks: &mut Vec<Check>) {
    fn check<M: Around>(_layer: &str, checks: &mut Vec<Check>) {
        let model = core::any::type_name::<M>();
        let model = model.rsplit("::").next().unwrap();
        let name = model.strip_prefix("Of").unwrap();
        checks.push(Check {
            name,
            short: SHORT.contains(&name),
            run: layer::<M>,
        });
    }
    for_every_layer!(check(checks));
}

fn layer<M: Around>(on: &On, found: &mut Findings) {
    let narrow = M::of(1.0, 1, &on.autodiff());
    pass(on, found, "narrow", &narrow);
    for (number, expansion) in expansions::<M>(1.5).iter().enumerate() {
        let name = format!("expansion {number}");
        found.add_params(Kind::Bits, &name, &grown(&narrow, expansion));
    }
    let random = every::<M>(2.0).with_init(InitPair::RANDOM_RANDOM);
    found.add_params(Kind::Bits, "random", &grown(&narrow, &random));
    pass(on, found, "wide", &grown(&narrow, &every::<M>(2.0)));
}

/// Forward and backward.
fn pass<M: Around>(on: &On, found: &mut Findings, name: &str, model: &M) {
    let device = on.autodiff();
    let output = model.output(&Input { seed: 7, device });
    found.add(Kind::Outputs, name, values(output.clone()));
    let loss = output.add_scalar(0.5).powi_scalar(2).mean();
    // Nearly all of these models have one.
    found.add_gradients(Kind::GeluGradients, name, model, &loss.backward());
}

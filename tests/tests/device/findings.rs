use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{FloatDType, Gradients, Tensor};
use burn_grow_core::{ParamVisitor, for_each_param};
use burn_grow_tests::data::{distance, values};
use burn_grow_tests::dump;

use crate::kind::Kind;

/// The numbers that a check found on one device.
#[derive(Default)]
pub(crate) struct Findings {
    numbers: BTreeMap<(Kind, String), Vec<f32>>,
    /// The type of number that they need, if the device does not compute in it.
    pub(crate) cannot: Option<FloatDType>,
}

impl Findings {
    pub(crate) fn add(&mut self, kind: Kind, name: impl Into<String>, values: Vec<f32>) {
        let old = self.numbers.insert((kind, name.into()), values);
        assert!(old.is_none(), "a name is used once");
    }

    /// Adds every parameter of `model`.
    pub(crate) fn add_params<M: Module>(&mut self, kind: Kind, name: &str, model: &M) {
        for (path, param) in dump::params(model) {
            self.add(kind, format!("{name}: {path}"), param.values());
        }
    }

    /// Adds every gradient of `model`.
    pub(crate) fn add_gradients<M: Module>(
        &mut self,
        kind: Kind,
        name: &str,
        model: &M,
        grads: &Gradients,
    ) {
        struct Collect<'a> {
            findings: &'a mut Findings,
            kind: Kind,
            name: &'a str,
            grads: &'a Gradients,
        }
        impl ParamVisitor for Collect<'_> {
            fn float<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
                if let Some(grad) = param.val().grad(self.grads) {
                    let name = format!("{}: {path}", self.name);
                    self.findings.add(self.kind, name, values(grad));
                }
            }
        }
        let findings = self;
        let mut collect = Collect {
            findings,
            kind,
            name,
            grads,
        };
        for_each_param(model, &mut collect);
    }

    /// The largest difference of every kind to `expected`, as a part of the largest number of its
    /// tensor, and that tensor's name.
    ///
    /// Of a tensor that is next to nothing, such as the gradient of a bias in front of a softmax,
    /// only rounding is left: its difference is a part of a hundredth of the largest number of its
    /// kind at least.
    pub(crate) fn differences(&self, expected: &Self) -> BTreeMap<Kind, (f64, &str)> {
        assert!(
            self.numbers.keys().eq(expected.numbers.keys()),
            "both devices compute the same"
        );
        let mut scales: BTreeMap<Kind, f32> = BTreeMap::new();
        for ((kind, _), values) in &expected.numbers {
            let scale = scales.entry(*kind).or_default();
            *scale = scale.max(largest(values));
        }
        let mut found: BTreeMap<Kind, (f64, &str)> = BTreeMap::new();
        for (key, values) in &self.numbers {
            let (kind, name) = key;
            let expected = &expected.numbers[key];
            let scale = largest(expected).max(0.01 * scales[kind]);
            let apart = f64::from(distance(values, expected));
            let apart = match apart == 0.0 {
                true => 0.0,
                false => apart / f64::from(scale),
            };
            let most = found.entry(*kind).or_insert((0.0, name));
            if apart > most.0 {
                *most = (apart, name);
            }
        }
        found
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

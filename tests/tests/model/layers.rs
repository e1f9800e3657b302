//! Every layer of burn-nn that has parameters grows, and says what it cannot.
#![allow(clippy::unwrap_used)]

mod refusals;

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Gradients, Tensor};
use burn_grow::verify::two_width_check;
use burn_grow::{Blueprint, Expansion, InitPair};
use burn_grow_tests::data::{assert_close, values};
use burn_grow_tests::growth::plan;
use burn_grow_tests::layers::*;
use burn_grow_tests::{dump, for_every_layer};

/// A narrow model of its own, expanded.
fn wide<M: Around>(expansion: &Expansion, device: &Device) -> M {
    let narrow = M::of(1.0, 1, device);
    plan(&narrow, expansion).apply(narrow).unwrap()
}

fn output<M: Around>(model: &M, device: &Device) -> Vec<f32> {
    let device = device.clone();
    values(model.output(&Input { seed: 7, device }))
}

fn backward<M: Around>(model: &M, device: &Device) -> Gradients {
    let device = device.clone();
    let output = model.output(&Input { seed: 7, device });
    output.add_scalar(0.5).powi_scalar(2).mean().backward()
}

#[test]
fn twice_the_width_preserves_the_function() {
    fn check<M: Around>(name: &str) {
        let device = Device::flex();
        let before = output(&M::of(1.0, 1, &device), &device);
        let largest = before.iter().fold(1.0, |a: f32, b| a.max(b.abs()));
        for expansion in expansions::<M>(2.0) {
            let after = output(&wide::<M>(&expansion, &device), &device);
            let what = format!("{name} {:?}", expansion.targets);
            assert_close(&after, &before, 1e-5 * largest, &what);
        }
    }
    for_every_layer!(check());
}

/// Clones of a batch norm share its statistics until it grows.
#[test]
fn a_clone_grows_alone() {
    fn check<M: Around>(name: &str) {
        let device = Device::flex();
        let narrow = M::of(1.0, 1, &device);
        let before = dump::params(&narrow);
        let expansion = every::<M>(2.0);
        plan(&narrow, &expansion).apply(narrow.clone()).unwrap();
        assert_eq!(dump::params(&narrow), before, "{name}");
    }
    for_every_layer!(check());
}

#[test]
fn every_parameter_of_a_grown_model_trains() {
    fn check<M: Around>(name: &str) {
        let device = Device::flex().autodiff();
        let mut all = expansions::<M>(1.5);
        all.extend(InitPair::ALL.map(|pair| every::<M>(2.0).with_init(pair)));
        for expansion in all {
            let narrow = M::of(1.0, 1, &device);
            // A step of training leaves an update of the running statistics waiting.
            backward(&narrow, &device);
            let grown = plan(&narrow, &expansion).apply(narrow).unwrap();
            let before = dump::params(&grown);
            let gradients = GradientsParams::from_grads(backward(&grown, &device), &grown);
            let mut optim = ModuleOptimizer::from(AdamWConfig::new().build());
            let trained = optim.step(0.1, grown, gradients);
            for (path, after) in dump::params(&trained) {
                let what = format!("{name} {path} {:?}", expansion.targets);
                let moved = after.bytes != before[&path].bytes;
                let statistic = path.contains("running_");
                assert!(moved || statistic, "{what}: has not moved");
                assert_eq!(after.require_grad, !statistic, "{what}");
                assert!(after.values().iter().all(|v| v.is_finite()), "{what}");
            }
            assert!(output(&trained, &device).iter().all(|v| v.is_finite()));
            assert!(
                output(&trained.valid(), &Device::flex())
                    .iter()
                    .all(|v| v.is_finite())
            );
        }
    }
    for_every_layer!(check());
}

/// The largest gradient of every coordinate of one dimension of every parameter, by path.
struct Largest<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: BTreeMap<String, Vec<Vec<f32>>>,
}

impl ModuleVisitor for Largest<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.grad(self.gradients) else {
            return;
        };
        let along = |dim: usize| {
            let mut largest = gradient.clone().abs();
            for other in (0..D).filter(|other| *other != dim) {
                largest = largest.max_dim(other);
            }
            values(largest)
        };
        let found = (0..D).map(along).collect();
        self.found.insert(self.path.join("."), found);
    }
}

#[test]
fn no_new_unit_stays_dead_when_it_starts_from_zero() {
    fn check<M: Around>(name: &str) {
        let device = Device::flex().autodiff();
        let narrow = M::of(1.0, 1, &device);
        let plan = plan(&narrow, &every::<M>(2.0).with_init(InitPair::ZERO_COPY));
        let mut model = plan.apply(narrow).unwrap();
        let mut optim = ModuleOptimizer::from(AdamWConfig::new().build());
        // What a zero factor hides from a gradient at first shows once that factor has moved.
        for _ in 0..2 {
            let gradients = GradientsParams::from_grads(backward(&model, &device), &model);
            model = optim.step(0.01, model, gradients);
        }
        let gradients = backward(&model, &device);
        let mut largest = Largest {
            gradients: &gradients,
            path: Vec::new(),
            found: BTreeMap::new(),
        };
        model.visit(&mut largest);
        for param in plan.params() {
            let Some(found) = largest.found.get(&param.path) else {
                continue;
            };
            for (dim, found) in found.iter().enumerate() {
                let Some(kept) = plan.kept(param, dim) else {
                    continue;
                };
                // A bias before a norm, or of the keys, has no effect: nor has its copy.
                if least(&kept, found, true) > 1e-7 {
                    let dead = least(&kept, found, false) == 0.0;
                    assert!(!dead, "{name} {} {dim}: {found:?} {kept:?}", param.path);
                }
            }
        }
    }
    fn least(kept: &[bool], found: &[f32], wanted: bool) -> f32 {
        let pairs = kept.iter().zip(found);
        let wanted = pairs.filter(|(kept, _)| **kept == wanted);
        wanted
            .map(|(_, found)| *found)
            .fold(f32::INFINITY, f32::min)
    }
    for_every_layer!(check());
}

#[test]
fn a_grown_model_loads_where_its_shapes_are() {
    fn check<M: Around>(name: &str) {
        let device = Device::flex();
        let expansion = every::<M>(2.0);
        let grown = wide::<M>(&expansion, &device);
        let expected = output(&grown, &device);
        let replayed = {
            let narrow = M::of(1.0, 2, &device);
            plan(&narrow, &expansion).apply(narrow).unwrap()
        };
        for other in [replayed, M::of(2.0, 3, &device)] {
            let loaded = other.load_record(grown.clone().into_record());
            let bytes = |model: &M| -> Vec<_> {
                let params = dump::params(model).into_iter();
                params.map(|(path, param)| (path, param.bytes)).collect()
            };
            assert_eq!(bytes(&loaded), bytes(&grown), "{name}");
            assert_eq!(output(&loaded, &device), expected, "{name}");
        }
    }
    for_every_layer!(check());
}

#[test]
fn a_grown_model_is_described_as_one_built_wide() {
    fn check<M: Around>(name: &str) {
        let device = Device::flex();
        let built = M::of(2.0, 1, &device);
        two_width_check(&M::of(1.0, 1, &device), &built).expect(name);
        let grown = wide::<M>(&every::<M>(2.0), &device);
        assert_eq!(
            Blueprint::of(&grown).unwrap(),
            Blueprint::of(&built).unwrap(),
            "{name}"
        );
        // Whatever the layer stores about its widths shows here.
        assert_eq!(grown.to_string(), built.to_string(), "{name}");
        let narrow = M::of(1.0, 1, &device);
        assert_ne!(grown.to_string(), narrow.to_string(), "{name}");
    }
    for_every_layer!(check());
}

#[test]
fn running_statistics_are_copied_with_their_channels() {
    let device = Device::flex();
    let narrow = OfBatchNorm::of(1.0, 1, &device);
    let before = dump::params(&narrow);
    let after = dump::params(&wide::<OfBatchNorm>(&Expansion::to("channels", 6), &device));
    for path in ["norm.running_mean", "norm.running_var", "norm.gamma"] {
        let (before, after) = (before[path].values(), after[path].values());
        assert_eq!(after[..4], before[..], "{path}");
        assert_eq!(after[4..], before[..2], "{path}");
    }
}

#[test]
fn the_documentation_names_every_layer() {
    let mut names = BTreeSet::new();
    fn check<M: Around>(name: &'static str, names: &mut BTreeSet<&'static str>) {
        assert!(!M::AXES.is_empty(), "{name}");
        names.insert(name);
    }
    for_every_layer!(check(&mut names));
    let docs = include_str!("../../../docs/src/reference/layers.md");
    let rows = docs.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<&str> = rows
        .flat_map(|row| {
            row.split('|')
                .nth(1)
                .into_iter()
                .flat_map(|cell| cell.split('`'))
        })
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();
    assert_eq!(documented, names);
}

//! A model that shows what every replica of it computes with.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::{Arc, Mutex};

use burn::module::Module;
use burn::tensor::Device;
use burn::train::{InferenceStep, RegressionOutput, TrainOutput, TrainStep};
use burn_grow::prelude::*;
use burn_grow::{Growth, Rewarmup};

use super::{Batch, EPOCHS, Net, Strategy, parameters, run_on};

/// Where a replica is about to compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pass {
    Training,
    Validation,
}

/// What is called before every pass of every replica, on the thread of its device.
#[derive(Clone)]
pub struct Observer(Arc<Look>);

type Look = dyn Fn(Pass, &Net) + Send + Sync;

impl Debug for Observer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// A [`Net`] with an observer.
#[derive(Module, Growable, Debug)]
pub struct Observed {
    net: Net,
    #[module(skip)]
    observer: Observer,
}

impl Observed {
    pub fn new(net: Net, observe: impl Fn(Pass, &Net) + Send + Sync + 'static) -> Self {
        Self {
            net,
            observer: Observer(Arc::new(observe)),
        }
    }
}

impl TrainStep for Observed {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        (self.observer.0)(Pass::Training, &self.net);
        TrainStep::step(&self.net, batch)
    }
}

impl InferenceStep for Observed {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        (self.observer.0)(Pass::Validation, &self.net);
        InferenceStep::step(&self.net, batch)
    }
}

/// The weights that one replica trained with, and where.
pub struct Replica {
    pub devices: Vec<Device>,
    pub weights: BTreeMap<String, Vec<u8>>,
}

/// The replicas of every step of a run on two `devices` that widens half way.
pub fn replicas(devices: &[Device], directory: &Path, strategy: Strategy) -> Vec<[Replica; 2]> {
    let narrow = |seed| Net::new(4, 4, seed, &Device::flex().autodiff());
    let callback = WidthExpansionCallback::builder(strategy.total_steps())
        .expand(
            At::fraction(0.5),
            Growth::new(Expansion::by("inner", 2.0).and_by("hidden", 1.5))
                .with_rewarmup(Rewarmup::cosine(1e-3).paper().with_steps(2)),
        )
        .build(&Observed::new(narrow(0.0), |_, _| ()))
        .unwrap();
    let seen: Arc<Mutex<Vec<Replica>>> = Arc::default();
    let observed = |seed| {
        let seen = seen.clone();
        Observed::new(narrow(seed), move |pass, net| {
            if pass == Pass::Training {
                seen.lock().unwrap().push(Replica {
                    devices: net.devices(),
                    weights: parameters(net.clone()),
                });
            }
        })
    };
    let result = run_on(
        devices, &callback, observed, directory, strategy, None, EPOCHS,
    );
    assert!(result.error.is_none(), "{:?}", result.error);
    assert_eq!(result.model.position().stage, 1);
    // A step waits for every worker: two in a row are of the same step.
    let mut seen = core::mem::take(&mut *seen.lock().unwrap()).into_iter();
    core::iter::from_fn(|| Some([seen.next()?, seen.next().unwrap()])).collect()
}

/// Both replicas of every step have the same weights, bit for bit, before and after the expansion.
pub fn assert_equal(steps: &[[Replica; 2]], strategy: Strategy) {
    assert_eq!(steps.len(), strategy.total_steps());
    for (step, [one, other]) in steps.iter().enumerate() {
        assert_eq!(one.weights, other.weights, "step {step}");
    }
    let sizes: Vec<usize> = steps
        .iter()
        .map(|[one, _]| one.weights["up.weight"].len())
        .collect();
    let half = strategy.total_steps() / 2;
    // Four by four floats, then six by eight.
    assert!(sizes[..half].iter().all(|size| *size == 64), "{sizes:?}");
    assert!(sizes[half..].iter().all(|size| *size == 192), "{sizes:?}");
}

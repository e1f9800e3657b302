//! What can be checked of a description, an expansion, and a training after it.
#![allow(clippy::unwrap_used)]

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_grow::moe::MoeConfig;
use burn_grow::optim::{AsymmetricExt, StateRules};
use burn_grow::plan::CopyMap;
use burn_grow::train::{CandidateReport, Trial, TrialReport};
use burn_grow::verify::{
    Activations, CopySymmetry, ParamTensors, Probe, RoleMismatch, SiteRms, Symmetry, Verification,
    grown_rms, symmetry, symmetry_of, two_width_check, verify,
};
use burn_grow::{
    At, Expansion, GrowError, Growable, Growth, InitPair, Rewarmup, Scaling, StatePolicy,
    WidthExpansionCallback,
};
use burn_grow_tests::data::{random, rms, seeded};
use burn_grow_tests::dump;
use burn_grow_tests::growth::{grown, plan};
use burn_grow_tests::models::{Fused, Probe as _};

#[derive(Module, Growable, Debug)]
struct Net {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Net {
    fn of([hidden, inner]: [usize; 2], seed: u64, device: &Device) -> Self {
        let net = Self {
            embed: LinearConfig::new(3, hidden).init(device),
            up: LinearConfig::new(hidden, inner).init(device),
            down: LinearConfig::new(inner, 2).init(device),
        };
        seeded(net, seed)
    }

    fn hidden(&self, x: Tensor<2>) -> Tensor<2> {
        gelu(self.up.forward(gelu(self.embed.forward(x))))
    }
}

impl Probe<Tensor<2>> for Net {
    fn probe(&self, x: Tensor<2>) -> Activations {
        let hidden = self.hidden(x);
        Activations::new(self.down.forward(hidden.clone())).with_site("hidden", &hidden)
    }
}

#[test]
fn a_doubled_model_is_verified_to_compute_the_same() {
    let device = Device::flex();
    let net = Net::of([8, 16], 1, &device);
    let x = random([32, 3], 2, &device);
    let both = Expansion::by("inner", 2.0).and_by("hidden", 2.0);
    let found = verify(&net, &grown(&net, &both), x.clone()).unwrap();
    assert!(found.max_rel < 1e-5 && found.largest > 0.1, "{found}");
    assert!((found.sites[0].ratio() - 1.0).abs() < 1e-5);
    let same = verify(&net, &net, x.clone()).unwrap();
    assert_eq!((same.max_abs, same.max_rel), (0.0, 0.0));

    let unscaled = both.with_scaling(Scaling::None);
    let found = verify(&net, &grown(&net, &unscaled), x).unwrap();
    assert!(found.max_rel > 0.1, "{found}");
}

#[test]
fn the_mixture_of_experts_is_probed_at_every_site() {
    let device = Device::flex();
    let model = MoeConfig::default().init(&device);
    let wide = grown(&model, &Expansion::by("inner", 2.0));
    let tokens: Vec<i64> = (0..24).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(tokens, [2, 12]), &device);
    let found = verify(&model, &wide, tokens).unwrap();
    assert!(found.max_rel < 1e-4, "{found}");
    let names: Vec<_> = found.sites.iter().map(|site| site.name.as_str()).collect();
    assert_eq!(
        names[..3],
        ["embedding", "layer 0 attention", "layer 0 experts"]
    );
    assert_eq!(names.len(), 2 + 3 * 2);
}

#[test]
fn a_verification_is_a_table() {
    let site = |name: &str, before, after| SiteRms {
        name: name.into(),
        before,
        after,
    };
    let found = Verification {
        max_abs: 2e-7,
        max_rel: 1e-7,
        largest: 2.0,
        sites: vec![site("embedding", 0.02, 0.02), site("logits", 0.5, 0.4)],
        repeats: true,
    };
    insta::assert_snapshot!(found, @"
    site       RMS before  after     ratio
    embedding  2.000e-2    2.000e-2  1.0000
    logits     5.000e-1    4.000e-1  0.8000
    output: at most 2.000e0, changed by at most 2.0e-7 (1.0e-7 of it)
    ");
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Verification>(&json).unwrap(), found);
}

#[test]
fn a_comparison_under_dropout_says_so() {
    use burn::nn::{Dropout, DropoutConfig};

    struct Dropped(Dropout, f32);
    impl Probe<Tensor<2>> for Dropped {
        fn probe(&self, x: Tensor<2>) -> Activations {
            Activations::new(self.0.forward(x) * self.1)
        }
    }
    let x = random([16, 16], 1, &Device::flex().autodiff());
    let probe = |prob| Dropped(DropoutConfig::new(prob).init(), 1.0);
    let random = verify(&probe(0.5), &probe(0.5), x.clone()).unwrap();
    assert!(!random.repeats);
    assert!(random.to_string().contains("dropout"), "{random}");
    let fixed = verify(&probe(0.0), &probe(0.0), x.clone()).unwrap();
    assert!(
        fixed.repeats && !fixed.to_string().contains("dropout"),
        "{fixed}"
    );
    // What is not a number is none by chance.
    let nan = Dropped(DropoutConfig::new(0.0).init(), f32::NAN);
    assert!(verify(&nan, &nan, x).unwrap().repeats);
}

fn rows(symmetry: &Symmetry) -> Vec<(&str, usize, &str, usize)> {
    let rows = symmetry.rows.iter();
    rows.map(|row| (row.path.as_str(), row.dim, row.axis.as_str(), row.pairs))
        .collect()
}

#[test]
fn fresh_copies_are_alike_wherever_there_are_some() {
    let device = Device::flex();
    let net = Net::of([4, 6], 3, &device);
    let both = Expansion::by("inner", 2.0).and_by("hidden", 1.5);
    let found = symmetry(&grown(&net, &both), &plan(&net, &both)).unwrap();
    // Biases have one number a unit, which has no direction.
    assert_eq!(
        rows(&found),
        [
            ("embed.weight", 1, "hidden", 2),
            ("up.weight", 0, "hidden", 2),
            ("up.weight", 1, "inner", 6),
            ("down.weight", 0, "inner", 6),
        ]
    );
    assert!(found.rows.iter().all(|row| row.min > 0.999_999), "{found}");
    assert!((found.mean().unwrap() - 1.0).abs() < 1e-6);

    // What is drawn or zero is no copy.
    let silent = Expansion::by("inner", 2.0).with_init(InitPair::COPY_ZERO);
    let found = symmetry(&grown(&net, &silent), &plan(&net, &silent)).unwrap();
    assert_eq!(rows(&found), [("up.weight", 1, "inner", 6)]);
    let drawn = silent.with_init(InitPair::RANDOM_RANDOM);
    let found = symmetry(&grown(&net, &drawn), &plan(&net, &drawn)).unwrap();
    assert_eq!((found.mean(), found.rows.len()), (None, 0));
}

#[test]
fn cosines_are_those_of_the_slices() {
    let device = Device::flex();
    let net = Net::of([4, 2], 3, &device);
    let by = Expansion::by("inner", 2.0);
    let plan = plan(&net, &by);
    let mut wide = plan.apply(net).unwrap();
    // Units 0 and 1, and their copies 2 and 3.
    let down = [[1.0, 0.0], [1.0, 1.0], [0.0, 3.0], [2.0, 2.0]];
    wide.down.weight = Param::from_tensor(Tensor::from_floats(down, &device));
    let found = symmetry(&wide, &plan).unwrap();
    let row = found.rows.last().unwrap();
    assert!((row.mean - 0.5).abs() < 1e-6 && row.min.abs() < 1e-6);
    let narrow = symmetry(&Net::of([4, 2], 3, &device), &plan);
    assert!(matches!(narrow, Err(GrowError::Shape { .. })));
}

#[test]
fn stacked_experts_are_compared_one_by_one() {
    let config = MoeConfig::default();
    let model = config.init(&Device::flex());
    let pairs = |expansion: &Expansion| {
        let wide = grown(&model, expansion);
        let found = symmetry(&wide, &plan(&model, expansion)).unwrap();
        assert!(found.rows.iter().all(|row| row.min > 0.999_999), "{found}");
        let down = found.rows.iter().find(|row| row.path.contains("down_proj"));
        down.unwrap().pairs
    };
    let inner = pairs(&Expansion::by("inner", 2.0));
    assert_eq!(inner, config.n_experts * config.inner);
    assert_eq!(pairs(&Expansion::by("hidden", 2.0)), config.hidden);
}

struct Of(GradientsParams);

impl ParamTensors for Of {
    fn tensor_of<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        self.0.get(param.id)
    }
}

#[test]
fn copies_receive_gradients_as_alike_as_they_are() {
    let device = Device::flex().autodiff();
    let net = Net::of([4, 6], 4, &device);
    let by = Expansion::by("inner", 2.0);
    let plan = plan(&net, &by);
    let wide = plan.apply(net).unwrap();
    let loss = |net: &Net| {
        let x = random([16, 3], 5, &device);
        net.down.forward(net.hidden(x)).powi_scalar(2).mean()
    };
    let gradients = loss(&wide).backward();
    let found = symmetry_of(&wide, &gradients, &plan).unwrap();
    assert_eq!(rows(&found).len(), 2);
    assert!(found.rows.iter().all(|row| row.min > 0.9999), "{found}");
    let gradients = Of(GradientsParams::from_grads(gradients, &wide));
    assert_eq!(symmetry_of(&wide, &gradients, &plan).unwrap(), found);

    let other = seeded(wide, 6);
    let found = symmetry_of(&other, &loss(&other).backward(), &plan).unwrap();
    assert!(found.mean().unwrap() < 0.9, "{found}");
}

#[test]
fn a_symmetry_is_a_table() {
    let row = |path: &str, mean, min| CopySymmetry {
        path: path.into(),
        dim: 1,
        axis: "inner".into(),
        pairs: 4,
        mean,
        min,
    };
    let found = Symmetry {
        rows: vec![row("up.weight", 1.0, 1.0), row("gate.weight", 0.5, -0.25)],
    };
    insta::assert_snapshot!(found, @"
    parameter    dim  axis   pairs  mean cosine  min
    up.weight    1    inner  4      1.0000       1.0000
    gate.weight  1    inner  4      0.5000       -0.2500
    all pairs: 0.7500
    ");
}

/// Three mistakes: `up` consumes `hidden`, `fused` holds two of `inner`, `out` does not grow.
#[derive(Module, Growable, Debug)]
struct Wrong {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(fan_in = "hidden")]
    query: Linear,
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    gate: Linear,
    #[grow(fan_in = "hidden")]
    fused: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    out: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
    #[grow(fan_in = "hidden")]
    head: Option<Linear>,
}

impl Wrong {
    fn of(hidden: usize, inner: usize, head: bool) -> Self {
        let linear = |d_in, d_out| {
            let config = LinearConfig::new(d_in, d_out).with_bias(false);
            config.init(&Device::flex())
        };
        Self {
            embed: linear(3, hidden),
            query: linear(hidden, 5),
            up: linear(hidden, inner),
            gate: linear(hidden, inner),
            fused: linear(hidden, 2 * inner),
            out: linear(inner, 64),
            down: linear(inner, hidden),
            head: head.then(|| linear(hidden, 2)),
        }
    }
}

#[test]
fn the_two_width_check_names_every_mistake() {
    let (narrow, wide) = (Wrong::of(64, 32, true), Wrong::of(128, 96, false));
    let error = two_width_check(&narrow, &wide).unwrap_err();
    insta::assert_snapshot!(error, @"
    parameter `up.weight`: dimension 0 has no role but changes 64 -> 128 as axis hidden does
    parameter `fused.weight`: dimension 1 has no role but changes 64 -> 192 as axis 2 x inner does
    parameter `out.weight`: dimension 1 is fan_out(hidden), which changes 64 -> 128, but stays 64: it has no such role
    parameter `head.weight` has shape [64, 2] in the narrow model and is missing in the wide one
    ");
    let GrowError::Roles { mismatches } = error else {
        panic!("{error}");
    };
    assert!(matches!(
        &mismatches[0],
        RoleMismatch::Dimension { path, dim: 0, sizes: (64, 128), role: None, .. } if path == "up.weight"
    ));
    let device = Device::flex();
    let net = |widths| Net::of(widths, 0, &device);
    assert_eq!(two_width_check(&net([4, 6]), &net([6, 11])), Ok(vec![]));
    // Models in which a name could stand for another say nothing about names.
    let warnings = two_width_check(&net([4, 4]), &net([8, 8])).unwrap();
    assert_eq!(warnings.len(), 1);
    insta::assert_snapshot!(
        warnings[0],
        @"axes `hidden` and `inner` all change 4 -> 8: build models that differ in them, or give them one name"
    );
}

/// One optimizer step on batch `step` of a teacher's answers, and its loss.
fn train(teacher: &Net, net: Net, optim: &mut ModuleOptimizer, step: usize) -> (Net, f64) {
    let device = net.down.weight.device();
    let x = random([32, 3], 1000 + step as u64, &device);
    let answer = teacher.down.forward(teacher.hidden(x.clone())).detach();
    let loss = (net.down.forward(net.hidden(x)) - answer)
        .powi_scalar(2)
        .mean();
    let value = f64::from(loss.clone().into_scalar::<f32>());
    let gradients = GradientsParams::from_grads(loss.backward(), &net);
    (optim.step(3e-3, net, gradients), value)
}

#[test]
fn a_trial_ranks_expansions_of_a_training() {
    let device = Device::flex().autodiff();
    let teacher = Net::of([8, 16], 7, &device);
    let mut net = Net::of([8, 4], 8, &device);
    let mut optim = ModuleOptimizer::from(AdamWConfig::new().build().asymmetric());
    for step in 0..100 {
        net = train(&teacher, net, &mut optim, step).0;
    }
    let double = Expansion::by("inner", 2.0);
    let plain = |expansion| Growth::new(expansion).without_rewarmup();
    let candidates = [
        ("broken", plain(double.clone().with_scaling(Scaling::None))),
        (
            "locked",
            plain(double.clone()).with_state(StatePolicy::CopyAll),
        ),
        (
            "sparkling",
            plain(double.clone())
                .with_rewarmup(Rewarmup::proportional().with_rho(2.0).with_steps(5)),
        ),
        ("same", plain(Expansion::by("inner", 1.0))),
    ];
    let trial = Trial::new(40).in_run(100, 400);
    let run = |candidates: &[(&str, Growth)]| {
        trial.run(&net, &optim, candidates.to_vec(), |net, optim, step| {
            train(&teacher, net, optim, 100 + step)
        })
    };
    let report = run(&candidates).unwrap();
    let finals: Vec<_> = report.candidates.iter().map(|c| c.final_loss).collect();
    assert!(finals.is_sorted());
    let of = |name: &str| report.candidates.iter().find(|c| c.name == name).unwrap();
    // Growing by nothing is the unexpanded model, bit for bit.
    assert_eq!(of("same").losses, report.unexpanded);
    assert_eq!((of("same").recovery, of("same").area), (Some(0), 0.0));
    // Without its factor the model has to find back.
    assert!(of("broken").losses[0] > 1.5 * report.unexpanded[0]);
    assert!(of("broken").area > 10.0 * of("sparkling").area, "{report}");
    assert!(
        of("sparkling").final_loss < of("same").final_loss,
        "{report}"
    );
    // The winner goes back into a run.
    let best = report.best().unwrap();
    assert_eq!(
        *best,
        candidates
            .iter()
            .find(|(name, _)| *name == report.candidates[0].name)
            .unwrap()
            .1
    );
    let callback = WidthExpansionCallback::builder(400)
        .expand(At::step(100), best)
        .build(&net)
        .unwrap();
    assert_eq!(callback.stages().next().unwrap().growth, best);
    // Nothing it was given has changed.
    let again = run(&candidates[2..3]).unwrap();
    assert_eq!(again.unexpanded, report.unexpanded);
    assert_eq!(&again.candidates[0], of("sparkling"));
    let text = toml::to_string(&report).unwrap();
    assert_eq!(toml::from_str::<TrialReport>(&text).unwrap(), report);

    let nothing = StateRules::default().on("hidden", StatePolicy::CopyAll);
    let unused = (
        "rule",
        plain(Expansion::by("inner", 2.0)).with_state(nothing),
    );
    assert_eq!(
        run(&[unused]).unwrap_err().to_string(),
        "candidate `rule`: a state policy is set for axis `hidden`, which no expansion names"
    );
    // What diverges is the worst, whatever the sign of its NaN.
    let mut taken = 0;
    let diverged = trial.run(
        &net,
        &optim,
        candidates[1..3].to_vec(),
        |net, optim, step| {
            taken += 1;
            let (net, loss) = train(&teacher, net, optim, 100 + step);
            // The second run of three is that of the first candidate.
            (
                net,
                if taken > 40 && taken <= 80 {
                    -f64::NAN
                } else {
                    loss
                },
            )
        },
    );
    let ranked: Vec<_> = diverged.unwrap().candidates;
    assert_eq!(ranked[1].name, "locked");
    let short = Trial::new(40).in_run(100, 104);
    let error = short.run(&net, &optim, candidates[2..3].to_vec(), |net, _, _| {
        (net, 0.0)
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "candidate `sparkling`: re-warmup `steps` is 5: expected fewer than the optimizer steps left after the expansion"
    );
    let unknown = [("wide", plain(Expansion::by("width", 2.0)))];
    assert_eq!(
        run(&unknown).unwrap_err().to_string(),
        "candidate `wide`: unknown axis `width`: the model has `hidden`, `inner`"
    );
}

#[test]
fn the_rms_of_what_grew_is_that_of_its_coordinates_one_by_one() {
    let device = Device::flex();
    let both = Expansion::by("inner", 1.5).and_by("hidden", 2.0);
    let net = Fused::narrow(1, &device);
    for expansion in [
        Expansion::by("inner", 2.0),
        both.clone(),
        both.clone().with_map(CopyMap::Interleaved),
        both.clone().with_init(InitPair::ZERO_COPY),
    ] {
        let plan = plan(&net, &expansion);
        let wide = plan.apply(net.clone()).unwrap();
        let params = dump::params(&wide);
        let mut values = [vec![], vec![]];
        for param in plan.params().iter().filter(|param| param.grows()) {
            let kept: Vec<_> = (0..param.new_shape.len())
                .map(|dim| plan.kept(param, dim))
                .collect();
            for (mut flat, value) in params[&param.path].values().into_iter().enumerate() {
                let mut old = true;
                for (dim, size) in param.new_shape.iter().enumerate().rev() {
                    old &= kept[dim].as_ref().is_none_or(|kept| kept[flat % size]);
                    flat /= size;
                }
                values[usize::from(old)].push(value);
            }
        }
        let found = grown_rms(&wide, &plan).unwrap().unwrap();
        let [new, old] = &values;
        let all = [new.as_slice(), old].concat();
        for (found, values) in [(found.all, &all), (found.old, old), (found.new, new)] {
            let expected = rms(values);
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }
    // Nothing grew, or another model.
    let same = plan(&net, &Expansion::to("inner", 6));
    assert_eq!(grown_rms(&net, &same).unwrap(), None);
    let error = grown_rms(&net, &plan(&net, &both)).unwrap_err();
    assert!(matches!(error, GrowError::Shape { .. }), "{error}");
}

#[test]
fn a_trial_is_a_table() {
    let candidate = |name: &str, final_loss, recovery, area| CandidateReport {
        name: name.into(),
        growth: Expansion::by("inner", 2.0).into(),
        losses: Vec::new(),
        final_loss,
        recovery,
        area,
    };
    let report = TrialReport {
        steps: 100,
        unexpanded: Vec::new(),
        unexpanded_loss: 2.5,
        candidates: vec![
            candidate("copy-copy", 2.25, Some(12), 0.75),
            candidate("random", 2.75, None, 40.0),
        ],
    };
    insta::assert_snapshot!(report, @"
    candidate     final loss  to unexpanded  recovery  area above
    copy-copy     2.2500      -0.2500        step 12   0.750
    random        2.7500      +0.2500        none      40.000
    (unexpanded)  2.5000
    ");
}

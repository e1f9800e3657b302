//! Mistakes that each want a model of their own.

use burn::module::{Module, Param};
use burn::nn::{
    BiLstm, BiLstmConfig, Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig,
};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use burn_grow::{Blueprint, Expansion, Growable, InitPair, Scaling};

use super::{Gap, Moment, Mutation, magnitude};
use crate::checks::{changed, narrow};
use crate::model::{Model, Sample, Size};
use crate::moe::{Expert, mixed};

fn square(size: usize, device: &Device) -> Param<Tensor<2>> {
    Initializer::Zeros.init([size, size], device)
}

/// What a model was built with.
#[derive(Clone, Debug)]
struct Config {
    hidden: usize,
}

models! {
    /// Both directions stand one behind the other.
    OneDirection(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        lstm: BiLstm = BiLstmConfig::new(3, hidden, true).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, sample| {
        let (x, _) = model.lstm.forward(sample.floats([2, 4, 3]), None);
        model.head.forward(x).flatten(0, 1)
    };

    /// The same, unit by unit.
    DirectionsByUnit(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        lstm: BiLstm = BiLstmConfig::new(3, hidden, true).init(device),
        #[grow(fan_in("hidden", unit = 2))]
        head: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, sample| {
        let (x, _) = model.lstm.forward(sample.floats([2, 4, 3]), None);
        model.head.forward(x).flatten(0, 1)
    };

    /// The experts stand in a `Vec`.
    RouterAlone(size, device, hidden = 4, inner = 6, experts = 4) {
        #[grow(fan_out = "hidden")]
        embed: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden", fan_out = "experts")]
        router: Linear = LinearConfig::new(hidden, experts).init(device),
        all: Vec<Expert> = (0..experts).map(|_| Expert::new(hidden, inner, device)).collect(),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.embed.forward(sample.floats([5, 3]));
        let mixed = mixed(&x, model.router.forward(x.clone()), &model.all, 2);
        model.head.forward(x + mixed)
    };

    /// Half of the experts take part in a token.
    ForgottenActive(size, device, hidden = 4, inner = 6) {
        #[grow(fan_out = "hidden")]
        embed: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        router: Linear = LinearConfig::new(hidden, 2).init(device),
        experts: Vec<Expert> = (0..2).map(|_| Expert::new(hidden, inner, device)).collect(),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.embed.forward(sample.floats([5, 3]));
        let mixed = mixed(&x, model.router.forward(x.clone()), &model.experts, 1);
        model.head.forward(x + mixed)
    };

    /// The forward pass reads a width from a config.
    ConfigThatIsRead(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        embedding: Embedding = EmbeddingConfig::new(7, hidden).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
        #[module(skip)]
        config: Config = Config { hidden },
    }
    |model, sample| {
        let x = model.embedding.forward(sample.tokens([1, 5], 7));
        model.head.forward(x.reshape([5, model.config.hidden]))
    };

    /// Nothing but a saved file reads the config.
    ConfigThatIsSaved(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
        #[module(skip)]
        config: Config = Config { hidden },
    }
    |model, sample| model.head.forward(model.up.forward(sample.floats([5, 3])));

    /// A tensor that is no parameter keeps the width that it was made with.
    CachedMask(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
        mask: Tensor<2> = Tensor::ones([1, hidden], device),
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([5, 3]));
        model.head.forward(x * model.mask.clone())
    };

    /// The forward pass scales by a width that an expansion changes.
    WidthThatScales(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        embedding: Embedding = EmbeddingConfig::new(7, hidden).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
        #[grow(width = "hidden")]
        hidden: usize = hidden,
    }
    |model, sample| {
        let x = model.embedding.forward(sample.tokens([2, 5], 7));
        model.head.forward(x * (model.hidden as f64).sqrt()).flatten(0, 1)
    };

    /// A weight `[out, in]`.
    SwappedDimensions(size, device, hidden = 4, inner = 6) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(dims(fan_in = "hidden", fan_out = "inner"))]
        weight: Param<Tensor<2>> = Initializer::Zeros.init([inner, hidden], device),
        #[grow(fan_in = "inner")]
        head: Linear = LinearConfig::new(inner, 2).init(device),
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([5, 3]));
        model.head.forward(x.matmul(model.weight.val().transpose()))
    };

    /// The same on a stream, where the weight is square.
    TransposedSquare(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(dims(fan_in = "hidden", fan_out = "hidden"))]
        weight: Param<Tensor<2>> = square(hidden, device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([5, 3]));
        model.head.forward(x.matmul(model.weight.val().transpose()))
    };

    /// A head for the loss alone, which evaluation does not call.
    UncalledHead(size, device, hidden = 4) {
        #[grow(fan_out("hidden", unit = 2))]
        up: Linear = LinearConfig::new(3, 2 * hidden).init(device),
        #[grow(fan_in("hidden", unit = 2))]
        head: Linear = LinearConfig::new(2 * hidden, 2).init(device),
        #[grow(fan_in("hidden", groups = 2))]
        auxiliary: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, sample| model.head.forward(model.up.forward(sample.floats([5, 3]))) =>
    |model, sample| {
        let auxiliary = model.auxiliary.forward(model.up.forward(sample.floats([5, 3])));
        sample.classified(model.output(sample)) + sample.classified(auxiliary)
    };

    /// One parameter at two places.
    SharedParameter(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        heads: Vec<Linear> = vec![LinearConfig::new(hidden, 2).init(device); 2],
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([5, 3]));
        model.heads[0].forward(x.clone()) + model.heads[1].forward(x)
    };

    /// A matrix that sums over the axis.
    ConsumerAsGain(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(dims(gain = "hidden", _))]
        head: Param<Tensor<2>> = Initializer::Zeros.init([hidden, 2], device),
    }
    |model, sample| model.up.forward(sample.floats([5, 3])).matmul(model.head.val());

    /// One number a unit, which multiplies what another layer makes.
    GainAsFanOut(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(dims(fan_out = "hidden"))]
        scale: Param<Tensor<1>> = Initializer::Ones.init([hidden], device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([5, 3]));
        model.head.forward(x * model.scale.val().unsqueeze())
    };
}

pub(super) fn mutations() -> Vec<Mutation> {
    use Moment::*;
    vec![
        Mutation::of::<OneDirection>("one direction of a bidirectional layer", Build),
        Mutation::of::<DirectionsByUnit>("two directions by `unit`", Rehearsal),
        Mutation::of::<RouterAlone>("a `Vec` of experts grown by the router alone", TwoWidths),
        Mutation::of::<ConfigThatIsRead>("a width in a skipped config that is read", TwoWidths),
        Mutation::of::<ConfigThatIsSaved>("a width in a skipped config that is saved", TwoWidths),
        Mutation::of::<CachedMask>("a cached mask", TwoWidths),
        Mutation::of::<WidthThatScales>("a stored width that also scales", Rehearsal),
        Mutation::of::<SwappedDimensions>("the dimensions of a parameter swapped", Build),
        Mutation::of::<SharedParameter>("one parameter at two places", Build),
        Mutation::of::<ConsumerAsGain>("a consumer as `gain`", Rehearsal),
        Mutation::of::<UncalledHead>(
            "`groups` for `unit` in a head that evaluation does not call",
            Rehearsal,
        ),
    ]
}

pub(super) fn gaps() -> Vec<Gap> {
    vec![
        Mutation::gap::<GainAsFanOut>(
            "a gain as `fan_out`",
            "gradients of new units in a rehearsal under the planned init pair",
            || dead_under_zeros::<GainAsFanOut>("hidden", &["up.weight", "scale"]),
        ),
        Mutation::gap::<TransposedSquare>(
            "a square parameter transposed",
            "a rehearsal under `random-zero`",
            transposed,
        ),
        Mutation::gap::<ForgottenActive>(
            "experts without `active`",
            "counting the parameters that get a gradient from one token",
            overcounted,
        ),
    ]
}

/// How many of these parameters have new coordinates without any gradient under `zero-copy`.
pub(super) fn dead_under_zeros<M: Model>(axis: &str, paths: &[&str]) -> String {
    let device = Device::flex().autodiff();
    let zeros = InitPair::ZERO_COPY;
    let expansion = Expansion::by(axis, 2.0)
        .with_init(zeros)
        .with_scaling(Scaling::None);
    let plan = expansion.plan(&narrow::<M>(1, &device)).unwrap();
    let model = plan.apply(narrow::<M>(1, &device)).unwrap();
    let gradients = model.loss(&Sample::new(3, &device)).backward();
    let gradients = GradientsParams::from_grads(gradients, &model);
    let dead = paths.iter().filter(|path| {
        let param = plan.param(path).unwrap();
        new_gradients(&model, &gradients, path, &param.old_shape)
            .iter()
            .all(|gradient| *gradient == 0.0)
    });
    let dead: Vec<_> = dead.map(|path| format!("`{path}`")).collect();
    format!(
        "under `{zeros}` new units of {} have no gradient",
        dead.join(" and ")
    )
}

/// The gradients at `path` of the coordinates beyond the old shape.
fn new_gradients<M: Module>(
    model: &M,
    gradients: &GradientsParams,
    path: &str,
    old: &[usize],
) -> Vec<f32> {
    struct Visitor<'a> {
        gradients: &'a GradientsParams,
        path: Vec<String>,
        wanted: &'a str,
        old: &'a [usize],
        found: Vec<f32>,
    }
    impl burn::module::ModuleVisitor for Visitor<'_> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.path.join(".") != self.wanted {
                return;
            }
            let gradient = self.gradients.get::<D>(param.id).unwrap();
            // All that grows here is the last dimension.
            let last = D - 1;
            let (old, new) = (self.old[last], gradient.dims()[last]);
            let gradient = gradient.narrow(last, old, new - old);
            self.found = gradient.try_into_vec_as().unwrap();
        }
    }
    let mut visitor = Visitor {
        gradients,
        path: Vec::new(),
        wanted: path,
        old,
        found: Vec::new(),
    };
    model.visit(&mut visitor);
    visitor.found
}

fn transposed() -> String {
    let expansion = Expansion::by("hidden", 2.0)
        .with_init(InitPair::RANDOM_ZERO)
        .with_scaling(Scaling::None);
    let changed = changed(&narrow::<TransposedSquare>(1, &Device::flex()), &expansion).unwrap();
    format!(
        "under `random-zero` the output changes by {}",
        magnitude(changed)
    )
}

fn overcounted() -> String {
    let model: ForgottenActive = narrow(1, &Device::flex());
    let counted = Blueprint::of(&model).unwrap().active_params();
    let idle = model.experts[1].num_params() as f64;
    format!(
        "counts {counted} active parameters instead of {}",
        counted - idle
    )
}

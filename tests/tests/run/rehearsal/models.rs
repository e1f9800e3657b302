//! Models that describe themselves wrongly in a way that fits all sizes, each beside its right twin.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig, RmsNorm, RmsNormConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor};
use burn_grow::describe::{Constants, Describer, Role};
use burn_grow::prelude::*;
use burn_grow_tests::data::{random, seeded};

/// A model with a loss on one batch.
pub(super) trait Toy: Growable {
    fn new(device: &Device) -> Self;

    fn loss(&self) -> Tensor<1>;

    fn grads(&self) -> GradientsParams {
        GradientsParams::from_grads(self.loss().backward(), self)
    }
}

fn linear(input: usize, output: usize, device: &Device) -> Linear {
    LinearConfig::new(input, output)
        .with_bias(false)
        .init(device)
}

/// A model whose roles are marked as `$role` says, and which computes the same whatever it is.
macro_rules! flat {
    ($name:ident, $($role:tt)+) => {
        /// Channels of three positions each, flattened for a head.
        #[derive(Module, Growable, Debug)]
        pub(super) struct $name {
            #[grow(fan_out = "channels")]
            lift: Linear,
            #[grow(fan_in("channels", $($role)+))]
            head: Linear,
        }

        impl Toy for $name {
            fn new(device: &Device) -> Self {
                seeded(Self { lift: linear(1, 4, device), head: linear(12, 2, device) }, 1)
            }

            fn loss(&self) -> Tensor<1> {
                let x = random([5, 3, 1], 2, &self.head.weight.device());
                let x = relu(self.lift.forward(x)).swap_dims(1, 2);
                let [batch, channels, positions] = x.dims();
                self.head.forward(x.reshape([batch, channels * positions])).square().mean()
            }
        }
    };
}

flat!(Flattened, unit = 3);
flat!(FlattenedWrongly, groups = 3);

macro_rules! heads {
    ($name:ident, $groups:expr, $width:literal, ($($role:tt)+)) => {
        /// Query heads that share two key heads, of three numbers each.
        #[derive(Module, Growable, Debug)]
        pub(super) struct $name {
            #[grow(fan_out("queries", $($role)+))]
            query: Linear,
            #[grow(skip)]
            key: Linear,
            #[grow(fan_in("queries", $($role)+))]
            out: Linear,
            #[grow(width = "queries")]
            queries: usize,
        }

        impl Toy for $name {
            fn new(device: &Device) -> Self {
                let heads = Self {
                    query: linear(4, 12, device),
                    key: linear(4, 6, device),
                    out: linear(12, 2, device),
                    queries: $width,
                };
                seeded(heads, 3)
            }

            fn loss(&self) -> Tensor<1> {
                let x: Tensor<2> = random([5, 4], 4, &self.out.weight.device());
                let queries = self.queries / $groups;
                let split = |x: Tensor<2>, each: usize| {
                    x.reshape([5, 2, each, 3]).permute([1, 2, 0, 3])
                };
                let query = split(self.query.forward(x.clone()), queries);
                let key = split(self.key.forward(x), 1).repeat_dim(1, queries);
                let mixed = softmax(query.matmul(key.clone().transpose()), 3).matmul(key);
                let mixed = mixed.permute([2, 0, 1, 3]).reshape([5, 6 * queries]);
                self.out.forward(mixed).square().mean()
            }
        }
    };
}

heads!(GroupedHeads, 1, 2, (groups = 2, unit = 3));
// All four heads on one axis: a copy of the first one reads the keys of the second group.
heads!(HeadsOnOneAxis, 2, 4, (unit = 3));

macro_rules! tied {
    ($name:ident, $tied:expr, $($multiplier:tt)*) => {
        /// An embedding and an output, which reads it transposed where the two are tied.
        #[derive(Module, Growable, Debug)]
        pub(super) struct $name {
            #[grow(dims(_, fan_out = "hidden"))]
            embedding: Param<Tensor<2>>,
            #[grow(fan_in = "hidden")]
            head: Linear,
            $($multiplier)*
            scale: f64,
        }

        impl Toy for $name {
            fn new(device: &Device) -> Self {
                let tied = Self {
                    embedding: Param::from_tensor(Tensor::zeros([7, 4], device)),
                    head: linear(4, 7, device),
                    scale: 0.75,
                };
                seeded(tied, 5)
            }

            fn loss(&self) -> Tensor<1> {
                let x = self.embedding.val();
                let logits = match $tied {
                    true => x.clone().matmul(x.transpose()),
                    false => self.head.forward(x),
                };
                (logits * self.scale).square().mean()
            }
        }
    };
}

tied!(Tied, true, #[grow(multiplier = "hidden")]);
tied!(TiedWithoutMultiplier, true,);
tied!(Untied, false,);
tied!(UntiedWithMultiplier, false, #[grow(multiplier = "hidden")]);

/// A list of experts whose router alone grows: the rest of its scores chooses nobody.
#[derive(Module, Growable, Debug)]
pub(super) struct ListOfExperts {
    #[grow(fan_out = "experts")]
    router: Linear,
    #[grow(skip)]
    experts: Vec<Linear>,
}

impl Toy for ListOfExperts {
    fn new(device: &Device) -> Self {
        let experts = Self {
            router: linear(3, 2, device),
            experts: vec![linear(3, 2, device), linear(3, 2, device)],
        };
        seeded(experts, 6)
    }

    fn loss(&self) -> Tensor<1> {
        let x: Tensor<2> = random([5, 3], 7, &self.router.weight.device());
        let scores = softmax(self.router.forward(x.clone()), 1);
        let answers =
            self.experts.iter().enumerate().map(|(index, expert)| {
                expert.forward(x.clone()) * scores.clone().narrow(1, index, 1)
            });
        let sum = answers.reduce(|sum, answer| sum + answer).unwrap();
        sum.square().mean()
    }
}

/// Stores its width without saying so, and so cannot be run once it is wider.
#[derive(Module, Growable, Debug)]
pub(super) struct StoresItsWidth {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
    inner: usize,
}

impl Toy for StoresItsWidth {
    fn new(device: &Device) -> Self {
        let toy = Self {
            up: linear(3, 4, device),
            down: linear(4, 2, device),
            inner: 4,
        };
        seeded(toy, 8)
    }

    fn loss(&self) -> Tensor<1> {
        let x: Tensor<2> = random([5, 3], 9, &self.up.weight.device());
        let x = relu(self.up.forward(x)).reshape([5, self.inner]);
        self.down.forward(x).square().mean()
    }
}

/// Draws noise of its own, which no training flag turns off.
#[derive(Module, Growable, Debug)]
pub(super) struct Noisy {
    #[grow(fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner")]
    down: Linear,
}

impl Toy for Noisy {
    fn new(device: &Device) -> Self {
        let toy = Self {
            up: linear(3, 4, device),
            down: linear(4, 2, device),
        };
        seeded(toy, 10)
    }

    fn loss(&self) -> Tensor<1> {
        let device = self.up.weight.device();
        let x = Tensor::<2>::random([5, 3], burn::tensor::Distribution::Default, &device);
        self.down.forward(relu(self.up.forward(x))).square().mean()
    }
}

/// A description by hand that declares a multiplier and leaves it as it was.
#[derive(Module, Debug)]
pub(super) struct ForgetsItsScale {
    up: Linear,
    down: Linear,
    scale: f64,
}

impl Growable for ForgetsItsScale {
    fn describe(&self, describer: &mut Describer) {
        describer.param(&self.up.weight, [None, Some(Role::fan_out("inner"))]);
        describer.param(&self.down.weight, [Some(Role::fan_in("inner")), None]);
        describer.multiplier("scale", "inner", self.scale);
    }

    fn update_constants(&mut self, _constants: &Constants<'_>) {}
}

impl Toy for ForgetsItsScale {
    fn new(device: &Device) -> Self {
        let toy = Self {
            up: linear(3, 4, device),
            down: linear(4, 2, device),
            scale: 1.0,
        };
        seeded(toy, 11)
    }

    fn loss(&self) -> Tensor<1> {
        let x: Tensor<2> = random([5, 3], 12, &self.up.weight.device());
        let y = self.down.forward(relu(self.up.forward(x))) * self.scale;
        y.square().mean()
    }
}

macro_rules! residual {
    ($name:ident, |$block:ident, $x:ident| $forward:expr) => {
        /// Residual blocks with a norm each.
        #[derive(Module, Growable, Debug)]
        pub(super) struct $name {
            #[grow(fan_out = "hidden")]
            embed: Linear,
            #[grow(depth = "layers")]
            blocks: Vec<NormedBlock>,
            #[grow(fan_in = "hidden")]
            head: Linear,
        }

        impl Toy for $name {
            fn new(device: &Device) -> Self {
                let block = || NormedBlock {
                    norm: RmsNormConfig::new(4).init(device),
                    up: linear(4, 6, device),
                    down: linear(6, 4, device),
                };
                let toy = Self {
                    embed: linear(3, 4, device),
                    blocks: vec![block(), block()],
                    head: linear(4, 2, device),
                };
                seeded(toy, 1)
            }

            fn loss(&self) -> Tensor<1> {
                let x = random([5, 3], 2, &self.head.weight.device());
                let blocks = self.blocks.iter();
                let x = blocks.fold(self.embed.forward(x), |$x, $block| $forward);
                self.head.forward(x).square().mean()
            }
        }
    };
}

/// A block of [`NormedBefore`] and [`NormedAfter`].
#[derive(Module, Growable, Debug)]
pub(super) struct NormedBlock {
    #[grow(gain = "hidden")]
    norm: RmsNorm,
    #[grow(fan_in = "hidden", fan_out = "inner")]
    up: Linear,
    #[grow(fan_in = "inner", fan_out = "hidden")]
    down: Linear,
}

impl NormedBlock {
    fn branch(&self, x: Tensor<2>) -> Tensor<2> {
        self.down.forward(relu(self.up.forward(x)))
    }
}

// Without its branch such a block is the identity, or else a norm.
residual!(NormedBefore, |block, x| x.clone()
    + block.branch(block.norm.forward(x)));
residual!(NormedAfter, |block, x| block
    .norm
    .forward(x.clone() + block.branch(x)));

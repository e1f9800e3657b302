//! Mistakes in maps of axes, stacks and numbers that follow a width.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use burn_grow::Growable;

use super::{Moment, Mutation};
use crate::model::{Model, Sample, Size};

/// A block that is used twice.
#[derive(Module, Growable, Debug)]
pub(super) struct Part {
    #[grow(fan_in = "input", fan_out = "output")]
    linear: Linear,
}

impl Part {
    fn new(d_in: usize, d_out: usize, device: &Device) -> Self {
        Self {
            linear: LinearConfig::new(d_in, d_out).init(device),
        }
    }
}

fn root(width: usize) -> f64 {
    (width as f64).sqrt()
}

/// Declares a network with these attributes, one list a field.
macro_rules! network {
    ($model:ident {
        $($second:meta)? => second,
        $stack:meta => stack,
        $($scale:meta)? => scale,
    }) => {
        #[derive(Module, Growable, Debug)]
        pub(super) struct $model {
            #[grow(axes(input = _, output = "narrow"))] first: Part,
            $(#[$second])? second: Part,
            #[$stack] stack: Vec<Linear>,
            $(#[$scale])? scale: f64,
        }

        impl Model for $model {
            const AXES: &'static [(&'static str, usize)] = &[("narrow", 4), ("wide", 6)];

            fn built(size: &Size, device: &Device) -> Self {
                let (narrow, wide) = (size.of("narrow"), size.of("wide"));
                let sides = [[wide, wide], [wide, wide], [wide, 2]].into_iter();
                Self {
                    first: Part::new(3, narrow, device),
                    second: Part::new(narrow, wide, device),
                    stack: sides
                        .map(|[d_in, d_out]| LinearConfig::new(d_in, d_out).init(device))
                        .collect(),
                    scale: root(narrow),
                }
            }

            fn output(&self, sample: &Sample) -> Tensor<2> {
                let x = self.first.linear.forward(sample.floats([5, 3])) * self.scale;
                let x = self.second.linear.forward(gelu(x));
                self.stack.iter().fold(x, |x, linear| linear.forward(gelu(x)))
            }
        }
    };
}

network! { Right {
    grow(axes(input = "narrow", output = "wide")) => second,
    grow(fan_in = "wide", fan_out = "wide", last(fan_out = _)) => stack,
    grow(kept("narrow", with = root)) => scale,
}}

network! { SwappedMap {
    grow(axes(input = "wide", output = "narrow")) => second,
    grow(fan_in = "wide", fan_out = "wide", last(fan_out = _)) => stack,
    grow(kept("narrow", with = root)) => scale,
}}

network! { ForgottenMap {
    => second,
    grow(fan_in = "wide", fan_out = "wide", last(fan_out = _)) => stack,
    grow(kept("narrow", with = root)) => scale,
}}

network! { ForgottenLast {
    grow(axes(input = "narrow", output = "wide")) => second,
    grow(fan_in = "wide", fan_out = "wide") => stack,
    grow(kept("narrow", with = root)) => scale,
}}

network! { FirstThatReadsNothing {
    grow(axes(input = "narrow", output = "wide")) => second,
    grow(fan_in = "wide", fan_out = "wide", first(fan_in = _), last(fan_out = _)) => stack,
    grow(kept("narrow", with = root)) => scale,
}}

network! { RecomputedScale {
    grow(axes(input = "narrow", output = "wide")) => second,
    grow(fan_in = "wide", fan_out = "wide", last(fan_out = _)) => stack,
    grow(recomputed("narrow", with = root)) => scale,
}}

network! { UndeclaredScale {
    grow(axes(input = "narrow", output = "wide")) => second,
    grow(fan_in = "wide", fan_out = "wide", last(fan_out = _)) => stack,
    => scale,
}}

/// What a model was built with.
#[derive(Clone, Debug)]
struct Config {
    hidden: usize,
}

models! {
    /// The branch writes the units of the stream in another order than the stream has them.
    ResidualInAnotherOrder(size, device, hidden = 4, inner = 6) {
        #[grow(fan_out("hidden", unit = 2))]
        embed: Linear = LinearConfig::new(3, 2 * hidden).init(device),
        #[grow(fan_in("hidden", unit = 2), fan_out = "inner")]
        up: Linear = LinearConfig::new(2 * hidden, inner).init(device),
        #[grow(fan_in = "inner", fan_out("hidden", groups = 2))]
        down: Linear = LinearConfig::new(inner, 2 * hidden).init(device),
        #[grow(fan_in("hidden", unit = 2))]
        head: Linear = LinearConfig::new(2 * hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.embed.forward(sample.floats([5, 3]));
        let branch = model.down.forward(gelu(model.up.forward(x.clone())));
        model.head.forward(x + branch)
    };

    /// The shortcut of a residual block reads the narrow map and does not make the wide one.
    OneSideOfAShortcut(size, device, narrow = 4, wide = 6) {
        #[grow(fan_out = "narrow")]
        stem: Conv2d = Conv2dConfig::new([2, narrow], [1, 1]).init(device),
        #[grow(fan_in = "narrow", fan_out = "wide")]
        conv: Conv2d = Conv2dConfig::new([narrow, wide], [1, 1]).init(device),
        #[grow(fan_in = "narrow")]
        shortcut: Conv2d = Conv2dConfig::new([narrow, wide], [1, 1]).init(device),
        #[grow(fan_in("wide", unit = 9))]
        head: Linear = LinearConfig::new(wide * 9, 2).init(device),
    }
    |model, sample| {
        let x = model.stem.forward(sample.floats([2, 2, 3, 3]));
        let x = gelu(model.conv.forward(x.clone())) + model.shortcut.forward(x);
        model.head.forward(x.flatten(1, 3))
    };

    /// The code knows the width.
    WidthInTheCode(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([1, 5, 3]));
        model.head.forward(x.reshape([5, 4]))
    };

    /// The code knows the width that it divides by.
    DivisorInTheCode(size, device, hidden = 4) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden")]
        head: Linear = LinearConfig::new(hidden, 2).init(device),
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([5, 3]));
        let mean = x.clone().sum_dim(1) / 4;
        model.head.forward(x - mean)
    };

    /// A width in a config, declared as another one.
    WidthsOfAnotherAxis(size, device, hidden = 4, inner = 6) {
        #[grow(fan_out = "hidden")]
        up: Linear = LinearConfig::new(3, hidden).init(device),
        #[grow(fan_in = "hidden", fan_out = "inner")]
        down: Linear = LinearConfig::new(hidden, inner).init(device),
        #[grow(fan_in = "inner")]
        head: Linear = LinearConfig::new(inner, 2).init(device),
        #[module(skip)]
        #[grow(widths(hidden = "inner"))]
        config: Config = Config { hidden },
    }
    |model, sample| {
        let x = model.up.forward(sample.floats([1, 5, 3]));
        let x = x.reshape([5, model.config.hidden]);
        model.head.forward(model.down.forward(x))
    };
}

pub(super) fn mutations() -> Vec<Mutation> {
    use Moment::*;
    vec![
        Mutation::of::<SwappedMap>("two names of a map of axes swapped", Build),
        Mutation::of::<ForgottenMap>("a map of axes that is forgotten", Rehearsal),
        Mutation::of::<ForgottenLast>("a stack whose last layer is forgotten", Build),
        Mutation::of::<FirstThatReadsNothing>(
            "a stack whose first layer is wrongly told apart",
            TwoWidths,
        ),
        Mutation::of::<RecomputedScale>("`recomputed` for `kept`", Rehearsal),
        Mutation::of::<UndeclaredScale>("a scale by a root of a width", TwoWidths),
        Mutation::of::<ResidualInAnotherOrder>("a residual branch in another order", Rehearsal),
        Mutation::of::<OneSideOfAShortcut>("one side of a shortcut", TwoWidths),
        Mutation::of::<WidthInTheCode>("a width that the code knows", Rehearsal),
        Mutation::of::<DivisorInTheCode>("a divisor that the code knows", Rehearsal),
        Mutation::of::<WidthsOfAnotherAxis>("`widths` of another axis", Build),
    ]
}

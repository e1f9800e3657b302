//! Mistakes in attention with grouped queries.

use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use burn_grow::{Expansion, Growable};

use super::{Gap, Moment, Mutation, caught_on, magnitude};
use crate::checks::{changed, narrow};
use crate::model::{Model, Sample, Size, drawn};

/// Coordinates of a head.
const HEAD: usize = 3;
const TOKENS: usize = 5;

/// Attends with heads `[kv_heads, queries of each, tokens, HEAD]`.
fn attended(query: Tensor<2>, key: Tensor<2>, value: Tensor<2>, kv_heads: usize) -> Tensor<2> {
    let queries = query.dims()[1] / HEAD / kv_heads;
    let heads = |x: Tensor<2>, queries: usize| {
        x.reshape([TOKENS, kv_heads, queries, HEAD])
            .permute([1, 2, 0, 3])
    };
    let query = heads(query, queries);
    let [key, value] = [key, value].map(|x| heads(x, 1).repeat_dim(1, queries));
    let context = softmax(query.matmul(key.transpose()), 3).matmul(value);
    context
        .permute([2, 0, 1, 3])
        .reshape([TOKENS, kv_heads * queries * HEAD])
}

/// Declares a network with these attributes, one list a field.
macro_rules! network {
    ($model:ident($narrow:literal) {
        $query:meta => query,
        $key:meta => key,
        $value:meta => value,
        $out:meta => out,
        $($kv_heads:meta)? => kv_heads,
    }) => {
        #[derive(Module, Growable, Debug)]
        pub(super) struct $model {
            #[grow(fan_out = "hidden")] embed: Linear,
            #[$query] query: Linear,
            #[$key] key: Linear,
            #[$value] value: Linear,
            #[$out] out: Linear,
            #[grow(fan_in = "hidden")] head: Linear,
            $(#[$kv_heads])? kv_heads: usize,
        }

        impl Model for $model {
            const AXES: &'static [(&'static str, usize)] =
                &[("hidden", 4), ("kv_heads", $narrow), ("queries", 2)];

            fn built(size: &Size, device: &Device) -> Self {
                let [hidden, kv_heads, queries] =
                    ["hidden", "kv_heads", "queries"].map(|axis| size.of(axis));
                Self {
                    embed: LinearConfig::new(3, hidden).init(device),
                    query: LinearConfig::new(hidden, kv_heads * queries * HEAD).init(device),
                    key: LinearConfig::new(hidden, kv_heads * HEAD).init(device),
                    value: LinearConfig::new(hidden, kv_heads * HEAD).init(device),
                    out: LinearConfig::new(kv_heads * queries * HEAD, hidden).init(device),
                    head: LinearConfig::new(hidden, 2).init(device),
                    kv_heads,
                }
            }

            fn output(&self, sample: &Sample) -> Tensor<2> {
                let x = self.embed.forward(sample.floats([TOKENS, 3]));
                let [query, key, value] =
                    [&self.query, &self.key, &self.value].map(|side| side.forward(x.clone()));
                let context = attended(query, key, value, self.kv_heads);
                self.head.forward(x + self.out.forward(context))
            }
        }
    };
}

network! { Right(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

network! { GroupsForUnit(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", groups = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

network! { SwappedProduct(2) {
    grow(fan_in = "hidden", fan_out("queries", "kv_heads", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

network! { QueryHeadsAsOneAxis(2) {
    grow(fan_in = "hidden", fan_out("queries", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

network! { ForgottenUnit(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate = "kv_heads") => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

network! { SkippedValue(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden") => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

network! { NothingTellsTheFactors(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = HEAD)) => query,
    grow(fan_in = "hidden") => key,
    grow(fan_in = "hidden") => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    => kv_heads,
}}

network! { UnmarkedHeads(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    => kv_heads,
}}

network! { WidthOfAnotherAxis(2) {
    grow(fan_in = "hidden", fan_out("kv_heads", "queries", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("kv_heads", "queries", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "queries") => kv_heads,
}}

// Multi-query attention: one key head.
network! { SwappedAroundOneHead(1) {
    grow(fan_in = "hidden", fan_out("queries", "kv_heads", unit = HEAD)) => query,
    grow(fan_in = "hidden", gate("kv_heads", unit = HEAD)) => key,
    grow(fan_in = "hidden", fan_out("kv_heads", unit = HEAD)) => value,
    grow(fan_in("queries", "kv_heads", unit = HEAD), fan_out = "hidden") => out,
    grow(width = "kv_heads") => kv_heads,
}}

/// Queries, keys and values in one matrix, in this order.
#[derive(Module, Growable, Debug)]
struct ConcatOrder {
    #[grow(fan_out = "hidden")]
    embed: Linear,
    #[grow(
        fan_in = "hidden",
        concat(
            gate("kv_heads", unit = HEAD),
            fan_out("kv_heads", unit = HEAD),
            fan_out("kv_heads", "queries", unit = HEAD)
        )
    )]
    qkv: Linear,
    #[grow(fan_in("kv_heads", "queries", unit = HEAD))]
    out: Linear,
    #[grow(width = "kv_heads")]
    kv_heads: usize,
}

impl Model for ConcatOrder {
    const AXES: &'static [(&'static str, usize)] =
        &[("hidden", 4), ("kv_heads", 2), ("queries", 2)];

    fn built(size: &Size, device: &Device) -> Self {
        let [hidden, kv_heads, queries] =
            ["hidden", "kv_heads", "queries"].map(|axis| size.of(axis));
        Self {
            embed: LinearConfig::new(3, hidden).init(device),
            qkv: LinearConfig::new(hidden, kv_heads * (queries + 2) * HEAD).init(device),
            out: LinearConfig::new(kv_heads * queries * HEAD, 2).init(device),
            kv_heads,
        }
    }

    fn output(&self, sample: &Sample) -> Tensor<2> {
        let x = self.embed.forward(sample.floats([TOKENS, 3]));
        let (all, each) = (self.qkv.forward(x), self.kv_heads * HEAD);
        let sizes = vec![all.dims()[1] - 2 * each, each, each];
        let mut parts = all.split_with_sizes(sizes, 1);
        let (value, key, query) = (parts.remove(2), parts.remove(1), parts.remove(0));
        self.out.forward(attended(query, key, value, self.kv_heads))
    }
}

pub(super) fn mutations() -> Vec<Mutation> {
    use Moment::*;
    vec![
        Mutation::of::<GroupsForUnit>("`groups` for `unit`", Rehearsal),
        Mutation::of::<SwappedProduct>("the axes of a product in the wrong order", Rehearsal),
        Mutation::of::<QueryHeadsAsOneAxis>("grouped query heads as one axis", Rehearsal),
        Mutation::of::<ForgottenUnit>("a forgotten `unit`", Build),
        Mutation::of::<SkippedValue>("values that lie on no axis", TwoWidths),
        Mutation::of::<NothingTellsTheFactors>("a product whose factors nothing tells", Build),
        Mutation::of::<UnmarkedHeads>("a `usize` without `width` in a reshape", TwoWidths),
        Mutation::of::<WidthOfAnotherAxis>("`width` of another axis", TwoWidths),
        Mutation::of::<ConcatOrder>("the parts of a `concat` in the wrong order", Rehearsal),
        Mutation::with(
            "`groups` for `unit` before a projection that starts from zero",
            Rehearsal,
            || caught_on(starts_from_zero()),
        ),
    ]
}

/// The attention adds nothing yet, as in models whose output projections start from zero.
fn starts_from_zero() -> GroupsForUnit {
    let device = Device::flex().autodiff();
    let mut model: GroupsForUnit = narrow(1, &device);
    model.out.weight = Initializer::Zeros.init(model.out.weight.dims(), &device);
    model
}

pub(super) fn gaps() -> Vec<Gap> {
    vec![Mutation::gap::<SwappedAroundOneHead>(
        "the axes of a product in the wrong order, with one key head",
        "a rehearsal from two units of every axis",
        || {
            let device = Device::flex();
            let two = Size::narrow::<SwappedAroundOneHead>().by("kv_heads", 2.0);
            let model = drawn(SwappedAroundOneHead::built(&two, &device), 1);
            let changed = changed(&model, &Expansion::by("kv_heads", 2.0)).unwrap();
            let changed = magnitude(changed);
            format!("from two key heads on, doubling changes the output by {changed}")
        },
    )]
}

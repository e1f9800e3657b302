//! Stacks whose ends or whose elements differ.

use burn::nn::{Lstm, LstmConfig};

use super::*;

#[derive(Module, Growable, Debug)]
struct Stacks {
    #[grow(fan_in = "inner", fan_out = "inner", first(fan_in = "pixels"), last(fan_out = _))]
    layers: Vec<Linear>,
    #[grow(fan_in = "hidden", fan_out = "hidden", first(fan_in = _))]
    recurrent: Vec<Lstm>,
    #[grow(
        fan_in = "hidden",
        fan_out = "inner",
        rest(fan_in = "inner", gate = "inner")
    )]
    array: [Linear; 2],
}

impl Stacks {
    fn of(pixels: usize, inner: usize, hidden: usize) -> Self {
        let lstm = |input| LstmConfig::new(input, hidden, true).init(&device());
        Self {
            layers: vec![
                linear(pixels, inner),
                linear(inner, inner),
                linear(inner, 10),
            ],
            recurrent: vec![lstm(7), lstm(hidden)],
            array: [linear(hidden, inner), linear(inner, inner)],
        }
    }
}

#[test]
fn the_ends_of_a_stack_have_roles_of_their_own() {
    let model = Stacks::of(12, 4, 6);
    let lines = described(&model);
    let weights = lines.iter().filter(|line| line.contains("weight"));
    let weights: Vec<_> = weights.cloned().collect();
    assert_eq!(
        weights[..3],
        [
            "layers.0.weight: fan_in(pixels), fan_out(inner)",
            "layers.1.weight: fan_in(inner), fan_out(inner)",
            "layers.2.weight: fan_in(inner), -",
        ]
    );
    assert!(
        weights[3].starts_with("recurrent.0") && weights[3].contains("-, "),
        "{weights:?}"
    );
    assert_eq!(
        weights[weights.len() - 1],
        "array.1.weight: fan_in(inner), gate(inner)"
    );
    assert_eq!(two_width_check(&model, &Stacks::of(13, 6, 9)), Ok(vec![]));
    let wide = grown(&model, &Expansion::by("hidden", 2.0).and_by("inner", 2.0));
    let hidden: Vec<_> = wide.recurrent.iter().map(|lstm| lstm.d_hidden).collect();
    assert_eq!(hidden, [12, 12]);

    // One element is the first and the last.
    let one = Stacks {
        layers: vec![linear(12, 10)],
        ..model
    };
    assert_eq!(described(&one)[0], "layers.0.weight: fan_in(pixels), -");
}

/// What never grows may have another size in every element, and a product of it another factor.
#[derive(Module, Growable, Debug)]
struct Sizes {
    #[grow(axes(inner = _, output("output", unit = 2)))]
    blocks: Vec<Residual>,
    #[grow(dims(fan_in("a", "b"), _))]
    product: Param<Tensor<2>>,
}

#[test]
fn what_never_grows_may_differ_between_elements() {
    let weight = Tensor::random([6, 2], burn::tensor::Distribution::Default, &device());
    let model = Sizes {
        blocks: vec![Residual::new(3, 5, 8), Residual::new(3, 7, 8)],
        product: Param::from_tensor(weight),
    };
    #[derive(Module, Growable, Debug)]
    struct Outer {
        #[grow(axes(a = _))]
        sizes: Sizes,
        #[grow(fan_in = "b")]
        layer: Linear,
    }
    let outer = Outer {
        sizes: model,
        layer: linear(2, 2),
    };
    assert!(described(&outer).contains(&"sizes.product: fan_in(3 x b), -".into()));
    let wide = grown(&outer, &Expansion::by("output", 2.0).and_by("b", 2.0));
    let inner: Vec<_> = wide.sizes.blocks.iter().map(|block| block.inner).collect();
    assert_eq!(inner, [5, 7]);
    assert_eq!(wide.sizes.product.dims(), [12, 2]);
}

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn_grow_derive::Growable;
use burn::nn::Linear;

#[derive(Module, Growable, Debug)]
#[grow(crate = burn_grow_core)]
struct Malformed {
    #[grow]
    bare: Linear,
    #[grow = "hidden"]
    assigned: Linear,
    #[grow()]
    empty: Linear,
    #[grow(fan_in)]
    no_axis: Linear,
    #[grow(fan_in = hidden)]
    no_quotes: Linear,
    #[grow(fan_in = "", fan_out = " ")]
    no_name: Linear,
    #[grow(fan_in("hidden", groups))]
    no_groups: Linear,
    #[grow(fan_in("hidden", unit = 1, unit = 2))]
    two_units: Linear,
    #[grow(fan_in = "hidden" fan_out = "inner")]
    no_comma: Linear,
    #[grow(dims)]
    no_dims: Param<Tensor<2>>,
    #[grow(dims())]
    empty_dims: Param<Tensor<2>>,
    #[grow(skip = true)]
    skip: Linear,
    #[grow(with = "module")]
    with: Linear,
    #[grow(active)]
    active: Linear,
    #[grow(axes)]
    no_map: Linear,
    #[grow(axes())]
    empty_map: Linear,
    #[grow(axes(hidden))]
    no_place: Linear,
    #[grow(axes(hidden = _, hidden = "inner"))]
    two_places: Linear,
    #[grow(fan_in = _)]
    nothing: Linear,
    #[grow(first = "hidden")]
    no_roles: Vec<Linear>,
    #[grow(rest(width = "hidden"))]
    no_role: Vec<Linear>,
    #[grow(widths = "hidden")]
    no_widths: usize,
    #[grow(kept("hidden"))]
    no_function: f64,
    #[grow(recomputed = "hidden")]
    no_parentheses: f64,
    #[grow(kept("hidden", with = root, with = root))]
    two_functions: f64,
    #[grow(together("a", "b", "why"))]
    container: Linear,
}

fn main() {}

//! The trait of modules that can grow.

use burn_core::module::Module;

use super::constants::Constants;
use super::describer::Describer;

/// A module that knows which dimension of which parameter lies on which axis.
///
/// Derive it beside [`Module`] and mark the layers. `fan_out` makes an axis, `fan_in` consumes it;
/// the derive macro lists every attribute.
///
/// ```
/// # use burn_core as burn;
/// use burn::{module::Module, tensor::Device};
/// # use burn_grow_core::describe::Axis;
/// # use burn_grow_core::{Blueprint, GrowError};
/// use burn_grow_derive::Growable;
/// use burn_nn::{Linear, LinearConfig};
///
/// #[derive(Module, Growable, Debug)]
/// # #[grow(crate = burn_grow_core)]
/// struct Mlp {
///     #[grow(fan_out = "inner")]
///     up: Linear,
///     #[grow(fan_in = "inner")]
///     down: Linear,
/// }
///
/// # fn main() -> Result<(), GrowError> {
/// let device = Device::flex();
/// let mlp = Mlp {
///     up: LinearConfig::new(8, 16).init(&device),
///     down: LinearConfig::new(16, 4).init(&device),
/// };
/// assert_eq!(Blueprint::of(&mlp)?.widths()[&Axis::from("inner")], 16);
/// # Ok(())
/// # }
/// ```
///
/// A field without an attribute is a child module that derives `Growable` too. A parameter or a
/// layer with parameters needs an attribute: without one the program does not compile.
///
/// Written by hand, the same description is:
///
/// ```
/// # use burn_core as burn;
/// # use burn::module::Module;
/// use burn_grow_core::Growable;
/// use burn_grow_core::describe::{Constants, Describer, LayerRoles, Role};
/// # use burn_nn::Linear;
/// # #[derive(Module, Debug)]
/// # struct Mlp { up: Linear, down: Linear }
/// impl Growable for Mlp {
///     fn describe(&self, describer: &mut Describer) {
///         let up = LayerRoles {
///             fan_out: Some(Role::fan_out("inner")),
///             ..LayerRoles::default()
///         };
///         let down = LayerRoles {
///             fan_in: Some(Role::fan_in("inner")),
///             ..LayerRoles::default()
///         };
///         describer.layer("up", &self.up, &up);
///         describer.layer("down", &self.down, &down);
///     }
///
///     fn update_constants(&mut self, _constants: &Constants<'_>) {}
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how it grows",
    label = "has parameters that no `#[grow(..)]` attribute describes",
    note = "a layer takes `#[grow(fan_in = \"..\", fan_out = \"..\")]` (or `gate`, `gain`), a bare parameter `#[grow(dims(..))]`",
    note = "a module of your own derives `Growable`, and `#[grow(axes(..))]` says what its axes are called here; a foreign one takes `#[grow(with = path)]`",
    note = "what never grows takes `#[grow(skip)]`"
)]
pub trait Growable: Module {
    /// Names the roles of every parameter, and the constants that depend on a width.
    fn describe(&self, describer: &mut Describer);

    /// Rewrites the constants that depend on a width and rebuilds the stacks that grow, at an
    /// expansion, before parameters grow.
    fn update_constants(&mut self, constants: &Constants<'_>);
}

impl Describer {
    /// Describes a child module, under the path segment `name`.
    pub fn child<G: Growable>(&mut self, name: &str, module: &G) {
        self.scope(name, |describer| module.describe(describer));
    }
}

use burn_core::module::Module;

use crate::{Constants, Describer};

/// A module that knows which dimension of which parameter lies on which axis.
///
/// Derive it beside [`Module`] and mark the fields:
///
/// ```text
/// #[derive(Module, Growable, Debug)]
/// struct Mlp {
///     #[grow(fan_out = "inner")]
///     up: Linear,
///     #[grow(fan_in = "inner")]
///     down: Linear,
/// }
/// ```
///
/// A child module without an attribute is descended into. A parameter or a parametrised layer
/// without one does not compile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how it grows",
    label = "has parameters that no `#[grow(..)]` attribute describes",
    note = "a layer takes `#[grow(fan_in = \"..\", fan_out = \"..\")]` (or `gate`, `gain`), a bare parameter `#[grow(dims(..))]`",
    note = "a module of your own derives `Growable`; a foreign one takes `#[grow(with = path)]`",
    note = "what never grows takes `#[grow(skip)]`"
)]
pub trait Growable: Module {
    /// Names the roles of every parameter, and the constants that depend on a width.
    fn describe(&self, describe: &mut Describer);

    /// Rewrites the constants that depend on a width, after an expansion.
    fn update_constants(&mut self, constants: &Constants<'_>);
}

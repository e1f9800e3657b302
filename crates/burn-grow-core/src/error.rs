use crate::{Axis, InitPair, RoleMismatch};

/// Why a model cannot be described, an expansion cannot be planned, or a plan cannot be applied.
///
/// Every variant names the parameter or axis, what was expected and what was found. Nothing has
/// been changed when one is returned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GrowError {
    /// An expansion names an axis that no parameter lies on.
    #[error("unknown axis `{axis}`: the model has {known}", known = list(known))]
    UnknownAxis {
        /// The axis asked for.
        axis: Axis,
        /// The axes of the model.
        known: Vec<Axis>,
    },
    /// An expansion that would shrink an axis.
    #[error("axis `{axis}` has width {width} and cannot shrink to {target}")]
    Shrinks {
        /// The axis.
        axis: Axis,
        /// Its present width.
        width: usize,
        /// The width asked for.
        target: usize,
    },
    /// A factor that does not give a whole width.
    #[error("axis `{axis}` has width {width}: a factor of {factor} gives no whole width")]
    FractionalWidth {
        /// The axis.
        axis: Axis,
        /// Its present width.
        width: usize,
        /// The factor asked for.
        factor: f64,
    },
    /// An axis without units, of which none can be copied.
    #[error("axis `{axis}` has no units to grow from")]
    EmptyAxis {
        /// The axis.
        axis: Axis,
    },
    /// A width that no plan can list.
    #[error("axis `{axis}` cannot have {target} units: a plan lists at most {limit}")]
    TooWide {
        /// The axis.
        axis: Axis,
        /// The width asked for.
        target: usize,
        /// The largest one.
        limit: usize,
    },
    /// More elements than memory can address.
    #[error("parameter `{path}` of shape {shape:?} makes the model too large for any memory")]
    TooLarge {
        /// The path of the first parameter that is too much.
        path: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A number that has to be finite.
    #[error("{what}: {value} is no finite number")]
    NotFinite {
        /// What the number is.
        what: String,
        /// The number.
        value: f64,
    },
    /// A blueprint or plan that was read and disagrees with itself as none does that was made.
    #[error("{what} needs {expected}, found {found}")]
    Inconsistent {
        /// The part of it.
        what: String,
        /// What it needs.
        expected: String,
        /// What it has.
        found: String,
    },
    /// An expansion without any target.
    #[error("the expansion names no axis")]
    EmptyExpansion,
    /// An axis that the model declares but cannot grow.
    #[error("axis `{axis}` cannot grow: {reason}")]
    FrozenAxis {
        /// The axis.
        axis: Axis,
        /// Why.
        reason: String,
    },
    /// Widths at which more would take part in a token than there is.
    #[error(
        "axis `{part}` would be {part_width} wide, but there are only {whole_width} of `{whole}`"
    )]
    PartExceedsWhole {
        /// The axis of what takes part.
        part: Axis,
        /// The width it would have.
        part_width: usize,
        /// The axis that it is a part of.
        whole: Axis,
        /// The width that one would have.
        whole_width: usize,
    },
    /// A method for an axis that the expansion does not grow.
    #[error("a method is given for axis `{axis}`, which the expansion does not name")]
    UnusedMethod {
        /// The axis.
        axis: Axis,
    },
    /// A text that names no init pair.
    #[error(
        "`{text}` is no init pair: write producer-consumer, each `copy`, `random` or `zero`, as in \
         `copy-zero`"
    )]
    InitPair {
        /// The text.
        text: String,
    },
    /// An init pair under which new units would stay zero for ever.
    #[error(
        "axis `{axis}`: {init} leaves new units dead: what makes them gets no gradient through consumers that are \
         zero, nor these from units that are"
    )]
    DeadUnits {
        /// The axis.
        axis: Axis,
        /// The pair.
        init: InitPair,
    },
    /// An init pair that changes the function whatever its consumers are multiplied with.
    #[error(
        "axis `{axis}`: {init} cannot preserve the function; copy-copy can, and so can a pair with a \
         zero side"
    )]
    NotFunctionPreserving {
        /// The axis.
        axis: Axis,
        /// The pair.
        init: InitPair,
    },
    /// A dimension whose size its role cannot have.
    #[error(
        "parameter `{path}`: dimension {dim} has {size} coordinates, which no width of `{role}` gives"
    )]
    Layout {
        /// The path of the parameter.
        path: String,
        /// The dimension.
        dim: usize,
        /// Its size.
        size: usize,
        /// The role it should play.
        role: String,
    },
    /// A product of axes of which more than one width is unknown.
    #[error(
        "parameter `{path}`: dimension {dim} is `{role}`, but nothing else tells the width of `{axis}`: \
         store it in a field with `#[grow(width = \"{axis}\")]`"
    )]
    UndeterminedAxis {
        /// The path of the parameter.
        path: String,
        /// The dimension.
        dim: usize,
        /// An axis whose width is unknown.
        axis: Axis,
        /// The role of the dimension.
        role: String,
    },
    /// Two parameters, or a parameter and a constant, that disagree about a width.
    #[error("axis `{axis}` has width {expected} in `{other}` but {found} in `{path}`")]
    WidthDisagreement {
        /// The axis.
        axis: Axis,
        /// Where the disagreement was noticed.
        path: String,
        /// The width there.
        found: usize,
        /// The parameter that fixed the width first.
        other: String,
        /// The width it fixed.
        expected: usize,
    },
    /// A parameter that no description covers.
    #[error(
        "parameter `{path}` is not described: give its field a `#[grow(..)]` attribute, or \
         `#[grow(skip)]` if it never grows"
    )]
    Undescribed {
        /// The path of the parameter.
        path: String,
    },
    /// A parameter that stands at two places of the module tree.
    #[error("parameter `{path}` is the same as `{other}`: shared parameters cannot grow")]
    Shared {
        /// The path of the parameter.
        path: String,
        /// The other path.
        other: String,
    },
    /// A role that a layer has no dimension for.
    #[error("layer `{path}`: {layer} has no `{role}`")]
    UnsupportedRole {
        /// The path of the layer.
        path: String,
        /// The type of the layer.
        layer: &'static str,
        /// The name of the attribute.
        role: &'static str,
    },
    /// A layer that cannot grow the way its attribute asks.
    #[error("layer `{path}`: {layer} cannot grow so: {reason}")]
    UnsupportedLayer {
        /// The path of the layer.
        path: String,
        /// The type of the layer.
        layer: &'static str,
        /// Why, and what to write instead.
        reason: String,
    },
    /// A parameter whose values are quantized.
    #[error("parameter `{path}` is quantized ({dtype}): grow the model before quantizing it")]
    Quantized {
        /// The path of the parameter.
        path: String,
        /// Its data type.
        dtype: String,
    },
    /// A parameter with an adapter attached.
    #[error(
        "parameter `{path}` is reparameterized ({name}): call `materialize` before growing the model"
    )]
    Reparameterized {
        /// The path of the parameter.
        path: String,
        /// The name of the reparameterization.
        name: String,
    },
    /// A scalar multiplier that would have to absorb a factor per unit.
    #[error(
        "multiplier `{path}` holds one number, but this expansion of axis `{axis}` scales its units \
         differently: use RMS-preserving scaling or a whole multiple"
    )]
    Multiplier {
        /// The path of the multiplier.
        path: String,
        /// The axis.
        axis: Axis,
    },
    /// A plan applied to a module it was not made for.
    #[error("parameter `{path}`: the plan expects shape {expected:?}, found {found:?}")]
    Shape {
        /// The path of the parameter.
        path: String,
        /// The shape the plan was made for.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A plan that names a parameter which the module lacks, or lacks one that it has.
    #[error("parameter `{path}` is in the {has} but not in the {lacks}")]
    Missing {
        /// The path of the parameter.
        path: String,
        /// Which of the two has it.
        has: &'static str,
        /// Which of the two lacks it.
        lacks: &'static str,
    },
    /// Roles that a model built at another width contradicts.
    #[error("{}", lines(mismatches))]
    Roles {
        /// Every one of them, in the order of the module tree.
        mismatches: Vec<RoleMismatch>,
    },
    /// Two models without a common output or common sites.
    #[error("the models cannot be compared: {before} before, {after} after")]
    Incomparable {
        /// What the first one has.
        before: String,
        /// What the second one has.
        after: String,
    },
}

fn lines(mismatches: &[RoleMismatch]) -> String {
    let lines: Vec<_> = mismatches.iter().map(RoleMismatch::to_string).collect();
    lines.join("\n")
}

fn list(axes: &[Axis]) -> String {
    if axes.is_empty() {
        return "none".into();
    }
    let names: Vec<_> = axes.iter().map(|axis| format!("`{axis}`")).collect();
    names.join(", ")
}

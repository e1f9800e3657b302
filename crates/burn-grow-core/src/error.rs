//! The errors of the crate.

use crate::describe::axis::Axis;
use crate::describe::layout::Layout;
use crate::plan::init::InitPair;
use crate::verify::mismatch::RoleMismatch;

/// What is wrong with a stack of blocks, or with what an expansion asks of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StackFault {
    /// A map of axes makes the axis of the stack a product.
    #[error("`axes(..)` makes it a product, and the number of blocks is one axis")]
    Product,
    /// The axis is also that of a dimension of a parameter.
    #[error(
        "dimension {dim} of parameter `{param}` lies on it, too: a number of blocks is no width"
    )]
    Width {
        /// Path of the parameter.
        param: String,
        /// Index of the dimension.
        dim: usize,
    },
    /// A method is given that is about the units of a width.
    #[error("it grows by blocks: `with_blocks` says which, in place of a method")]
    Method,
    /// Nothing says what a fresh block is.
    #[error(
        "nothing says what a fresh block is: name a method of the module that makes one, \
         `#[grow(depth = \"..\", fresh = Self::block)]`"
    )]
    NoFresh,
    /// An empty stack holds no block to copy.
    #[error("it is empty, so there is nothing to copy: grow it by `Blocks::fresh()`")]
    Empty,
    /// A fresh block of an empty stack holds a stack itself.
    #[error("it is inside of a fresh block of an empty stack: begin with one block")]
    InsideOfFresh,
    /// A stack inside of the blocks is empty and could be filled.
    #[error("stack `{inner}` inside of it is empty: fill that first")]
    EmptyInside {
        /// Path of the stack inside.
        inner: String,
    },
    /// A block is not like the first one.
    #[error("block {block} is unlike block 0: {difference}")]
    Unlike {
        /// Index of the block.
        block: usize,
        /// First difference.
        difference: String,
    },
    /// A list of sources has another length than the grown stack.
    #[error("{found} sources are listed for {expected} blocks")]
    Sources {
        /// Number of blocks of the grown stack.
        expected: usize,
        /// Number of sources.
        found: usize,
    },
    /// A list of sources names a block that is not there.
    #[error("block {block} is listed as a source, and there are {blocks} blocks")]
    NoBlock {
        /// Index of the block.
        block: usize,
        /// Number of blocks.
        blocks: usize,
    },
    /// A list of sources leaves out an old block, or has it before one that it stands behind.
    #[error(
        "block {block} is not where the list of sources should have it: all old blocks stay, in \
         their order"
    )]
    Misplaced {
        /// Index of the block.
        block: usize,
    },
    /// The outputs of a block to the residual stream do not follow from its roles.
    #[error(
        "{reason}, so the roles do not tell what keeps an identity block from changing the stream: \
         name it, as in `Blocks::identity().zeroing([\"attention.output\", \"feed_forward.down\"])`"
    )]
    NoIdentity {
        /// Reason.
        reason: String,
    },
    /// A path that identity blocks set to zero is not in a block.
    #[error("a block has no parameter at or below `{path}`, which identity blocks set to zero")]
    NothingToZero {
        /// Path in the block.
        path: String,
    },
    /// Paths are to be zero in blocks that are no identity.
    #[error("`zeroing` is for identity blocks, and these are {content}")]
    Zeroing {
        /// What the blocks hold.
        content: String,
    },
}

/// The error of describing a model, planning an expansion or applying a plan.
///
/// Every variant names the parameter or axis, what was expected and what was found. Nothing has
/// been changed when one is returned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GrowError {
    /// An axis does not occur in the model.
    #[error("unknown axis `{axis}`: the model has {known}", known = list(known))]
    UnknownAxis {
        /// Axis asked for.
        axis: Axis,
        /// Axes of the model.
        known: Vec<Axis>,
    },
    /// An expansion would shrink an axis.
    #[error("axis `{axis}` has width {width} and cannot shrink to {target}")]
    Shrinks {
        /// Axis at fault.
        axis: Axis,
        /// Present width.
        width: usize,
        /// Width asked for.
        target: usize,
    },
    /// A factor does not give a whole width.
    #[error("axis `{axis}` has width {width}: a factor of {factor} does not give a whole width")]
    FractionalWidth {
        /// Axis at fault.
        axis: Axis,
        /// Present width.
        width: usize,
        /// Factor asked for.
        factor: f64,
    },
    /// An axis has no units that could be copied.
    #[error("axis `{axis}` has no units to grow from")]
    EmptyAxis {
        /// Axis at fault.
        axis: Axis,
    },
    /// A parametrization lacks the width at which its factors are 1.
    #[error("axis `{axis}` has no base width: give it one above 0, best that of the tuned model")]
    NoBaseWidth {
        /// Axis at fault.
        axis: Axis,
    },
    /// A width is larger than a plan can list.
    #[error("axis `{axis}` cannot have {target} units: a plan lists at most {limit}")]
    TooWide {
        /// Axis at fault.
        axis: Axis,
        /// Width asked for.
        target: usize,
        /// Largest width.
        limit: usize,
    },
    /// A model has more elements than memory can address.
    #[error("parameter `{path}` of shape {shape:?} makes the model too large for any memory")]
    TooLarge {
        /// Path of the first parameter that is too much.
        path: String,
        /// Shape of the parameter.
        shape: Vec<usize>,
    },
    /// A number is NaN or infinite.
    #[error("{what}: {value} is not a finite number")]
    NotFinite {
        /// Meaning of the number.
        what: String,
        /// Value of the number.
        value: f64,
    },
    /// A deserialized blueprint or plan contradicts itself.
    #[error("{what} needs {expected}, found {found}")]
    Inconsistent {
        /// Part at fault.
        what: String,
        /// Value that the rest calls for.
        expected: String,
        /// Value found.
        found: String,
    },
    /// An expansion names no axis.
    #[error("the expansion names no axis")]
    EmptyExpansion,
    /// The model declares that an axis cannot grow.
    #[error("axis `{axis}` cannot grow: {reason}")]
    FrozenAxis {
        /// Axis at fault.
        axis: Axis,
        /// Reason that the model gives.
        reason: String,
    },
    /// More units would take part in a token than there are.
    #[error(
        "axis `{part}` would be {part_width} wide, but there are only {whole_width} of `{whole}`"
    )]
    PartExceedsWhole {
        /// Axis of the units that take part, or a product.
        part: Layout,
        /// Width of that axis after the expansion.
        part_width: usize,
        /// Axis of all units, or a product.
        whole: Layout,
        /// Width of that axis after the expansion.
        whole_width: usize,
    },
    /// A stack of blocks cannot be what its description or an expansion says.
    #[error("stack `{path}` along axis `{axis}`: {fault}")]
    Stack {
        /// Path of the container.
        path: String,
        /// Axis at fault.
        axis: Axis,
        /// What is wrong.
        fault: StackFault,
    },
    /// New blocks are asked for along an axis that is not that of a stack.
    #[error("axis `{axis}` is no stack of blocks, which `with_blocks` is for")]
    NoStack {
        /// Axis at fault.
        axis: Axis,
    },
    /// A method is given for an axis that the expansion does not name.
    #[error("a method is given for axis `{axis}`, which the expansion does not name")]
    UnusedMethod {
        /// Axis at fault.
        axis: Axis,
    },
    /// An axis grows by a baseline and has a setting of the paper's method.
    #[error(
        "axis `{axis}` grows by the baseline `{baseline}`, but `{setting}` is a setting of the \
         paper's method: remove one of the two"
    )]
    Contradiction {
        /// Axis at fault.
        axis: Axis,
        /// Name of the baseline.
        baseline: String,
        /// Builder method of the setting, such as `with_init`.
        setting: &'static str,
    },
    /// A text is not an init pair.
    #[error(
        "`{text}` is not an init pair: write producer-consumer, each `copy`, `random` or `zero`, \
         as in `copy-zero`"
    )]
    InitPair {
        /// Text that was read.
        text: String,
    },
    /// A text does not begin with an axis.
    #[error("`{text}` names no axis: write it in front, as in `inner=2x`")]
    AxisText {
        /// Text that was read.
        text: String,
    },
    /// A text is not what an axis becomes.
    #[error("`{text}` is not a target: write a factor, as in `2x`, or a width, as in `1536`")]
    TargetText {
        /// Text that was read.
        text: String,
    },
    /// A text does not say what new blocks are.
    #[error(
        "`{text}` does not say what new blocks are: write what they hold (`copy`, `identity`, \
         `drawn` or `fresh`), their order (`stacked`, `interleaved` or `last`) or the source of \
         every block, as in `identity,interleaved` or `0,1,1,2`"
    )]
    BlocksText {
        /// Text that was read.
        text: String,
    },
    /// A text is not a role or a layout.
    #[error(
        "`{text}` is not a role: write `fan_out`, `fan_in`, `gate`, `gain` or `vocab` and a \
         product of axes and numbers, as in `fan_in(hidden)`, `gate(inner) + fan_out(inner)` or \
         `fan_out(heads x 64)`"
    )]
    RoleText {
        /// Text that was read.
        text: String,
    },
    /// An init pair would leave new units at zero forever.
    #[error(
        "axis `{axis}`: {init} leaves new units dead: producers get no gradient through consumers \
         that are zero, and consumers get none from producers that are zero"
    )]
    DeadUnits {
        /// Axis at fault.
        axis: Axis,
        /// Init pair asked for.
        init: InitPair,
    },
    /// An init pair changes the function, however its consumers are scaled.
    #[error(
        "axis `{axis}`: {init} cannot preserve the function; copy-copy can, and so can a pair with \
         a zero side"
    )]
    NotFunctionPreserving {
        /// Axis at fault.
        axis: Axis,
        /// Init pair asked for.
        init: InitPair,
    },
    /// The size of a dimension does not fit its role.
    #[error(
        "parameter `{path}`: dimension {dim} has {size} coordinates, which does not fit `{role}`"
    )]
    Layout {
        /// Path of the parameter.
        path: String,
        /// Index of the dimension.
        dim: usize,
        /// Size of the dimension.
        size: usize,
        /// Role of the dimension.
        role: String,
    },
    /// More than one width of a product of axes is unknown.
    #[error(
        "{place} is `{role}`, but the width of `{axis}` does not follow from any other dimension: \
         store it in a field with `#[grow(width = \"{axis}\")]`",
        place = described(path, *dim)
    )]
    UndeterminedAxis {
        /// Path of the parameter or constant.
        path: String,
        /// Index of the dimension of a parameter.
        dim: Option<usize>,
        /// Axis whose width is unknown.
        axis: Axis,
        /// Role of the dimension.
        role: String,
    },
    /// Two parameters, or a parameter and a constant, disagree about a width.
    #[error(
        "axis `{axis}` has width {expected} in {} but {found} in {}",
        place(other, *other_dim, path),
        place(path, *dim, other)
    )]
    WidthDisagreement {
        /// Axis at fault.
        axis: Axis,
        /// Path of the parameter or constant at which it was noticed.
        path: String,
        /// Dimension of the parameter.
        dim: Option<usize>,
        /// Width there.
        found: usize,
        /// Path of the parameter or constant that fixed the width first.
        other: String,
        /// Dimension of the parameter.
        other_dim: Option<usize>,
        /// Width there.
        expected: usize,
    },
    /// A stored width is not a multiple of what its layout says.
    #[error("constant `{path}` is {found}, which does not fit `{layout}`")]
    StoredWidth {
        /// Path of the constant.
        path: String,
        /// Value of the constant.
        found: usize,
        /// The product of axes that it stores.
        layout: String,
    },
    /// A constant is not what its function says.
    #[error(
        "constant `{path}` is {found}, but its function of `{layout}`, {width} wide, gives \
         {expected}"
    )]
    NotTheFunction {
        /// Path of the constant.
        path: String,
        /// The axis or product that it is a function of.
        layout: String,
        /// Present width.
        width: usize,
        /// Value of the function.
        expected: f64,
        /// Value of the constant.
        found: f64,
    },
    /// A map of axes fixes one factor of a product, and what is left cannot be followed.
    #[error(
        "`{path}` lies on a product of an axis that grows and of one that `axes(..)` makes `_`, \
         and its size does not tell the two: name an axis instead of `_`"
    )]
    FixedFactor {
        /// Path of the parameter, layer or constant.
        path: String,
    },
    /// An expansion names some of several axes that grow together.
    #[error(
        "axis `{axis}` grows together with {missing}, which the expansion does not grow: {reason}",
        missing = list(missing)
    )]
    Together {
        /// Axis that grows.
        axis: Axis,
        /// Axes that have to grow as well.
        missing: Vec<Axis>,
        /// Reason that the model gives.
        reason: String,
    },
    /// A parameter is not described.
    #[error(
        "parameter `{path}` is not described: give its field a `#[grow(..)]` attribute, or \
         `#[grow(skip)]` if it never grows"
    )]
    Undescribed {
        /// Path of the parameter.
        path: String,
    },
    /// A parameter stands at two places of the module tree.
    #[error(
        "parameter `{path}` is the same as `{other}`: shared parameters cannot grow. Build each \
         block by itself instead of cloning one; tie an embedding to the output in `forward` and \
         scale its logits by a field with `#[grow(multiplier = \"..\")]`"
    )]
    Shared {
        /// Path of the parameter.
        path: String,
        /// Path of the other place.
        other: String,
    },
    /// A layer has no dimension for a role.
    #[error(
        "layer `{path}`: {layer} has no `{role}`, it takes {takes}",
        takes = names(supported)
    )]
    UnsupportedRole {
        /// Path of the layer.
        path: String,
        /// Type of the layer.
        layer: &'static str,
        /// Name of the attribute.
        role: &'static str,
        /// Names of the attributes that it takes.
        supported: &'static [&'static str],
    },
    /// A layer cannot grow as its attribute asks.
    #[error("layer `{path}`: {layer} cannot grow this way: {reason}")]
    UnsupportedLayer {
        /// Path of the layer.
        path: String,
        /// Type of the layer.
        layer: &'static str,
        /// Reason, and what to write instead.
        reason: String,
    },
    /// The values of a parameter are quantized.
    #[error("parameter `{path}` is quantized ({dtype}): grow the model before quantizing it")]
    Quantized {
        /// Path of the parameter.
        path: String,
        /// Data type of the parameter.
        dtype: String,
    },
    /// A parameter has an adapter attached.
    #[error(
        "parameter `{path}` is reparameterized ({name}): call `materialize` before growing the model"
    )]
    Reparameterized {
        /// Path of the parameter.
        path: String,
        /// Name of the reparameterization.
        name: String,
    },
    /// A scalar multiplier would have to absorb a different factor for every unit.
    #[error(
        "multiplier `{path}` holds one number, but this expansion of axis `{axis}` scales its \
         units differently: use RMS-preserving scaling or a whole multiple"
    )]
    Multiplier {
        /// Path of the multiplier.
        path: String,
        /// Axis at fault.
        axis: Axis,
    },
    /// A parameter has another shape than the plan was made for.
    #[error("parameter `{path}`: the plan expects shape {expected:?}, found {found:?}")]
    Shape {
        /// Path of the parameter.
        path: String,
        /// Shape that the plan was made for.
        expected: Vec<usize>,
        /// Shape found.
        found: Vec<usize>,
    },
    /// A running statistic that grows is shared with clones of the model.
    #[error(
        "statistic `{path}` is shared with clones of the model, and expanding it would break them: \
         the `update_constants` of what holds it has to call `Constants::layer` on the norm"
    )]
    SharedState {
        /// Path of the statistic.
        path: String,
    },
    /// A parameter is in the plan but not in the model, or the other way round.
    #[error("parameter `{path}` is in the {has} but not in the {lacks}")]
    Missing {
        /// Path of the parameter.
        path: String,
        /// The one that has the parameter.
        has: &'static str,
        /// The one that lacks it.
        lacks: &'static str,
    },
    /// A model built at another width contradicts the roles.
    #[error("{}", RoleMismatch::lines(mismatches))]
    Roles {
        /// Every mistake, in the order of the module tree.
        mismatches: Vec<RoleMismatch>,
    },
    /// A model that grew describes itself otherwise than its plan says.
    #[error(
        "{what}: the plan makes it {expected}, but the wide model says {found}: a role or a \
         constant depends on a width that it does not follow"
    )]
    Description {
        /// Path of the parameter, or what else differs.
        what: String,
        /// Description according to the plan.
        expected: String,
        /// Description that the wide model gives.
        found: String,
    },
    /// Two models have different outputs or activations.
    #[error("the models cannot be compared: {before} before, {after} after")]
    Incomparable {
        /// Outputs or activations of the first one.
        before: String,
        /// Outputs or activations of the second one.
        after: String,
    },
}

/// Names a parameter, with its dimension if the other place is another one of the same parameter.
fn place(path: &str, dim: Option<usize>, other: &str) -> String {
    match dim {
        Some(dim) if path == other => format!("dimension {dim} of `{path}`"),
        _ => format!("`{path}`"),
    }
}

/// Names a dimension of a parameter, or a constant.
fn described(path: &str, dim: Option<usize>) -> String {
    match dim {
        Some(dim) => format!("parameter `{path}`: dimension {dim}"),
        None => format!("constant `{path}`"),
    }
}

fn names(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn list(axes: &[Axis]) -> String {
    if axes.is_empty() {
        return "none".into();
    }
    let names: Vec<_> = axes.iter().map(|axis| format!("`{axis}`")).collect();
    names.join(", ")
}

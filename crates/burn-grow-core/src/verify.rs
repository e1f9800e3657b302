use crate::{Blueprint, GrowError, Growable};

/// Checks the axes of a model against the same model built at another width: every dimension must
/// have the size that its role says.
///
/// Build both from one configuration, differing only in the widths of the axes. A dimension without
/// a role that changes, or one with a role that does not, is an error that names the parameter. The
/// check is Microsoft's mup one: infer the infinite dimensions by comparing two widths.
///
/// # Errors
///
/// When either model cannot be described, or a shape contradicts its roles.
pub fn two_width_check<G: Growable>(narrow: &G, wide: &G) -> Result<(), GrowError> {
    let narrow = Blueprint::of(narrow)?;
    let wide = Blueprint::of(wide)?;
    for (param, other) in narrow.params().iter().zip(wide.params()) {
        if param.path != other.path {
            return Err(GrowError::Missing {
                path: param.path.clone(),
                has: "narrow model",
                lacks: "wide model",
            });
        }
        let expected = param.shape_at(wide.widths());
        if expected != other.shape {
            return Err(GrowError::Shape {
                path: param.path.clone(),
                expected,
                found: other.shape.clone(),
            });
        }
    }
    match narrow.params().len() == wide.params().len() {
        true => Ok(()),
        false => Err(GrowError::Missing {
            path: "..".into(),
            has: "one model",
            lacks: "other",
        }),
    }
}

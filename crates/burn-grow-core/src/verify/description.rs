//! The check that a grown model describes itself as its plan says.

use core::fmt::Debug;

use crate::describe::blueprint::Blueprint;
use crate::describe::constants::Constant;
use crate::describe::growable::Growable;
use crate::error::GrowError;

/// Checks that `model` describes itself as `expected`, which is
/// [`Blueprint::expanded`] of the model before an expansion.
///
/// A role that is computed from a field, or an `update_constants` written by hand, can be right at
/// one width and wrong at the next.
///
/// # Errors
///
/// Fails with [`GrowError::Description`], which names the first parameter, axis or constant that
/// differs. Also fails as [`Blueprint::of`] does.
pub fn check_description<G: Growable>(model: &G, expected: &Blueprint) -> Result<(), GrowError> {
    let found = Blueprint::of(model)?;
    let params = expected.params.iter().zip(&found.params);
    for (expected, found) in params {
        let path = &format!("parameter `{}`", expected.path);
        same(path, &expected.path, &found.path)?;
        same(path, &expected.shape, &found.shape)?;
        same(path, &expected.roles, &found.roles)?;
        same(path, &expected.active, &found.active)?;
    }
    let count = |blueprint: &Blueprint| format!("{} parameters", blueprint.params.len());
    same("the model", &count(expected), &count(&found))?;
    same("the widths", &expected.widths, &found.widths)?;
    let (expected_stacks, found_stacks) = (expected.stack_lengths(), found.stack_lengths());
    same("the stacks", &expected_stacks, &found_stacks)?;
    let (wanted, got) = (by_path(&expected.constants), by_path(&found.constants));
    same("the constants", &wanted, &got)?;
    let (wanted, got) = (by_path(&expected.multipliers), by_path(&found.multipliers));
    same("the multipliers", &wanted, &got)?;
    let (wanted, got) = (by_path(&expected.kept), by_path(&found.kept));
    same("the kept constants", &wanted, &got)?;
    same(
        "the axes that grow together",
        &expected.together,
        &found.together,
    )?;
    same("the axes that cannot grow", &expected.frozen, &found.frozen)
}

/// Sorts constants: the first block of a stack comes in another place than where it is described.
fn by_path<T>(constants: &[Constant<T>]) -> Vec<&Constant<T>> {
    let mut sorted: Vec<_> = constants.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    sorted
}

fn same<T: PartialEq + Debug>(what: &str, expected: &T, found: &T) -> Result<(), GrowError> {
    if expected == found {
        return Ok(());
    }
    Err(GrowError::Description {
        what: what.to_owned(),
        expected: format!("{expected:?}"),
        found: format!("{found:?}"),
    })
}

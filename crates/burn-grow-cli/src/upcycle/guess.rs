//! The upcycling that leads from one folder to another, guessed.

use std::collections::BTreeMap;

use burn_grow_core::describe::Axis;

use super::plan::{EXPERTS, INNER, TOP_K};
use super::settings::{Router, RoutingWeights, Upcycling};
use crate::error::Error;
use crate::family::{self, Route, route};
use crate::folder::{Folder, Reader};
use crate::model::Model;

/// Guesses the upcycling that leads from `model` to `folder`: from their widths, without noise, with
/// a router drawn by the default seed unless it is zero.
///
/// # Errors
///
/// When no route leads to the family of `folder`, and when its widths are not those of an upcycling
/// of `model`.
pub fn upcycling_to(model: &Model, folder: Folder) -> Result<Upcycling, Error> {
    let family = family::find(&folder)?;
    let route = route(&model.family.name, &family.name)?;
    let normalized = match &route.router.normalized {
        Some(key) => folder.config.flag(key)?.unwrap_or_default(),
        None => true,
    };
    let new = Model::of(folder, family, &[])?;
    let (old_widths, new_widths) = (model.blueprint()?, new.blueprint()?);
    let numbers = numbers(old_widths.widths(), new_widths.widths());
    let Some((experts, top_k, parts)) = numbers else {
        return Err(Error::Rejected {
            family: route.to,
            message: "its experts are no copies of the feed-forward, nor parts of such".into(),
        });
    };
    let weights = match normalized {
        true => RoutingWeights::Normalized,
        false => RoutingWeights::Softmax,
    };
    let router = match is_zero(&new.folder, &route)? {
        true => Router::Zero,
        false => Router::Drawn,
    };
    Ok(Upcycling::new(route.to, experts, top_k)
        .with_granularity(parts)
        .with_router(router)
        .with_weights(weights))
}

/// The copies, those of a token, and the parts of each.
fn numbers(
    old: &BTreeMap<Axis, usize>,
    new: &BTreeMap<Axis, usize>,
) -> Option<(usize, usize, usize)> {
    let width = |widths: &BTreeMap<Axis, usize>, axis: &str| {
        let width = widths.get(&Axis::from(axis)).copied();
        width.filter(|width| *width > 0)
    };
    let quotient = |one: usize, other: usize| {
        let whole = one.is_multiple_of(other) && one >= other;
        whole.then(|| one / other)
    };
    let parts = quotient(width(old, INNER)?, width(new, INNER)?)?;
    let experts = quotient(width(new, EXPERTS)?, parts)?;
    Some((experts, quotient(width(new, TOP_K)?, parts)?, parts))
}

/// Tells if the first router is zero.
fn is_zero(folder: &Folder, route: &Route) -> Result<bool, Error> {
    let mut tensors = folder.tensors.iter();
    let router = tensors.find(|(name, _)| name.ends_with(&route.router.tensor));
    let Some((_, stored)) = router else {
        return Ok(false);
    };
    let mut bytes = Vec::new();
    Reader::new(folder)?.read(stored, &mut bytes)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

//! The blueprint of a model after an expansion.

use super::model::Plan;
use super::places::{Place, places};
use super::restack::Described;
use crate::describe::blueprint::Blueprint;
use crate::describe::constants::Constant;
use crate::describe::param::ParamBlueprint;
use crate::describe::stack::{Prototype, Stack};

impl Blueprint {
    /// Returns the blueprint of the model after `plan`.
    pub fn expanded(&self, plan: &Plan) -> Self {
        let mut next = self.clone();
        for (axis, planned) in plan.axes() {
            next.widths.insert(axis.clone(), planned.new_width());
        }
        next.restacked(self, plan);
        for constant in &mut next.constants {
            constant.value = constant.axis.size(|axis| next.widths[axis]);
        }
        for param in &mut next.params {
            param.shape = param.shape_at(&next.widths);
        }
        for multiplier in &mut next.multipliers {
            let planned = multiplier.axis.axes().filter_map(|axis| plan.axis(axis));
            for axis in planned {
                multiplier.value *= axis.tied_factor().unwrap_or(1.0);
            }
        }
        for prototype in next
            .stacks
            .iter_mut()
            .filter_map(|it| it.prototype.as_mut())
        {
            for param in &mut prototype.params {
                param.shape = param.shape_at(&next.widths);
            }
            for constant in &mut prototype.constants {
                constant.value = constant.axis.size(|axis| next.widths[axis]);
            }
        }
        next
    }

    /// Spreads everything that `before` has over the blocks that `plan` makes.
    fn restacked(&mut self, before: &Self, plan: &Plan) {
        let (stacks, axes) = (&before.stacks, plan.axes());
        let all = before.with_prototypes();
        self.params.clear();
        for stack in &mut self.stacks {
            if let Some(prototype) = &mut stack.prototype {
                prototype.at = usize::MAX;
            }
        }
        for place in places(&all, |param| &param.described.path, stacks, axes) {
            let Described {
                described,
                is_prototype,
            } = place.item;
            if *is_prototype && place.new.is_empty() {
                let at = self.params.len();
                let around = |stack: &&mut Stack| stack.block_of(&described.path).is_some();
                let stack = self.stacks.iter_mut().find(around);
                if let Some(prototype) = stack.and_then(|stack| stack.prototype.as_mut()) {
                    prototype.at = prototype.at.min(at);
                }
                continue;
            }
            self.params.push(ParamBlueprint {
                path: place.path,
                ..(*described).clone()
            });
        }
        let prototypes = || {
            before
                .stacks
                .iter()
                .filter_map(|stack| stack.prototype.as_ref())
        };
        let spread = |of: fn(&Prototype) -> &Vec<Constant<f64>>, own: &[Constant<f64>]| {
            let fresh = prototypes().flat_map(of).cloned();
            let all: Vec<_> = own.iter().cloned().chain(fresh).collect();
            let places = places(&all, |constant| &constant.path, stacks, axes);
            constants(places, own.len(), &all)
        };
        self.multipliers = spread(|it| &it.multipliers, &before.multipliers);
        self.kept = spread(|it| &it.kept, &before.kept);
        let fresh = prototypes().flat_map(|it| &it.constants).cloned();
        let all: Vec<_> = before.constants.iter().cloned().chain(fresh).collect();
        let spread = places(&all, |constant| &constant.path, stacks, axes);
        self.constants = constants(spread, before.constants.len(), &all);
        let old = core::mem::take(&mut self.stacks);
        self.stacks = places(&old, |stack| &stack.path, stacks, axes)
            .into_iter()
            .map(|place| {
                let mut stack = place.item.clone();
                stack.path = place.path;
                if let Some(planned) = plan.axis(&stack.axis) {
                    stack.blocks = planned.new_width();
                    stack.prototype = stack.prototype.filter(|_| stack.blocks == 0);
                }
                stack
            })
            .collect();
    }
}

/// The constants at `places`, without those of fresh blocks that there are not: of `all`, those behind
/// the first `own`.
fn constants<T: Clone>(
    places: Vec<Place<'_, Constant<T>>>,
    own: usize,
    all: &[Constant<T>],
) -> Vec<Constant<T>> {
    let is_own = |item: &Constant<T>| all[..own].iter().any(|it| core::ptr::eq(it, item));
    let there = places
        .into_iter()
        .filter(|place| !place.new.is_empty() || is_own(place.item));
    there
        .map(|place| Constant {
            path: place.path,
            ..place.item.clone()
        })
        .collect()
}

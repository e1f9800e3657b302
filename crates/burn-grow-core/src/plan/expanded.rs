//! The blueprint of a model after an expansion.

use std::collections::BTreeMap;

use super::axis_plan::AxisPlan;
use super::model::Plan;
use super::places::places;
use crate::describe::axis::Axis;
use crate::describe::blueprint::Blueprint;
use crate::describe::constants::Constant;
use crate::describe::param::ParamBlueprint;
use crate::describe::stack::{Prototype, Stack};
use crate::describe::validate::Widths;

impl Blueprint {
    /// Returns the blueprint of the model after `plan`.
    pub fn expanded(&self, plan: &Plan) -> Self {
        let mut widths = self.widths.clone();
        let planned = plan.axes().iter();
        widths.extend(planned.map(|(axis, planned)| (axis.clone(), planned.new_width())));
        let spread = Spread {
            blueprint: self,
            plan,
            widths: &widths,
        };
        let (params, stacks) = spread.params_and_stacks();
        let constants = spread.constants(&self.constants, |fresh| &fresh.constants);
        let multipliers = spread.constants(&self.multipliers, |fresh| &fresh.multipliers);
        Self {
            params,
            stacks,
            constants: constants.map(|it| spread.resized(it)).collect(),
            multipliers: multipliers.map(|it| spread.multiplied(it)).collect(),
            kept: spread.constants(&self.kept, |fresh| &fresh.kept).collect(),
            frozen: self.frozen.clone(),
            together: self.together.clone(),
            widths,
        }
    }
}

/// Everything that a blueprint has, spread over the blocks that a plan makes.
struct Spread<'a> {
    blueprint: &'a Blueprint,
    plan: &'a Plan,
    /// The widths after the plan.
    widths: &'a Widths,
}

impl<'a> Spread<'a> {
    fn stacks(&self) -> &'a [Stack] {
        &self.blueprint.stacks
    }

    fn axes(&self) -> &'a BTreeMap<Axis, AxisPlan> {
        self.plan.axes()
    }

    fn params_and_stacks(&self) -> (Vec<ParamBlueprint>, Vec<Stack>) {
        let all = self.blueprint.with_prototypes();
        let mut params = Vec::with_capacity(all.len());
        // Where the fresh block of a stack that stays empty would stand.
        let mut at = BTreeMap::new();
        for place in places(&all, |it| &it.described.path, self.stacks(), self.axes()) {
            let described = place.item.described;
            if place.item.is_prototype && place.new.is_empty() {
                let mut stacks = self.stacks().iter();
                let stack = stacks.find(|stack| stack.block_of(&described.path).is_some());
                at.entry(stack.map(|it| it.path.as_str()))
                    .or_insert(params.len());
                continue;
            }
            params.push(ParamBlueprint {
                path: place.path,
                shape: described.shape_at(self.widths),
                ..described.clone()
            });
        }
        let stacks = places(
            self.stacks(),
            |stack| &stack.path,
            self.stacks(),
            self.axes(),
        );
        let stacks = stacks.into_iter().map(|place| {
            let blocks = self.widths[&place.item.axis];
            let prototype = place.item.prototype.as_ref().filter(|_| blocks == 0);
            Stack {
                prototype: prototype.map(|prototype| {
                    let at = at.get(&Some(place.item.path.as_str()));
                    self.prototype(prototype, at.copied().unwrap_or(prototype.at))
                }),
                path: place.path,
                blocks,
                ..place.item.clone()
            }
        });
        (params, stacks.collect())
    }

    /// The fresh block of a stack that stays empty.
    fn prototype(&self, before: &Prototype, at: usize) -> Prototype {
        let params = before.params.iter().map(|param| ParamBlueprint {
            shape: param.shape_at(self.widths),
            ..param.clone()
        });
        let constants = before.constants.iter().cloned();
        let multipliers = before.multipliers.iter().cloned();
        Prototype {
            at,
            params: params.collect(),
            constants: constants.map(|it| self.resized(it)).collect(),
            multipliers: multipliers.map(|it| self.multiplied(it)).collect(),
            kept: before.kept.clone(),
        }
    }

    /// Constants of the model, and of fresh blocks where there are any afterwards.
    fn constants<T: Clone>(
        &self,
        own: &'a [Constant<T>],
        of: impl Fn(&'a Prototype) -> &'a Vec<Constant<T>>,
    ) -> impl Iterator<Item = Constant<T>> {
        let prototypes = self
            .stacks()
            .iter()
            .filter_map(|stack| stack.prototype.as_ref());
        let fresh = prototypes.flat_map(of).map(|constant| (constant, true));
        let all = own.iter().map(|constant| (constant, false)).chain(fresh);
        let all: Vec<_> = all.collect();
        let places = places(
            &all,
            |(constant, _)| &constant.path,
            self.stacks(),
            self.axes(),
        );
        let there = places
            .into_iter()
            .filter(|place| !place.item.1 || !place.new.is_empty());
        let constants = there.map(|place| Constant {
            path: place.path,
            ..place.item.0.clone()
        });
        constants.collect::<Vec<_>>().into_iter()
    }

    fn resized(&self, constant: Constant<usize>) -> Constant<usize> {
        Constant {
            value: constant.axis.size(|axis| self.widths[axis]),
            ..constant
        }
    }

    fn multiplied(&self, mut multiplier: Constant<f64>) -> Constant<f64> {
        let axes = multiplier
            .axis
            .axes()
            .filter_map(|axis| self.plan.axis(axis));
        for axis in axes {
            multiplier.value *= axis.tied_factor().unwrap_or(1.0);
        }
        multiplier
    }
}

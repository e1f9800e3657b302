//! Stacks, rebuilt.

use std::sync::{Mutex, PoisonError};

use burn_core::module::{Module, Param};
use burn_core::tensor::{Bool, Device, Distribution, Int, Tensor};

use crate::describe::axis::Axis;
use crate::describe::constants::{Constants, NewBlock, NewBlocks};
use crate::hash::fnv1a;
use crate::visit::{ParamMapper, ParamVisitor, for_each_param, map_params};

impl Constants<'_> {
    /// Makes the fresh blocks that the stack on `axis` needs: none unless the expansion asks for
    /// them. The numbers of the module have to be updated before.
    ///
    /// What a block draws is drawn from a seed of its own, so that resumed runs and replicas draw the
    /// same. Another thread that draws on the device at that moment would get between: a device has
    /// one generator for all of them.
    pub fn fresh_blocks<M: Module>(&self, axis: impl Into<Axis>, make: impl Fn() -> M) -> Vec<M> {
        let Some((axis, blocks)) = self.blocks_of(axis) else {
            return Vec::new();
        };
        let places = 0..blocks.source.len();
        let new = places.filter(|block| blocks.fresh && !blocks.kept.contains(block));
        new.map(|block| {
            let key = format!("{}/{axis}/{block}", self.plan.seed);
            seeded(&self.plan.device, fnv1a(key.as_bytes()), || {
                let block = make();
                for_each_param(&block, &mut Initialize);
                block
            })
        })
        .collect()
    }

    /// Rebuilds the stack on `axis`, and updates the constants of every block by `update`. A new
    /// block is the next of `fresh`, those that [`fresh_blocks`](Self::fresh_blocks) made, or else a
    /// clone of its source.
    pub fn stack<M: Module>(
        &self,
        axis: impl Into<Axis>,
        stack: &mut Vec<M>,
        fresh: Vec<M>,
        update: impl Fn(&mut M, &Constants<'_>),
    ) {
        let Some((axis, blocks)) = self.blocks_of(axis) else {
            return stack.iter_mut().for_each(|block| update(block, self));
        };
        let (old, mut fresh) = (core::mem::take(stack), fresh.into_iter());
        for (block, source) in blocks.source.iter().enumerate() {
            let kept = blocks.kept.contains(&block);
            let next = match blocks.fresh && !kept {
                true => fresh.next(),
                false => old.get(*source).cloned(),
            };
            // The check of the rebuilt model finds a block that is missing.
            let Some(mut next) = next else {
                continue;
            };
            if kept {
                update(&mut next, self);
            } else {
                let (axis, old) = (axis.clone(), old.len());
                let place = NewBlock { axis, old, block };
                next = map_params(next, &mut Reidentify { place: &place });
                update(&mut next, &self.within(place));
            }
            stack.push(next);
        }
    }

    fn blocks_of(&self, axis: impl Into<Axis>) -> Option<(Axis, &NewBlocks)> {
        let axis = self.layout(axis.into()).single()?.clone();
        let blocks = self.plan.named.get(&axis)?.blocks.as_ref()?;
        Some((axis, blocks))
    }
}

/// Gives what no plan knows, parameters of integers and booleans, identities of their own.
struct Reidentify<'a> {
    place: &'a NewBlock,
}

impl ParamMapper for Reidentify<'_> {
    fn float<const D: usize>(&mut self, _path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param
    }

    fn int<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D, Int>>,
    ) -> Param<Tensor<D, Int>> {
        let (id, value, mapper) = param.consume();
        Param::from_mapped_value(self.place.descendant(id), value, mapper)
    }

    fn bool<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        let (id, value, mapper) = param.consume();
        Param::from_mapped_value(self.place.descendant(id), value, mapper)
    }
}

/// Initializes every parameter.
struct Initialize;

impl ParamVisitor for Initialize {
    fn float<const D: usize>(&mut self, _path: &str, param: &Param<Tensor<D>>) {
        drop(param.base());
    }
}

/// Held while fresh blocks are drawn: a device has one generator for all threads.
static DRAWING: Mutex<()> = Mutex::new(());

/// Runs `draw` with the generator of `device` seeded, and goes on with another seed, drawn before.
fn seeded<T>(device: &Device, seed: u64, draw: impl FnOnce() -> T) -> T {
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let next = Tensor::<1>::random([2], Distribution::Uniform(0.0, 1.0), device).into_data();
    let next = next.iter::<f64>().fold(0, |seed, part| {
        fnv1a(&(part.to_bits() ^ seed).to_le_bytes())
    });
    device.seed(seed);
    let drawn = draw();
    device.seed(next);
    drawn
}

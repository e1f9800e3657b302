//! A planned expansion of a run, to be looked at before anything trains.

use core::fmt;

use burn_grow_core::Plan;

use crate::{At, Growth};

/// A planned expansion of a run, listed by
/// [`WidthExpansionCallback::stages`](crate::WidthExpansionCallback::stages): when it comes, and
/// what it does. Displays as the dry-run table of its plan with the growth below.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// The index of the stage in the run, from 0.
    pub index: usize,
    /// The trigger.
    pub at: &'a At,
    /// The optimizer steps taken before it, where no metric decides. It comes later where it has to
    /// wait for the stage before.
    pub step: Option<usize>,
    /// The shapes before and after, and what new coordinates hold.
    pub plan: &'a Plan,
    /// The expansion, its seed moved on by the index, with its state rules and its re-warmup.
    pub growth: &'a Growth,
}

impl fmt::Display for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            at,
            step,
            plan,
            growth,
        } = self;
        write!(f, "expansion {index} at {at}")?;
        if let Some(step) = step {
            write!(f, ", after optimizer step {step}")?;
        }
        write!(f, "\n{plan}\n{growth}")
    }
}

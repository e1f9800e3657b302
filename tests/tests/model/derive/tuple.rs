//! A tuple struct that is a module.

use burn::module::{Module, ModuleMapper, ModuleVisitor};
use burn::nn::Linear;
use burn::tensor::Device;
use burn_grow_derive::Growable;

use super::Expert;

/// Burn derives `Module` for named fields only, so that a tuple struct comes with its own.
#[derive(Clone, Debug, Growable)]
#[grow(crate = burn_grow_core)]
pub(crate) struct Pair(
    pub(crate) Expert,
    #[grow(fan_in = "hidden")] pub(crate) Linear,
    #[grow(width = "hidden")] pub(crate) usize,
);

impl Module for Pair {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.1.collect_devices(self.0.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        Self(self.0.fork(device), self.1.fork(device), self.2)
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device), self.1.to_device(device), self.2)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module("0", "Struct:Pair");
        self.0.visit(visitor);
        visitor.exit_module("0", "Struct:Pair");
        visitor.enter_module("1", "Struct:Pair");
        self.1.visit(visitor);
        visitor.exit_module("1", "Struct:Pair");
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        mapper.enter_module("0", "Struct:Pair");
        let first = self.0.map(mapper);
        mapper.exit_module("0", "Struct:Pair");
        mapper.enter_module("1", "Struct:Pair");
        let second = self.1.map(mapper);
        mapper.exit_module("1", "Struct:Pair");
        Self(first, second, self.2)
    }

    fn valid(&self) -> Self {
        Self(self.0.valid(), self.1.valid(), self.2)
    }

    fn train(self) -> Self {
        Self(self.0.train(), self.1.train(), self.2)
    }

    fn materialize(self) -> Self {
        Self(self.0.materialize(), self.1.materialize(), self.2)
    }
}

use burn_core::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn_core::tensor::{Device, Int, Tensor};

use crate::state::{CLOCK, HISTORY, Params};

const CONTAINER: &str = "Struct:Growing";

/// A model beside the state of its run, all of it mapped, so that loading a record leaves nothing of it
/// unused.
#[derive(Clone, Debug)]
pub(crate) struct Recorded<M> {
    pub(crate) inner: M,
    pub(crate) params: Params,
}

impl Params {
    /// Each parameter with its name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, &Param<Tensor<1, Int>>)> {
        let history = self.history.iter().map(|history| (HISTORY, history));
        core::iter::once((CLOCK, &self.clock)).chain(history)
    }

    pub(crate) fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, param) in self.named() {
            visitor.enter_module(name, CONTAINER);
            visitor.visit_int(param);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        let mut map = |name, param| {
            mapper.enter_module(name, CONTAINER);
            let param = mapper.map_int(param);
            mapper.exit_module(name, CONTAINER);
            param
        };
        Self {
            clock: map(CLOCK, self.clock),
            history: self.history.map(|history| map(HISTORY, history)),
        }
    }
}

impl<M: Module> Module for Recorded<M> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.inner.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        let inner = self.inner.fork(device);
        Self { inner, ..self }
    }

    fn to_device(self, device: &Device) -> Self {
        let inner = self.inner.to_device(device);
        Self { inner, ..self }
    }

    fn train(self) -> Self {
        let inner = self.inner.train();
        Self { inner, ..self }
    }

    fn valid(&self) -> Self {
        Self {
            inner: self.inner.valid(),
            params: self.params.clone(),
        }
    }

    fn materialize(self) -> Self {
        let inner = self.inner.materialize();
        Self { inner, ..self }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.inner.visit(visitor);
        self.params.visit(visitor);
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        Self {
            inner: self.inner.map(mapper),
            params: self.params.map(mapper),
        }
    }
}

//! Containers, which describe every element under the path segment that Burn gives it.

use core::fmt::Debug;

use burn_core::module::ModuleDisplay;

use crate::describe::constants::Constants;
use crate::describe::describer::Describer;
use crate::describe::growable::Growable;
use crate::describe::layer::Layer;
use crate::describe::layer_roles::LayerRoles;

#[diagnostic::do_not_recommend]
impl<G: Growable> Growable for Option<G> {
    fn describe(&self, describer: &mut Describer) {
        if let Some(module) = self {
            module.describe(describer);
        }
    }

    fn update_constants(&mut self, constants: &Constants<'_>) {
        if let Some(module) = self {
            module.update_constants(constants);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<G: Growable> Growable for Vec<G> {
    fn describe(&self, describer: &mut Describer) {
        for (index, module) in self.iter().enumerate() {
            describer.element(index, |describer| module.describe(describer));
        }
    }

    fn update_constants(&mut self, constants: &Constants<'_>) {
        for module in self {
            module.update_constants(constants);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<G: Growable, const N: usize> Growable for [G; N] {
    fn describe(&self, describer: &mut Describer) {
        for (index, module) in self.iter().enumerate() {
            describer.element(index, |describer| module.describe(describer));
        }
    }

    fn update_constants(&mut self, constants: &Constants<'_>) {
        for module in self {
            module.update_constants(constants);
        }
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),+) => {
        #[diagnostic::do_not_recommend]
        impl<$($name: Growable + ModuleDisplay + Debug),+> Growable for ($($name,)+) {
            fn describe(&self, describer: &mut Describer) {
                $(describer.child(stringify!($index), &self.$index);)+
            }

            fn update_constants(&mut self, constants: &Constants<'_>) {
                $(self.$index.update_constants(constants);)+
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);

#[diagnostic::do_not_recommend]
impl<L: Layer> Layer for Option<L> {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        if let Some(layer) = self {
            layer.describe(roles, describer);
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        if let Some(layer) = self {
            layer.update_constants(roles, constants);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<L: Layer> Layer for Vec<L> {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        for (index, layer) in self.iter().enumerate() {
            describer.element(index, |describer| layer.describe(roles, describer));
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        for layer in self {
            layer.update_constants(roles, constants);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<L: Layer, const N: usize> Layer for [L; N] {
    fn describe(&self, roles: &LayerRoles, describer: &mut Describer) {
        for (index, layer) in self.iter().enumerate() {
            describer.element(index, |describer| layer.describe(roles, describer));
        }
    }

    fn update_constants(&mut self, roles: &LayerRoles, constants: &Constants<'_>) {
        for layer in self {
            layer.update_constants(roles, constants);
        }
    }
}

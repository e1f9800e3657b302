//! What Burn's loading takes for granted of a record, checked on a file of unknown origin.

use std::collections::BTreeMap;

use burn_core::store::RecordError;
use burn_pack::Scalar;

use super::state::loaded_dtype;
use super::{RawRecord, UnownedState};
use crate::keys::{MAX_STEPS, RecordKeys, entries, is_count, owner};
use crate::policy::power;
use crate::region::{Region, VERSION_FIELD, knows_version};

/// The shapes of the parameters, by identity.
type Shapes = BTreeMap<u64, Vec<usize>>;

impl RawRecord {
    /// Checks that every entry belongs to a parameter of `shapes`, by identity, and fits it: what
    /// Burn's loading takes for granted. Of values, only scalars are looked at.
    ///
    /// The whole state of a parameter that is not there is no damage: it is removed from the record
    /// and returned. A record that holds nothing else is of another model.
    ///
    /// # Errors
    ///
    /// Names the first entry that does not.
    pub fn checked(mut self, shapes: &Shapes) -> Result<(Self, Vec<UnownedState>), RecordError> {
        let unowned = self.unowned(shapes);
        let owned = |name: &String| owner(name).is_some_and(|id| shapes.contains_key(&id));
        if unowned.is_empty() || !self.scalars.keys().any(owned) {
            self.check(shapes)?;
            return Ok((self, Vec::new()));
        }
        let mut all = shapes.clone();
        all.extend(unowned.iter().map(|(id, shape)| (*id, shape.clone())));
        self.check(&all)?;
        let removed = unowned.keys().map(|id| self.remove(*id)).collect();
        Ok((self, removed))
    }

    fn check(&self, shapes: &Shapes) -> Result<(), RecordError> {
        for tensor in &self.tensors {
            check_tensor(tensor, shapes)?;
        }
        for (name, value) in &self.scalars {
            check_scalar(name, *value, shapes)?;
        }
        for (id, shape) in shapes {
            self.check_rank(*id, shape)?;
            self.check_regions(*id, shape)?;
        }
        Ok(())
    }

    /// Without a rank, Burn would guess it from any one of the tensors, or drop the scalars if
    /// there is no tensor.
    fn check_rank(&self, id: u64, shape: &[usize]) -> Result<(), RecordError> {
        let keys = RecordKeys::of(id);
        let wrong = match self.scalars.get(&keys.rank()) {
            Some(rank) => usize::try_from(*rank) != Ok(shape.len()),
            None => {
                let mut tensors = self.tensors.iter();
                tensors.any(|tensor| tensor.param_id == Some(id))
                    || entries(&self.scalars, keys.entries()).next().is_some()
            }
        };
        if wrong {
            return rejected(&keys.rank(), "does not follow its parameter");
        }
        Ok(())
    }

    fn check_regions(&self, id: u64, shape: &[usize]) -> Result<(), RecordError> {
        let keys = RecordKeys::of(id);
        let mut known = 0;
        for index in 0..keys.count_regions(&self.scalars) {
            let name = keys.region(index);
            let read = |field: &str| self.scalars.get(&keys.field(index, field)).copied();
            if read(VERSION_FIELD).is_some_and(|version| !knows_version(version)) {
                return rejected(&name, "is of a version that this library does not read");
            }
            let region = Region::from_scalars(shape.len(), read);
            let Some(region) = region.filter(|region| region.fits(shape)) else {
                return rejected(&name, "is no region of its parameter");
            };
            known += region.scalars().len();
        }
        // An entry of no region would mix with the regions of the next expansion.
        if entries(&self.scalars, keys.region_entries()).count() != known {
            return rejected(&keys.regions(), "holds entries of no region");
        }
        Ok(())
    }
}

fn check_tensor(tensor: &burn_pack::Tensor, shapes: &Shapes) -> Result<(), RecordError> {
    let name = &tensor.name;
    let Some((id, shape)) = tensor.param_id.and_then(|id| shapes.get_key_value(&id)) else {
        return rejected(name, "belongs to no parameter of the model");
    };
    let mut sizes = tensor.shape.iter().zip(shape);
    // An optimizer of the user's own may keep any other state.
    let follows = power(name).is_none()
        || tensor.shape.len() == shape.len()
            && sizes.all(|(size, whole)| size == whole || *size == 1);
    if !name.starts_with(&RecordKeys::of(*id).entries()) || !follows {
        return rejected(name, "does not follow its parameter");
    }
    if power(name).is_some() && tensor.dtype != loaded_dtype() {
        return rejected(
            name,
            "does not hold the floats of the device's default type, as which Burn would load it: \
             train a model in half precision with `MixedPrecision`",
        );
    }
    Ok(())
}

fn check_scalar(name: &str, value: Scalar, shapes: &Shapes) -> Result<(), RecordError> {
    if !owner(name).is_some_and(|id| shapes.contains_key(&id)) {
        return rejected(name, "belongs to no parameter of the model");
    }
    if is_count(name) && usize::try_from(value).is_ok_and(|count| count > MAX_STEPS) {
        return rejected(name, "counts more steps than there can be");
    }
    if matches!(value, Scalar::Float(value) if value.is_nan()) {
        return rejected(name, "is NaN");
    }
    Ok(())
}

fn rejected(name: &str, problem: &str) -> Result<(), RecordError> {
    Err(RecordError::Validation(format!("state `{name}` {problem}")))
}

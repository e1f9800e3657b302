//! What decides the numbers of a run, and the id it is known by.

use std::hash::Hasher;

use anyhow::{Context, Result};
use burn_grow::moe::MoeConfig;
use fnv::FnvHasher;
use serde::{Deserialize, Serialize};

use crate::run::{GrowthSchedule, Run};
use crate::spec::{Backend, OptimizerSettings};

/// What decides the numbers of a run, however it was spelled.
///
/// Names and order of the fields are hashed: they stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Seed of the initial model and of the data order.
    pub seed: u64,
    /// Fingerprint of the text.
    pub text: String,
    pub device: Backend,
    /// The model it begins with.
    pub model: MoeConfig,
    /// Bytes that a model sees at once.
    pub context: usize,
    /// Windows of one step.
    pub batch: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// Optimizer steps of one epoch.
    pub epoch_steps: usize,
    /// Held-out windows of the loss at every epoch.
    pub valid_windows: usize,
    /// Held-out windows of the final loss.
    pub final_windows: usize,
    pub optimizer: OptimizerSettings,
    /// How it grows, if it does.
    pub growth: Option<GrowthSchedule>,
}

impl Run {
    /// Gives what decides its numbers.
    pub fn identity(&self) -> Identity {
        let settings = &self.settings;
        let mut growth = self.growth.clone();
        for (_, expansion) in growth.iter_mut().flat_map(|growth| &mut growth.stages) {
            // It is the seed of the run, named above.
            expansion.seed = 0;
        }
        Identity {
            seed: settings.seed,
            text: self.text.clone(),
            device: settings.device,
            model: self.model().clone(),
            context: settings.context,
            batch: settings.batch,
            steps: self.steps,
            epoch_steps: settings.epoch_steps(),
            valid_windows: settings.valid_windows,
            final_windows: settings.final_windows,
            optimizer: self.optimizer.clone(),
            growth,
        }
    }

    /// Gives the id it is known by: the hash of its identity.
    ///
    /// # Errors
    ///
    /// When the identity has no form in JSON, which is what is hashed.
    pub fn id(&self) -> Result<String> {
        let id = self.identity().id();
        id.with_context(|| format!("the identity of {}", self.label))
    }
}

impl Identity {
    /// Hashes it (FNV-1a, 64 bits) and writes the hash in hexadecimal digits.
    ///
    /// # Errors
    ///
    /// When it has no form in JSON, which is what is hashed.
    pub fn id(&self) -> Result<String> {
        let mut hasher = FnvHasher::default();
        hasher.write(&serde_json::to_vec(self)?);
        Ok(format!("{:016x}", hasher.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        let cases = [
            ("", 0xCBF2_9CE4_8422_2325),
            ("a", 0xAF63_DC4C_8601_EC8C),
            ("foobar", 0x8594_4171_F739_67E8),
        ];
        for (text, hash) in cases {
            let mut hasher = FnvHasher::default();
            hasher.write(text.as_bytes());
            assert_eq!(hasher.finish(), hash, "{text}");
        }
    }
}

//! The runs of an experiment.

use anyhow::{Result, bail};

use crate::run::Run;
use crate::spec::{Budget, Experiment, Length, Settings, Spec};

impl Run {
    /// Works out `spec` of `experiment` under `settings`, with their seed, on a text with
    /// fingerprint `text`.
    ///
    /// # Errors
    ///
    /// When its settings are out of their range, its model cannot be built or cannot grow that way,
    /// or it is to cost what a run costs that does not exist.
    pub fn of(
        experiment: &Experiment,
        spec: &Spec,
        settings: &Settings,
        text: &str,
        length: Length,
    ) -> Result<Self> {
        let mut own = settings.laid(&format!("run `{}`", spec.name), &spec.settings)?;
        if length == Length::Short {
            own = own.shortened();
        }
        let flops = match &spec.budget {
            Budget::Steps => None,
            Budget::FlopsOf(other) => {
                let other = experiment.spec(other)?;
                if other.budget != Budget::Steps {
                    let (run, other) = (&spec.name, &other.name);
                    bail!(
                        "run `{run}` is to cost what `{other}` costs, which has such a budget itself"
                    );
                }
                let other = Self::of(experiment, other, settings, text, length)?;
                Some(other.flops(other.steps))
            }
        };
        Self::new(spec.clone(), own, text, flops)
    }

    /// Works out `specs` for each of the seeds, one seed after the other.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn all(
        experiment: &Experiment,
        specs: &[&Spec],
        settings: &Settings,
        seeds: &[u64],
        text: &str,
        length: Length,
    ) -> Result<Vec<Self>> {
        let mut runs = Vec::new();
        for seed in seeds {
            let settings = Settings {
                seed: *seed,
                ..settings.clone()
            };
            for spec in specs {
                runs.push(Self::of(experiment, spec, &settings, text, length)?);
            }
        }
        Ok(runs)
    }
}

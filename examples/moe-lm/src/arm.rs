//! What is compared: the arms, as data.

use core::fmt;

use burn_grow::{
    Blueprint, Expansion, Plan, Rewarmup, RewarmupScope, Scaling, StatePolicy, saved_flops,
    training_flops,
};
use serde::{Deserialize, Serialize};

use crate::config::{AgeSetting, Settings};
use crate::error::DemoError;
use crate::language_model;
use crate::schedule::WarmupCosine;

/// The names of the arms.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum ArmName {
    /// The small model.
    Small,
    /// The small model, for as much compute as the grown ones.
    SmallLonger,
    /// The wide model, for as much compute as the grown ones.
    FromScratch,
    /// Growth that keeps the function and copies the optimizer state.
    NaiveCopy,
    /// The same with every coordinate re-warmed.
    LockedControl,
    /// The method.
    Sparkling,
}

impl ArmName {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] = [
        Self::Small,
        Self::SmallLonger,
        Self::FromScratch,
        Self::NaiveCopy,
        Self::LockedControl,
        Self::Sparkling,
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::SmallLonger => "small-longer",
            Self::FromScratch => "from-scratch",
            Self::NaiveCopy => "naive-copy",
            Self::LockedControl => "locked-control",
            Self::Sparkling => "sparkling",
        }
    }

    /// What the arm does.
    pub fn arm(self) -> &'static Arm {
        &ARMS[self as usize]
    }
}

impl fmt::Display for ArmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One of the runs that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// Its name.
    pub name: ArmName,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Whether it starts with the wide model.
    pub wide: bool,
    /// How long it trains.
    pub budget: Budget,
    /// How it grows, if it does.
    pub growth: Option<Grown>,
}

/// How long an arm trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// All steps.
    Steps,
    /// As many steps as cost what a grown arm costs.
    GrownFlops,
}

/// How an arm grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grown {
    /// How the consumers are rescaled.
    pub scaling: Scaling,
    /// What becomes of the optimizer state.
    pub state: StatePolicy,
    /// Which coordinates are re-warmed, if any.
    pub rewarmup: Option<RewarmupScope>,
}

/// The arms. Grown ones share the first half of the small one.
pub const ARMS: [Arm; 6] = [
    Arm {
        name: ArmName::Small,
        about: "no growth",
        wide: false,
        budget: Budget::Steps,
        growth: None,
    },
    Arm {
        name: ArmName::SmallLonger,
        about: "no growth, equal FLOPs",
        wide: false,
        budget: Budget::GrownFlops,
        growth: None,
    },
    Arm {
        name: ArmName::FromScratch,
        about: "wide from the start, equal FLOPs",
        wide: true,
        budget: Budget::GrownFlops,
        growth: None,
    },
    Arm {
        name: ArmName::NaiveCopy,
        about: "function kept, state copied",
        wide: false,
        budget: Budget::Steps,
        growth: Some(Grown {
            scaling: Scaling::FunctionPreserving,
            state: StatePolicy::CopyAll,
            rewarmup: None,
        }),
    },
    Arm {
        name: ArmName::LockedControl,
        about: "state copied, everything re-warmed",
        wide: false,
        budget: Budget::Steps,
        growth: Some(Grown {
            scaling: Scaling::FunctionPreserving,
            state: StatePolicy::CopyAll,
            rewarmup: Some(RewarmupScope::All),
        }),
    },
    Arm {
        name: ArmName::Sparkling,
        about: "state zeroed and rate re-warmed where new",
        wide: false,
        budget: Budget::Steps,
        growth: Some(Grown {
            scaling: Scaling::RmsPreserving,
            state: StatePolicy::KeepAndZero,
            rewarmup: Some(RewarmupScope::NewCoordinates),
        }),
    },
];

impl Arm {
    /// The optimizer steps it takes.
    pub fn steps(&self, settings: &Settings, sizes: &Sizes) -> usize {
        match self.budget {
            Budget::Steps => settings.steps,
            Budget::GrownFlops => {
                let step = training_flops(self.start(sizes).active, settings.step_tokens() as f64);
                (sizes.grown_flops(settings, settings.steps) / step).round() as usize
            }
        }
    }

    /// The epochs that takes, the last one perhaps shorter.
    pub fn epochs(&self, settings: &Settings, sizes: &Sizes) -> usize {
        self.steps(settings, sizes).div_ceil(settings.epoch_steps())
    }

    /// The FLOPs of its first `steps` steps.
    pub fn flops(&self, settings: &Settings, sizes: &Sizes, steps: usize) -> f64 {
        match self.growth {
            Some(_) => sizes.grown_flops(settings, steps),
            None => {
                let tokens = (steps * settings.step_tokens()) as f64;
                training_flops(self.start(sizes).active, tokens)
            }
        }
    }

    /// The model it starts with.
    pub fn start(&self, sizes: &Sizes) -> Size {
        match self.wide {
            true => sizes.wide,
            false => sizes.narrow,
        }
    }

    /// The model it ends with.
    pub fn end(&self, sizes: &Sizes) -> Size {
        match self.growth {
            Some(_) => sizes.wide,
            None => self.start(sizes),
        }
    }

    /// What it does at the expansion, if it grows.
    pub fn expansion(&self, settings: &Settings) -> Option<Expansion> {
        self.growth
            .map(|grown| settings.expansion().with_scaling(grown.scaling))
    }

    /// Its learning rate.
    pub fn schedule(&self, settings: &Settings, sizes: &Sizes) -> WarmupCosine {
        let optimizer = &settings.optimizer;
        let ratio = match self.wide {
            true => optimizer.from_scratch_ratio,
            false => 1.0,
        };
        WarmupCosine::new(
            optimizer.peak_rate * ratio,
            self.steps(settings, sizes),
            optimizer.warmup,
            optimizer.final_ratio,
        )
    }
}

impl Grown {
    /// The re-warmup, on top of `schedule`.
    pub fn rewarmup(&self, settings: &Settings, schedule: &WarmupCosine) -> Option<Rewarmup> {
        self.rewarmup.map(|scope| {
            let rewarmup = Rewarmup::cosine(schedule.min())
                .with_rho(settings.rho)
                .with_steps(settings.rewarmup_steps())
                .with_scope(scope);
            let optimizer = &settings.optimizer;
            match (optimizer.age, self.state) {
                // Where the state is copied, so is its age.
                (AgeSetting::Own, StatePolicy::KeepAndZero) => {
                    rewarmup.with_own_age(optimizer.beta_1.into(), optimizer.beta_2.into())
                }
                _ => rewarmup,
            }
        })
    }
}

/// How large a model is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    /// Its parameters.
    pub params: usize,
    /// Those that take part in one token.
    pub active: f64,
}

/// How large the models are that a run compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Before the expansion.
    pub narrow: Size,
    /// After it.
    pub wide: Size,
}

impl Sizes {
    /// Those of `settings`.
    ///
    /// # Errors
    ///
    /// When the model cannot be built, or cannot grow that way.
    pub fn of(settings: &Settings) -> Result<Self, DemoError> {
        let model = language_model::initial(settings, false)?;
        let plan = Plan::new(&Blueprint::of(&model)?, &settings.expansion())?;
        let (params, active) = (plan.num_params(), plan.active_params());
        Ok(Self {
            narrow: Size {
                params: params.0,
                active: active.0,
            },
            wide: Size {
                params: params.1,
                active: active.1,
            },
        })
    }

    /// The FLOPs of the first `steps` steps of a grown arm.
    pub fn grown_flops(&self, settings: &Settings, steps: usize) -> f64 {
        self.segments(settings, steps)
            .map(|(active, tokens)| training_flops(active, tokens))
            .iter()
            .sum()
    }

    /// The fraction of FLOPs that growing saves against the wide model from scratch on as many tokens.
    pub fn saved(&self, settings: &Settings) -> f64 {
        saved_flops(&self.segments(settings, settings.steps))
    }

    /// Active parameters and tokens before and after the expansion.
    fn segments(&self, settings: &Settings, steps: usize) -> [(f64, f64); 2] {
        let narrow = steps.min(settings.expand_at());
        let tokens = |steps: usize| (steps * settings.step_tokens()) as f64;
        [
            (self.narrow.active, tokens(narrow)),
            (self.wide.active, tokens(steps - narrow)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_names() {
        for (name, arm) in ArmName::ALL.into_iter().zip(&ARMS) {
            assert_eq!(name, arm.name);
            assert_eq!(name.arm().name, name);
        }
    }

    #[test]
    fn the_sizes_are_those_of_the_reference_setting() {
        let sizes = Sizes::of(&Settings::default()).expect("a valid model");
        // Matrices, then the gains of the norms.
        assert_eq!(sizes.narrow.active, 31_232.0 + 224.0);
        assert_eq!(sizes.wide.active, 74_752.0 + 384.0);
        assert!((sizes.saved(&Settings::default()) - 0.2907).abs() < 1e-4);
    }

    #[test]
    fn budgets_of_equal_flops_are_equal_to_one_step() {
        let settings = Settings {
            steps: 8000,
            ..Settings::default()
        };
        let sizes = Sizes::of(&settings).expect("a valid model");
        let grown = sizes.grown_flops(&settings, settings.steps);
        for arm in &ARMS {
            let steps = arm.steps(&settings, &sizes);
            let flops = arm.flops(&settings, &sizes, steps);
            if arm.name == ArmName::Small {
                assert_eq!(steps, settings.steps);
                continue;
            }
            let step = training_flops(sizes.wide.active, settings.step_tokens() as f64);
            assert!((flops - grown).abs() <= step / 2.0, "{}", arm.name);
        }
        assert_eq!(ArmName::SmallLonger.arm().steps(&settings, &sizes), 13_554);
        assert_eq!(ArmName::FromScratch.arm().steps(&settings, &sizes), 5_675);
    }
}

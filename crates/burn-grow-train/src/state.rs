use burn_core as burn;
use burn_core::module::{Module, Param, ParamId};
use burn_core::store::{ModuleRecord, RecordError};
use burn_core::tensor::{Device, Int, Tensor, TensorData};

use crate::Position;
use crate::history::EpochRecord;
use crate::marks::{Grown, Marks};

/// The name of the clock in a record.
pub(crate) const CLOCK: &str = "burn_grow_clock";
/// The name of what happened before, in a record that has any.
pub(crate) const HISTORY: &str = "burn_grow_history";
/// What the clock counts: steps, expansions, and the words of the history.
const COUNTS: usize = 3;

/// What a run remembers, and a checkpoint holds besides the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) clock: Position,
    /// After how many optimizer steps each expansion was taken.
    pub(crate) taken: Vec<usize>,
    /// The base rate at the first step after the last expansion.
    pub(crate) start: Option<f64>,
    /// The RMS of what the last expansion grew, before the first step after, where a metric asks for it.
    pub(crate) rms: Option<f64>,
    /// The watched metrics of every epoch since the last expansion.
    pub(crate) epochs: Vec<EpochRecord>,
}

impl State {
    /// Counts an expansion; one that added no coordinates leaves the last re-warmup going.
    pub(crate) fn expanded(&mut self, grown: bool) {
        if grown {
            self.start = None;
            self.rms = None;
        }
        self.clock.stage += 1;
        self.taken.push(self.clock.step);
        // No later decision looks at what came before an expansion.
        self.epochs.clear();
    }

    /// Adds the metrics of an epoch if it ended just now, once.
    pub(crate) fn record(&mut self, record: &EpochRecord) {
        let last = self.epochs.last().map(|last| last.step);
        let expanded = self.taken.last() == Some(&record.step);
        if record.step == self.clock.step && last != Some(record.step) && !expanded {
            self.epochs.push(record.clone());
        }
    }

    /// The state as parameters: the clock, and the rest once there is any.
    pub(crate) fn params(&self, marks: &Marks) -> Params {
        let history = self.words(marks);
        let clock = [self.clock.step, self.clock.stage, history.len()];
        Params {
            clock: param(0, clock.map(|value| value as i64).to_vec()),
            history: (!history.is_empty()).then(|| param(1, history)),
        }
    }

    /// Reads the state of a record and nothing else.
    pub(crate) fn of_record(record: &ModuleRecord, marks: &Marks) -> Result<Self, RecordError> {
        #[derive(Module, Debug)]
        struct OnlyClock {
            burn_grow_clock: Param<Tensor<1, Int>>,
        }
        #[derive(Module, Debug)]
        struct OnlyHistory {
            burn_grow_history: Param<Tensor<1, Int>>,
        }
        let only = OnlyClock {
            burn_grow_clock: zeros(0, COUNTS),
        };
        let only = only
            .try_load_record(record.clone().allow_unused(true))
            .map_err(|error| {
                RecordError::Validation(format!(
                    "the record holds no step count ({error}): it was not saved by a model wrapped \
                     with `WidthExpansionCallback::wrap`"
                ))
            })?;
        let clock = words(&only.burn_grow_clock);
        let count = |index: usize| {
            let count = clock
                .get(index)
                .and_then(|word| usize::try_from(*word).ok());
            count.ok_or_else(|| RecordError::Validation("the clock counts below zero".into()))
        };
        let mut state = Self {
            clock: Position {
                step: count(0)?,
                stage: count(1)?,
            },
            ..Self::default()
        };
        let len = count(2)?;
        if len > 0 {
            let only = OnlyHistory {
                burn_grow_history: zeros(1, len),
            };
            let only = only.try_load_record(record.clone().allow_unused(true))?;
            let grown = state.read(&words(&only.burn_grow_history), marks);
            let grown = grown.ok_or_else(|| {
                RecordError::Validation(format!("`{HISTORY}` is not what a run remembers"))
            })?;
            // A callback that plans fewer expansions is told so where the steps are compared.
            if let Some(ours) = marks
                .grown(state.taken.len())
                .filter(|_| !state.taken.is_empty())
            {
                let differs = |problem: &str| RecordError::Validation(problem.into());
                grown.check(ours).map_err(differs)?;
            }
        }
        match state.taken.len() == state.clock.stage {
            true => Ok(state),
            false => Err(RecordError::Validation(format!(
                "the record counts {} expansions, but holds the steps of {}",
                state.clock.stage,
                state.taken.len()
            ))),
        }
    }

    /// All but the clock, in words of 32 bits: what every device's integers hold.
    fn words(&self, marks: &Marks) -> Vec<i64> {
        if self.taken.is_empty() && self.epochs.is_empty() {
            return Vec::new();
        }
        let count = |count: usize| count as i64;
        let mut words = vec![count(self.taken.len())];
        words.extend(self.taken.iter().copied().map(count));
        for number in [self.start, self.rms] {
            words.push(i64::from(number.is_some()));
            words.extend(number.map(halves).into_iter().flatten());
        }
        let grown = marks.grown(self.taken.len());
        words.extend(grown.map_or([0; 2], |grown| [grown.plans, grown.rewarmup]));
        words.extend([marks.series.0, count(marks.series.1)]);
        words.push(count(self.epochs.len()));
        for record in &self.epochs {
            words.extend([count(record.epoch), count(record.step)]);
            words.extend(record.values.iter().copied().flat_map(halves));
        }
        words
    }

    /// Fills in all but the clock, and says how the record's run grew.
    fn read(&mut self, words: &[i64], marks: &Marks) -> Option<Grown> {
        let mut words = Words(words.iter());
        for _ in 0..words.count()? {
            self.taken.push(words.count()?);
        }
        for number in [&mut self.start, &mut self.rms] {
            if words.count()? > 0 {
                *number = Some(words.number()?);
            }
        }
        let grown = Grown {
            plans: words.next()?,
            rewarmup: words.next()?,
        };
        let recorded = (words.next()?, words.count()?);
        for _ in 0..words.count()? {
            let (epoch, step) = (words.count()?, words.count()?);
            let values = (0..recorded.1).map(|_| words.number());
            self.epochs.push(EpochRecord {
                epoch,
                step,
                values: values.collect::<Option<_>>()?,
            });
        }
        if !self.epochs.is_empty() && recorded != marks.series {
            // Other triggers than before decide from here on, on what they see from here on.
            log::warn!("the record holds values of other metrics than the triggers watch");
            self.epochs.clear();
        }
        words.0.next().is_none().then_some(grown)
    }
}

/// A [`State`] as a record holds it.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    pub(crate) clock: Param<Tensor<1, Int>>,
    pub(crate) history: Option<Param<Tensor<1, Int>>>,
}

/// A parameter that makes no tensor until someone reads it.
///
/// Its identity is always the same, so that a record of the same state is the same bytes.
fn param(id: u64, values: Vec<i64>) -> Param<Tensor<1, Int>> {
    let len = values.len();
    let values =
        move |device: &Device, _| Tensor::from_data(TensorData::new(values, [len]), device);
    Param::uninitialized(
        ParamId::from(id),
        values,
        Device::default(),
        false,
        [len].into(),
    )
}

fn zeros(id: u64, len: usize) -> Param<Tensor<1, Int>> {
    let zeros = move |device: &Device, _| Tensor::zeros([len], device);
    Param::uninitialized(
        ParamId::from(id),
        zeros,
        Device::default(),
        false,
        [len].into(),
    )
}

fn words(param: &Param<Tensor<1, Int>>) -> Vec<i64> {
    param.val().into_data().iter::<i64>().collect()
}

struct Words<'a>(core::slice::Iter<'a, i64>);

impl Words<'_> {
    fn next(&mut self) -> Option<i64> {
        self.0.next().copied()
    }

    fn count(&mut self) -> Option<usize> {
        self.next().and_then(|word| usize::try_from(word).ok())
    }

    fn number(&mut self) -> Option<f64> {
        let [high, low] = [self.next()?, self.next()?].map(|half| u64::from(half as i32 as u32));
        Some(f64::from_bits(high << 32 | low))
    }
}

/// The bits of a number as two integers of 32 bits.
fn halves(value: f64) -> [i64; 2] {
    let bits = value.to_bits();
    [(bits >> 32) as u32, bits as u32].map(|half| i64::from(half as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WatchedMetric;

    #[test]
    fn a_state_is_read_back_bit_for_bit() {
        let series = [
            WatchedMetric::valid("Loss"),
            WatchedMetric::train("Accuracy"),
        ];
        let record = |epoch, values: [f64; 2]| EpochRecord {
            epoch,
            step: epoch * 10,
            values: values.to_vec(),
        };
        let state = State {
            clock: Position { step: 40, stage: 2 },
            taken: vec![7, 12],
            start: Some(-1.0 / 3.0),
            rms: Some(core::f64::consts::E),
            epochs: vec![
                record(2, [core::f64::consts::PI, f64::MIN_POSITIVE]),
                record(3, [-0.0, f64::INFINITY]),
            ],
        };
        let marks = Marks::new(&series, &[], &[], 40);
        let words = state.words(&marks);
        assert!(words.iter().all(|word| i32::try_from(*word).is_ok()));
        let read = |words: &[i64], marks: &Marks| {
            let mut read = State {
                clock: state.clock,
                ..State::default()
            };
            read.read(words, marks).map(|_| read)
        };
        assert_eq!(read(&words, &marks), Some(state.clone()));
        // Values of other metrics are no history of these.
        let fewer = Marks::new(&series[..1], &[], &[], 40);
        let other = read(&words, &fewer).expect("readable");
        assert_eq!((other.taken, other.epochs), (state.taken.clone(), vec![]));
        for len in 0..words.len() {
            assert_eq!(read(&words[..len], &marks), None);
        }
        assert_eq!(read(&[words, vec![0]].concat(), &marks), None);
        assert!(State::default().words(&marks).is_empty());
    }
}

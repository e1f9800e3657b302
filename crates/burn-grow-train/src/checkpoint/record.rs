//! The record of a run inside a checkpoint: one JSON document, with a version.
//!
//! ```json
//! {
//!   "format": "burn-grow", "version": 1,
//!   "step": 12,
//!   "expansions": [{
//!     "step": 6,
//!     "plan": {
//!       "axes": { "inner": { "from": 4, "to": 8, "method": { "sparkling": { .. } } } },
//!       "seed": 0, "fingerprint": "f00ba400f00ba400"
//!     },
//!     "rewarmup": { "schedule": { "cosine": { "min_lr": 0.0 } }, "rho": 1.3, .. }
//!   }],
//!   "base_rate": 0.01, "rms": null,
//!   "metrics": [{ "metric": "Loss", "split": "valid" }],
//!   "epochs": [{ "epoch": 2, "step": 12, "values": [0.75] }]
//! }
//! ```
//!
//! Numbers that JSON lacks, NaN and infinities, are strings of the 16 hexadecimal digits of their
//! bits. Every published version has to load in all later releases: a change of the document raises
//! [`VERSION`], and the old document is still read beside the new one.

use serde::{Deserialize, Serialize};

use super::error::CheckpointError;
use super::marks::{Marks, TakenMark, count};
use super::state::State;
use crate::trigger::EpochRecord;
use crate::{Position, WatchedMetric};

const FORMAT: &str = "burn-grow";
/// The version that is written, and the only one so far.
pub(crate) const VERSION: u64 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u64,
    #[serde(deserialize_with = "count")]
    step: usize,
    expansions: Vec<TakenMark>,
    base_rate: Option<Float>,
    rms: Option<Float>,
    metrics: Vec<WatchedMetric>,
    epochs: Vec<Epoch>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Epoch {
    #[serde(deserialize_with = "count")]
    epoch: usize,
    #[serde(deserialize_with = "count")]
    step: usize,
    values: Vec<Float>,
}

/// A number that JSON may not have.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
struct Float(f64);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Bits(String),
}

impl From<Float> for Written {
    fn from(Float(value): Float) -> Self {
        if value.is_finite() {
            Self::Number(value)
        } else {
            Self::Bits(format!("{:016x}", value.to_bits()))
        }
    }
}

impl TryFrom<Written> for Float {
    type Error = core::num::ParseIntError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Number(value) => Ok(Self(value)),
            Written::Bits(bits) => u64::from_str_radix(&bits, 16).map(f64::from_bits).map(Self),
        }
    }
}

/// Writes what `state` remembers, with the marks of the expansions that were taken.
pub(crate) fn encode(state: &State, marks: &Marks) -> Vec<u8> {
    let epochs = state.epochs.iter().map(|record| Epoch {
        epoch: record.epoch,
        step: record.step,
        values: record.values.iter().copied().map(Float).collect(),
    });
    let document = Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        step: state.position.step,
        expansions: marks.taken(&state.taken),
        base_rate: state.base_rate.map(Float),
        rms: state.rms.map(Float),
        metrics: marks.metrics.clone(),
        epochs: epochs.collect(),
    };
    // Finite numbers, strings and lists: nothing of it fails to be written.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// Reads what [`encode`] wrote, of a run whose expansions were those of `marks`.
///
/// # Errors
///
/// When there is no such document, it has another version, it is damaged, or its run took other
/// expansions.
pub(crate) fn decode(text: &[u8], marks: &Marks) -> Result<State, CheckpointError> {
    if text.is_empty() {
        return Err(CheckpointError::NoRun);
    }
    let header: Header = serde_json::from_slice(text).map_err(CheckpointError::Run)?;
    if header.format != FORMAT {
        return Err(CheckpointError::NoRun);
    }
    if header.version != VERSION {
        return Err(CheckpointError::Version {
            found: header.version,
            supported: VERSION,
        });
    }
    let document: Document = serde_json::from_slice(text).map_err(CheckpointError::Run)?;
    marks.check(&document.expansions)?;
    let mut state = State {
        position: Position {
            step: document.step,
            stage: document.expansions.len(),
        },
        taken: document.expansions.iter().map(|taken| taken.step).collect(),
        base_rate: document.base_rate.map(|Float(value)| value),
        rms: document.rms.map(|Float(value)| value),
        epochs: Vec::new(),
    };
    let metrics = document.metrics.len();
    if document.metrics == marks.metrics {
        let epochs = document.epochs.into_iter().map(|record| EpochRecord {
            epoch: record.epoch,
            step: record.step,
            values: record.values.iter().map(|Float(value)| *value).collect(),
        });
        state.epochs = epochs.collect();
    } else if !document.epochs.is_empty() {
        // Other triggers than before decide from here on, on what they see from here on.
        log::warn!("the checkpoint holds values of other metrics than the triggers watch");
    }
    match state.epochs.iter().find(|it| it.values.len() != metrics) {
        Some(record) => Err(CheckpointError::Values {
            epoch: record.epoch,
            found: record.values.len(),
            expected: metrics,
        }),
        None => Ok(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::Lengths;

    fn watched() -> [WatchedMetric; 2] {
        [
            WatchedMetric::valid("Loss"),
            WatchedMetric::train("Accuracy"),
        ]
    }

    fn marks(metrics: &[WatchedMetric]) -> Marks {
        Marks::new(metrics, [], &Lengths::default()).expect("nothing to write")
    }

    fn state() -> State {
        let record = |epoch, values: [f64; 2]| EpochRecord {
            epoch,
            step: epoch * 10,
            values: values.to_vec(),
        };
        State {
            position: Position { step: 40, stage: 0 },
            taken: Vec::new(),
            base_rate: Some(-1.0 / 3.0),
            rms: Some(f64::from_bits(0xfff8_0000_0000_beef)),
            epochs: vec![
                record(2, [core::f64::consts::PI, f64::MIN_POSITIVE]),
                record(3, [-0.0, f64::NEG_INFINITY]),
                record(4, [5e-324, 3.0]),
            ],
        }
    }

    /// NaN does not equal itself.
    fn bits(state: &State) -> (Vec<usize>, Vec<u64>) {
        let epochs = state.epochs.iter();
        let values = epochs.flat_map(|record| record.values.clone());
        let values = state.base_rate.into_iter().chain(state.rms).chain(values);
        (state.taken.clone(), values.map(f64::to_bits).collect())
    }

    #[test]
    fn a_state_is_read_back_bit_for_bit() {
        let marks = marks(&watched());
        let text = encode(&state(), &marks);
        let read = decode(&text, &marks).expect("readable");
        assert_eq!(read.position, state().position);
        assert_eq!(bits(&read), bits(&state()));
        // As the last page is filled up.
        assert!(decode(&[text.clone(), b"   ".to_vec()].concat(), &marks).is_ok());
        for len in 0..text.len() {
            assert!(decode(&text[..len], &marks).is_err(), "{len}");
        }
    }

    #[test]
    fn values_of_other_metrics_are_forgotten() {
        let text = encode(&state(), &marks(&watched()));
        let other = decode(&text, &marks(&watched()[..1])).expect("readable");
        assert_eq!((other.position, other.epochs), (state().position, vec![]));
    }

    #[test]
    fn another_version_or_format_is_a_typed_error() {
        let marks = marks(&[]);
        let text = String::from_utf8(encode(&State::default(), &marks)).expect("text");
        let changed = |from: &str, to: &str| {
            assert!(text.contains(from), "{text}");
            decode(text.replacen(from, to, 1).as_bytes(), &marks).expect_err("rejected")
        };
        let newer = changed(r#""version":1"#, r#""version":2,"more":[]"#);
        assert!(
            matches!(
                newer,
                CheckpointError::Version {
                    found: 2,
                    supported: 1
                }
            ),
            "{newer}"
        );
        assert!(newer.to_string().contains("version 2"), "{newer}");
        let foreign = changed(r#""burn-grow""#, r#""ember""#);
        assert!(matches!(foreign, CheckpointError::NoRun), "{foreign}");
        let unknown = changed(r#""step":0"#, r#""step":0,"pace":1"#);
        assert!(matches!(unknown, CheckpointError::Run(_)), "{unknown}");
        let none = decode(b"", &marks).expect_err("rejected");
        assert!(matches!(none, CheckpointError::NoRun), "{none}");
    }
}

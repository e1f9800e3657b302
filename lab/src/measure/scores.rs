//! How often the next byte is right, where it takes something to know it.
//!
//! Every byte of a held-out window is predicted from the true ones before it, as the most probable
//! one. What is scored apart is defined on raw bytes: there is no parser, so that what stands in
//! comments and strings counts as what stands in code.

use burn::tensor::{Int, Tensor};
use burn_grow::moe::MoeTransformer;
use serde::{Deserialize, Serialize};

use crate::text::HeldOut;

/// Right predictions, out of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hits {
    /// The right ones.
    pub right: u64,
    /// All.
    pub of: u64,
}

impl Hits {
    /// Gives the right ones as a fraction of all, if there are any.
    pub fn fraction(self) -> Option<f64> {
        (self.of > 0).then(|| self.right as f64 / self.of as f64)
    }

    fn add(&mut self, right: bool) {
        self.right += u64::from(right);
        self.of += 1;
    }
}

/// How often the next byte was right.
///
/// An identifier is a longest run of ASCII letters, digits and `_` that begins with no digit:
/// keywords and words are some, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// At all bytes.
    pub next_byte: Hits,
    /// At the first byte of an identifier: which one comes.
    pub identifier_start: Hits,
    /// At the byte after the last one of an identifier: that it ends, and with what.
    pub identifier_end: Hits,
    /// At closing brackets, `)`, `]` and `}`, that close one opened in the window. A bracket closes
    /// the last open one of its kind; what was opened after that and not closed is forgotten.
    pub closing: Hits,
    /// Inside identifiers of four bytes or more that were in the window before, from the third byte
    /// on. Those that an edge of the window cuts do not count.
    pub copy: Hits,
}

/// The bytes of the shortest identifier that is looked for again.
const NAME: usize = 4;

/// The bytes of it that say which one it is.
const KNOWN: usize = 2;

/// Scores `model` on held-out windows.
pub fn scores(model: &MoeTransformer, windows: &HeldOut) -> Scores {
    let mut scores = Scores::default();
    for batch in windows.batches() {
        let [_, context] = batch.tokens.dims();
        let predicted = model.forward(batch.tokens.clone()).logits.argmax(2);
        let predicted = host(predicted.squeeze_dim(2));
        let (tokens, targets) = (host(batch.tokens), host(batch.targets));
        let rows = tokens.chunks(context).zip(targets.chunks(context));
        for ((tokens, targets), predicted) in rows.zip(predicted.chunks(context)) {
            let mut window = tokens[..1].to_vec();
            window.extend(targets);
            scores.merge(&count(&window, predicted));
        }
    }
    scores
}

/// Reads the bytes of `[batch, seq]`, row after row. The settings allow no other ids.
fn host(tokens: Tensor<2, Int>) -> Vec<u8> {
    tokens.into_data().iter::<u8>().collect()
}

impl Scores {
    /// Adds the counts of other windows.
    fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.next_byte, other.next_byte),
            (&mut self.identifier_start, other.identifier_start),
            (&mut self.identifier_end, other.identifier_end),
            (&mut self.closing, other.closing),
            (&mut self.copy, other.copy),
        ];
        for (to, from) in pairs {
            to.right += from.right;
            to.of += from.of;
        }
    }
}

/// Scores a window whose bytes after the first are `predicted`.
///
/// # Panics
///
/// When there are not as many of them.
fn count(window: &[u8], predicted: &[u8]) -> Scores {
    assert_eq!(
        predicted.len() + 1,
        window.len(),
        "one prediction for each byte after the first"
    );
    let mut scores = Scores::default();
    let right = |at: usize| predicted[at - 1] == window[at];
    for at in 1..window.len() {
        scores.next_byte.add(right(at));
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for (begin, end) in identifiers(window) {
        if begin > 0 {
            scores.identifier_start.add(right(begin));
        }
        if end < window.len() {
            scores.identifier_end.add(right(end));
        }
        let name = &window[begin..end];
        let whole = begin > 0 && end < window.len();
        if !whole || name.len() < NAME {
            continue;
        }
        if names.contains(&name) {
            (begin + KNOWN..end).for_each(|at| scores.copy.add(right(at)));
        } else {
            names.push(name);
        }
    }
    for at in closings(window) {
        scores.closing.add(right(at));
    }
    scores
}

/// Where identifiers begin and end, in order.
fn identifiers(window: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut begin = 0;
    for word in window.chunk_by(|a, b| is_word(*a) == is_word(*b)) {
        let end = begin + word.len();
        if is_word(word[0]) && !word[0].is_ascii_digit() {
            found.push((begin, end));
        }
        begin = end;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where a bracket closes one that was opened in the window.
fn closings(window: &[u8]) -> Vec<usize> {
    let mut open = Vec::new();
    let mut found = Vec::new();
    for (at, byte) in window.iter().enumerate() {
        let opening = match byte {
            b'(' | b'[' | b'{' => {
                open.push(*byte);
                continue;
            }
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            _ => continue,
        };
        if let Some(last) = open.iter().rposition(|byte| *byte == opening) {
            open.truncate(last);
            found.push(at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::Device;
    use burn_grow::moe::MoeConfig;

    use super::*;
    use crate::spec::Settings;
    use crate::text::Corpus;

    fn share(right: u64, of: u64) -> Hits {
        Hits { right, of }
    }

    /// Predictions that differ from the text where `wrong` has no blank.
    fn scored(text: &str, wrong: &str) -> Scores {
        let predicted: Vec<u8> = text
            .bytes()
            .zip(wrong.bytes())
            .skip(1)
            .map(|(byte, wrong)| if wrong == b' ' { byte } else { 0 })
            .collect();
        count(text.as_bytes(), &predicted)
    }

    #[test]
    fn scores_are_what_is_counted_by_hand() {
        let text = "\nlet total = f(x1, 2b); total";
        let miss = "     ^    ^   ^         ^  ^ ";
        assert_eq!(text.len(), miss.len());
        let expected = Scores {
            // All but the first byte, and five misses.
            next_byte: share(23, 28),
            // let, total, f, x1, total: both of total's are missed. `2b` is a number.
            identifier_start: share(3, 5),
            // let, total, f, x1: missed after total and after f. The last one ends the window.
            identifier_end: share(2, 4),
            closing: share(1, 1),
            // The window cuts the second total.
            copy: share(0, 0),
        };
        assert_eq!(scored(text, miss), expected);
    }

    #[test]
    fn names_count_from_their_third_byte_once_they_were_seen_whole() {
        let cases = [
            ("\nalpha alpha ", "         ^^  ", share(1, 3)),
            // The same name a third time counts again.
            ("\nname+name+name;", "            ^   ", share(4, 4)),
            ("\nname+name+name;", "        ^    ^  ", share(2, 4)),
            // Another name, a shorter one, one that another begins with, a number.
            (
                "\nname nome abc abc names 1234 1234 ",
                "                                   ",
                share(0, 0),
            ),
            // What an edge cuts is no name.
            ("name name name", "              ", share(0, 0)),
            ("name name name ", "               ", share(2, 2)),
        ];
        for (text, miss, copy) in cases {
            assert_eq!(scored(text, miss).copy, copy, "{text:?}");
        }
    }

    #[test]
    fn brackets_count_where_they_close_what_was_opened() {
        let cases = [
            ("a) (b) ]", "   ^    ", share(1, 1)),
            ("f([{}])", "     ^ ", share(2, 3)),
            // The parenthesis of the text is never closed, and forgotten by the brace.
            ("{ '(' }) ", "      ^  ", share(0, 1)),
            ("(]", "  ", share(0, 0)),
        ];
        for (text, miss, closing) in cases {
            assert_eq!(scored(text, miss).closing, closing, "{text:?}");
        }
    }

    /// Rust source of no other use.
    fn source() -> &'static [u8] {
        include_bytes!("scores.rs")
    }

    fn all(scores: &Scores) -> [Hits; 5] {
        [
            scores.next_byte,
            scores.identifier_start,
            scores.identifier_end,
            scores.closing,
            scores.copy,
        ]
    }

    #[test]
    fn perfect_predictions_are_always_right_and_a_constant_byte_is_right_as_often_as_it_occurs() {
        let text = source();
        let perfect = count(text, &text[1..]);
        for share in all(&perfect) {
            assert!(share.of > 0);
            assert_eq!(share.fraction(), Some(1.0));
        }
        let times = |byte: u8| text[1..].iter().filter(|other| **other == byte).count() as u64;
        for byte in [b' ', b'e', b')'] {
            let constant = count(text, &vec![byte; text.len() - 1]);
            assert_eq!(
                constant.next_byte,
                share(times(byte), text.len() as u64 - 1)
            );
            let none = |share: Hits| share.right == 0;
            assert_eq!(none(constant.identifier_start), byte != b'e');
            assert_eq!(none(constant.identifier_end), byte == b'e');
            assert_eq!(none(constant.closing), byte != b')');
            assert_eq!(none(constant.copy), byte != b'e');
            // What is counted does not depend on who predicts.
            let counts = |scores: &Scores| all(scores).map(|share| share.of);
            assert_eq!(counts(&constant), counts(&perfect));
        }
    }

    #[test]
    fn a_window_is_scored_by_itself() {
        let text = b" name name ";
        let alone = count(text, &text[1..]);
        let mut twice = alone;
        twice.merge(&alone);
        assert_eq!(alone.copy, share(2, 2));
        assert_eq!(
            all(&twice),
            all(&alone).map(|s| share(2 * s.right, 2 * s.of))
        );
    }

    #[test]
    fn a_model_is_scored_on_what_it_finds_most_probable() {
        let settings = Settings {
            batch: 2,
            context: 24,
            ..Settings::default()
        };
        let text = source().repeat(12);
        let corpus = Arc::new(Corpus::split(text, 1, 25).expect("long enough"));
        let device = Device::flex();
        let windows = HeldOut::new(corpus, &settings, 6, &device);
        let model = MoeConfig::default().init(&device);
        let found = scores(&model, &windows);

        let mut expected = share(0, 0);
        for batch in windows.batches() {
            let logits = model.forward(batch.tokens).logits.into_data();
            let logits: Vec<f32> = logits.iter::<f32>().collect();
            for (logits, target) in logits
                .chunks(256)
                .zip(batch.targets.into_data().iter::<i64>())
            {
                let best = (0..256).fold(
                    0,
                    |best, id| {
                        if logits[id] > logits[best] { id } else { best }
                    },
                );
                expected.add(best as i64 == target);
            }
        }
        assert_eq!(found.next_byte, expected);
        assert_eq!(expected.of, 6 * 24);
        assert!(found.identifier_start.of > 0);
    }
}

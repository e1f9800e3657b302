//! Numbers of a module that nobody declared, for the check of two widths: fields that are neither
//! parameters nor marked, and the numbers in what they print.

use core::fmt::{self, Debug, Write};

use burn_core::tensor::Tensor;
use burn_core::tensor::kind::Basic;

use super::describer::Describer;
use super::observations::{Observation, Value};

/// The longest text of a field that is looked at. What comes behind it is taken for data.
const MAX_TEXT: usize = 1 << 16;

/// Types whose numbers are data. Only their shape is looked at.
const DATA: [&str; 4] = ["Tensor", "TensorData", "Param", "RunningState"];

impl Describer {
    /// Notes a number that no declaration says anything about, at the present path.
    pub(crate) fn observe(&mut self, value: impl FnOnce() -> f64) {
        let path = || self.path.join(".");
        let observation = self.observations.is_some().then(|| Observation {
            path: path(),
            skipped: None,
            value: Value::Number(value()),
        });
        self.note(observation);
    }

    /// Notes the shape of a tensor that is no parameter, at the present path.
    pub(crate) fn observe_shape(&mut self, dims: impl FnOnce() -> Vec<usize>, skipped: bool) {
        if self.observations.is_none() {
            return;
        }
        let path = self.path();
        let skipped = skipped.then_some(path.len());
        let dims = dims().into_iter().enumerate();
        self.note(dims.map(|(dim, size)| Observation {
            path: path.clone(),
            skipped,
            value: Value::Dimension(dim, size),
        }));
    }

    fn note(&mut self, observations: impl IntoIterator<Item = Observation>) {
        if let Some(all) = &mut self.observations {
            all.0.extend(observations);
        }
    }
}

/// A field that Burn skips, of any type. Generated code calls `observe` on three references to it:
/// the compiler takes the first of the three traits that the type allows.
pub struct Observe<'a, T: ?Sized>(pub &'a T);

/// Looks at a tensor.
pub trait ObserveTensor {
    /// Notes the shape.
    fn observe(&self, describer: &mut Describer);
}

impl<const D: usize, K: Basic> ObserveTensor for &&Observe<'_, Tensor<D, K>> {
    fn observe(&self, describer: &mut Describer) {
        describer.observe_shape(|| self.0.dims().to_vec(), true);
    }
}

impl<const D: usize, K: Basic> ObserveTensor for &&Observe<'_, Option<Tensor<D, K>>> {
    fn observe(&self, describer: &mut Describer) {
        if let Some(tensor) = self.0 {
            describer.observe_shape(|| tensor.dims().to_vec(), true);
        }
    }
}

/// Looks at what prints itself.
pub trait ObserveDebug {
    /// Notes the numbers in the text.
    fn observe(&self, describer: &mut Describer);
}

impl<T: Debug + ?Sized> ObserveDebug for &Observe<'_, T> {
    fn observe(&self, describer: &mut Describer) {
        if describer.observations.is_none() {
            return;
        }
        let mut text = Text(String::new());
        // An error says that the text is too long.
        let _ = write!(text, "{:?}", self.0);
        let path = describer.path();
        let mut reader = Reader {
            rest: &text.0,
            path: vec![path.clone()],
            found: Vec::new(),
        };
        reader.value(false);
        let found = reader.found.into_iter();
        describer.note(found.map(|(found, value)| Observation {
            path: found,
            skipped: Some(path.len()),
            value: Value::Number(value),
        }));
    }
}

/// Passes over anything else.
pub trait ObserveNothing {
    /// Does nothing.
    fn observe(&self, describer: &mut Describer);
}

impl<T: ?Sized> ObserveNothing for Observe<'_, T> {
    fn observe(&self, _describer: &mut Describer) {}
}

/// A text that ends where it becomes too long.
struct Text(String);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Reads what `#[derive(Debug)]` writes: numbers, names, strings, and lists in brackets.
struct Reader<'a> {
    rest: &'a str,
    path: Vec<String>,
    found: Vec<(String, f64)>,
}

/// What a text begins with.
enum Token<'a> {
    Open,
    Close,
    Comma,
    Colon,
    Text(&'a str),
    Word(&'a str),
    Other,
}

impl<'a> Reader<'a> {
    /// Reads one value, up to a comma or the bracket behind it. `data` passes numbers over.
    fn value(&mut self, data: bool) {
        let mut name = "";
        while let Some((token, rest)) = token(self.rest) {
            match token {
                Token::Comma | Token::Close => return,
                Token::Open => {
                    self.rest = rest;
                    self.list(data || DATA.contains(&name));
                }
                Token::Word(word) => {
                    self.rest = rest;
                    if let Some(value) = number(word).filter(|_| !data || self.in_shape()) {
                        self.found.push((self.path.join("."), value));
                    }
                    name = word;
                }
                Token::Colon | Token::Text(_) | Token::Other => self.rest = rest,
            }
        }
    }

    /// Reads the elements of a list, behind its opening bracket: named ones and others.
    fn list(&mut self, data: bool) {
        let mut index = 0;
        let mut first = true;
        while let Some((token, rest)) = token(self.rest) {
            match token {
                Token::Close => {
                    self.rest = rest;
                    return;
                }
                Token::Comma => self.rest = rest,
                _ => {
                    let name = self.key();
                    // `Some(3)` and `Width(3)` hold one number, which needs no name.
                    let only = first && name.is_none() && only_element(self.rest);
                    first = false;
                    let segment = name.map_or_else(|| index.to_string(), str::to_owned);
                    index += 1;
                    if only {
                        self.value(data);
                    } else {
                        self.path.push(segment);
                        self.value(data);
                        self.path.pop();
                    }
                }
            }
        }
    }

    /// Reads the name of an element and the colon behind it, if it has one.
    fn key(&mut self) -> Option<&'a str> {
        let (Token::Word(name) | Token::Text(name), rest) = token(self.rest)? else {
            return None;
        };
        let (Token::Colon, rest) = token(rest)? else {
            return None;
        };
        self.rest = rest;
        Some(name)
    }

    fn in_shape(&self) -> bool {
        self.path.iter().any(|segment| segment == "shape")
    }
}

/// Returns `true` if the list ends behind its first element. A bracketed list of one is a list all
/// the same; only its index goes.
fn only_element(mut rest: &str) -> bool {
    let mut depth = 0;
    while let Some((token, behind)) = token(rest) {
        match token {
            Token::Open => depth += 1,
            Token::Close if depth == 0 => return true,
            Token::Close => depth -= 1,
            Token::Comma if depth == 0 => return false,
            _ => {}
        }
        rest = behind;
    }
    false
}

/// Splits off the first token; `None` at the end.
fn token(text: &str) -> Option<(Token<'_>, &str)> {
    let text = text.trim_start();
    let first = text.chars().next()?;
    let split = |len: usize| text.split_at(len);
    let single = |token| Some((token, split(first.len_utf8()).1));
    match first {
        '(' | '[' | '{' => single(Token::Open),
        ')' | ']' | '}' => single(Token::Close),
        ',' => single(Token::Comma),
        ':' => single(Token::Colon),
        '"' => {
            let mut escaped = false;
            let end = text[1..].find(|c| {
                let end = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                end
            });
            let end = end.map_or(text.len(), |end| end + 2);
            let (quoted, rest) = split(end);
            Some((Token::Text(quoted.trim_matches('"')), rest))
        }
        c if is_word(c) => {
            let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
            let (word, rest) = split(end);
            Some((Token::Word(word), rest))
        }
        _ => single(Token::Other),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '#')
}

/// Reads a finite number that begins with a digit.
fn number(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let begins = digits.starts_with(|c: char| c.is_ascii_digit());
    let value: f64 = begins.then(|| word.parse().ok()).flatten()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
#[allow(
    clippy::needless_borrow,
    reason = "the derive writes one form for every type"
)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug)]
    #[allow(dead_code)]
    struct Config {
        hidden_size: usize,
        rope: Rope,
        sizes: Vec<usize>,
        ratio: Option<f32>,
        name: &'static str,
        pair: (i32, bool),
        by_name: BTreeMap<&'static str, u8>,
        kind: Kind,
    }

    #[derive(Debug)]
    #[allow(dead_code)]
    struct Rope {
        theta: f64,
    }

    #[derive(Debug)]
    #[allow(dead_code)]
    enum Kind {
        Plain,
        Wide(usize),
    }

    struct Silent;

    fn observed(observe: impl FnOnce(&mut Describer)) -> Vec<String> {
        let mut describer = Describer::observing();
        describer.scope("config", observe);
        let found = describer.observations.unwrap_or_default().0.into_iter();
        found
            .map(|found| format!("{} {:?}", found.path, found.value))
            .collect()
    }

    #[test]
    fn numbers_are_named_by_their_path() {
        let config = Config {
            hidden_size: 8,
            rope: Rope { theta: 1e-10 },
            sizes: vec![1, 2],
            ratio: Some(-0.5),
            name: "wide, 12: \"{3}\"",
            pair: (-4, true),
            by_name: [("a b", 7)].into(),
            kind: Kind::Wide(5),
        };
        let found = observed(|describer| (&&&Observe(&config)).observe(describer));
        assert_eq!(
            found,
            [
                "config.hidden_size Number(8.0)",
                "config.rope.theta Number(1e-10)",
                "config.sizes.0 Number(1.0)",
                "config.sizes.1 Number(2.0)",
                "config.ratio Number(-0.5)",
                "config.pair.0 Number(-4.0)",
                "config.by_name.a b Number(7.0)",
                "config.kind Number(5.0)",
            ]
        );
        assert_eq!(observed(|d| (&&&Observe(&Kind::Plain)).observe(d)).len(), 0);
        assert_eq!(observed(|d| (&&&Observe(&Silent)).observe(d)).len(), 0);
        assert_eq!(
            observed(|d| (&&&Observe(&3_u8)).observe(d)),
            ["config Number(3.0)"]
        );
    }

    #[test]
    fn a_tensor_is_looked_at_by_its_shape() {
        let device = burn_core::tensor::Device::flex();
        let tensor = Tensor::<2>::ones([2, 3], &device);
        let shape = ["config Dimension(0, 2)", "config Dimension(1, 3)"];
        assert_eq!(observed(|d| (&&&Observe(&tensor)).observe(d)), shape);
        let maybe = Some(tensor);
        assert_eq!(observed(|d| (&&&Observe(&maybe)).observe(d)), shape);
        let inside = observed(|d| (&&&Observe(&[maybe])).observe(d));
        assert!(
            inside.iter().all(|line| line.contains("shape")),
            "{inside:?}"
        );
    }

    #[test]
    fn nothing_is_printed_unless_somebody_asks() {
        struct Loud;
        impl Debug for Loud {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("printed")
            }
        }
        let mut describer = Describer::default();
        (&&&Observe(&Loud)).observe(&mut describer);
        assert!(describer.observations.is_none());
    }
}

//! Where the bytes of an expanded tensor come from.

/// The old coordinate of each new coordinate along one dimension; `None` starts from zero.
pub(super) type Sources = Vec<Option<usize>>;

/// With fewer coordinates in a run than this, on average, coordinates move one by one.
const SHORT_RUN: usize = 8;

/// The way from the bytes of a tensor to those of the expanded one.
///
/// A row is the innermost dimension that grows, with all dimensions inside of it.
pub(super) struct Moves {
    /// The dimensions around a row, neighbours that stay as one.
    outer: Vec<Dimension>,
    row: Row,
    /// Bytes of an old row.
    old_row: usize,
    /// Bytes of a new row.
    new_row: usize,
    /// Rows of the new tensor.
    rows: usize,
}

struct Dimension {
    old: usize,
    new: usize,
    /// `None` if it stays.
    sources: Option<Sources>,
}

/// How a row is put together.
enum Row {
    /// Of stretches of the old row.
    Runs(Vec<Run>),
    /// Of single items of so many bytes, by their place in the old row. A place outside of it is
    /// zero.
    Items(usize, Vec<usize>),
}

/// Bytes that move together.
struct Run {
    /// Where they end in the new row.
    end: usize,
    /// How many there are.
    length: usize,
    /// Where they begin in the old row, unless they are zero.
    from: Option<usize>,
}

impl Moves {
    /// The moves of a tensor of `shape`, whose elements have `item` bytes, to the coordinates of
    /// `dims`; a dimension with `None` stays.
    pub(super) fn new(dims: Vec<Option<Sources>>, shape: &[usize], item: usize) -> Self {
        let dims = dims.into_iter().zip(shape).map(|(sources, old)| Dimension {
            old: *old,
            new: sources.as_ref().map_or(*old, Vec::len),
            sources,
        });
        let mut outer: Vec<Dimension> = Vec::new();
        for dim in dims {
            match outer.last_mut() {
                Some(last) if last.sources.is_none() && dim.sources.is_none() => {
                    last.old *= dim.old;
                    last.new *= dim.new;
                }
                _ => outer.push(dim),
            }
        }
        let inner = match outer.last() {
            Some(last) if last.sources.is_none() => outer.pop().map_or(1, |last| last.old),
            _ => 1,
        };
        let item = inner * item;
        let sources = match outer.pop() {
            Some(Dimension { sources, old, .. }) => sources.map(|sources| (sources, old)),
            None => None,
        };
        let (sources, old) = sources.unwrap_or_else(|| (vec![Some(0)], 1));
        Self {
            old_row: old * item,
            new_row: sources.len() * item,
            rows: outer.iter().map(|dim| dim.new).product(),
            row: Row::new(&sources, item),
            outer,
        }
    }

    /// The bytes of the new tensor.
    pub(super) fn len(&self) -> usize {
        self.rows * self.new_row
    }

    /// Writes the bytes of the new tensor from `at` on into `to`, which is zero.
    pub(super) fn write(&self, from: &[u8], mut at: usize, mut to: &mut [u8]) {
        while !to.is_empty() {
            let (row, start) = (at / self.new_row, at % self.new_row);
            let length = to.len().min(self.new_row - start);
            let (piece, rest) = to.split_at_mut(length);
            if let Some(old) = self.old_of(row) {
                let from = &from[old * self.old_row..(old + 1) * self.old_row];
                self.row.write(from, start, piece);
            }
            at += length;
            to = rest;
        }
    }

    /// The old row that a new row comes from.
    fn old_of(&self, mut row: usize) -> Option<usize> {
        let (mut old, mut stride) = (0, 1);
        for dim in self.outer.iter().rev() {
            let index = row % dim.new;
            row /= dim.new;
            let index = match &dim.sources {
                Some(sources) => sources[index]?,
                None => index,
            };
            old += index * stride;
            stride *= dim.old;
        }
        Some(old)
    }
}

impl Row {
    fn new(sources: &[Option<usize>], item: usize) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for source in sources {
            let from = source.map(|source| source * item);
            match runs.last_mut() {
                Some(run) if run.from.map(|from| from + run.length) == from => {
                    run.end += item;
                    run.length += item;
                }
                last => {
                    let end = last.map_or(0, |run| run.end) + item;
                    let length = item;
                    runs.push(Run { end, length, from });
                }
            }
        }
        let short = runs.len() * SHORT_RUN > sources.len();
        if short && matches!(item, 1 | 2 | 4 | 8 | 16) {
            let places = sources.iter().map(|source| source.unwrap_or(usize::MAX));
            return Self::Items(item, places.collect());
        }
        Self::Runs(runs)
    }

    /// Writes the bytes of a new row from `start` on.
    fn write(&self, from: &[u8], start: usize, to: &mut [u8]) {
        match self {
            Self::Runs(runs) => write_runs(runs, from, start, to),
            Self::Items(1, places) => write_items::<1>(&places[start..], from, to),
            Self::Items(2, places) => write_items::<2>(&places[start / 2..], from, to),
            Self::Items(4, places) => write_items::<4>(&places[start / 4..], from, to),
            Self::Items(8, places) => write_items::<8>(&places[start / 8..], from, to),
            Self::Items(_, places) => write_items::<16>(&places[start / 16..], from, to),
        }
    }
}

fn write_runs(runs: &[Run], from: &[u8], mut start: usize, mut to: &mut [u8]) {
    let first = runs.partition_point(|run| run.end <= start);
    for run in &runs[first..] {
        if to.is_empty() {
            return;
        }
        let length = to.len().min(run.end - start);
        let (piece, rest) = to.split_at_mut(length);
        if let Some(begin) = run.from {
            let begin = begin + run.length - (run.end - start);
            piece.copy_from_slice(&from[begin..begin + length]);
        }
        start += length;
        to = rest;
    }
}

fn write_items<const N: usize>(places: &[usize], from: &[u8], to: &mut [u8]) {
    let (from, _) = from.as_chunks::<N>();
    let (to, _) = to.as_chunks_mut::<N>();
    for (to, place) in to.iter_mut().zip(places) {
        *to = from.get(*place).copied().unwrap_or([0; N]);
    }
}

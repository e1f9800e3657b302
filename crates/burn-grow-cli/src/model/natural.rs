//! The order of names in which numbers count: layer 2 comes before layer 10.

use core::cmp::Ordering;

/// Compares two names piece by piece, numbers by their value.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let pieces = |name| str::split(name, '.').map(|piece| (piece.parse::<usize>().ok(), piece));
    pieces(one).cmp(pieces(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_two_comes_before_layer_ten() {
        let mut names = ["h.10.a", "h.2.b", "h.2.a", "a", "z"];
        names.sort_by(|one, other| compare(one, other));
        assert_eq!(names, ["a", "h.2.a", "h.2.b", "h.10.a", "z"]);
    }
}

/// The block copy map: new unit `i` copies old unit `i mod d`, so old units keep their place and
/// copies are appended in order.
pub fn block_copy(old_width: usize, new_width: usize) -> Vec<usize> {
    (0..new_width).map(|unit| unit % old_width).collect()
}

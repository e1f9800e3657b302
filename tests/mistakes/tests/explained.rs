//! Mistakes in `#[grow(..)]`, in the folders beside, are explained where they are made.

#[test]
fn mistakes_are_explained_where_they_are_made() {
    // No `pass` case: it would build all of Burn where checking is enough.
    let cases = trybuild::TestCases::new();
    for kind in ["attribute", "contradiction", "missing", "type"] {
        cases.compile_fail(format!("{kind}/*.rs"));
    }
}

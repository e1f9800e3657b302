//! Every family that comes with the program.

use burn_grow_cli::family::shipped;

#[test]
fn every_family_is_read_and_names_its_axes_alike() {
    let families = shipped().expect("families");
    assert_eq!(families.len(), 16);
    for family in &families {
        let layouts = family.keys.iter().map(|key| key.layout.to_string());
        let layouts: Vec<_> = layouts.collect();
        for axis in ["hidden", "inner", "layers"] {
            assert!(
                layouts.iter().any(|it| it == axis),
                "{}: {axis}",
                family.name
            );
        }
        let heads = ["heads", "kv_heads"];
        assert!(
            layouts.iter().any(|it| heads.contains(&it.as_str())),
            "{}",
            family.name
        );
    }
}

//! The `tierce` binary.
fn main() {}

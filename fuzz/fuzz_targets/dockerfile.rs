//! Whatever the text, the parser answers with spans that lie in it, and checks end.
#![no_main]

#[path = "../../builder/tests/corpus/any_text.rs"]
mod any_text;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| any_text::every_way(bytes));

//! Whatever the text, the parser answers with spans that lie in it.
#![no_main]

use builder::syntax::Source;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(source) = Source::from_bytes("Dockerfile", bytes.to_vec()) else { return };
    let parsed = builder::stage::parse(&source);
    for diagnostic in &parsed.diagnostics {
        let _ = builder::diagnostic::render(&source, diagnostic, false);
    }
});

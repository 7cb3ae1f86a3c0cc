//! The parser on a long file: `cargo bench -p builder`.

use builder::stage::parse;
use builder::syntax::Source;
use divan::Bencher;
use divan::counter::BytesCount;

fn main() {
    divan::main();
}

/// Fifty stages of a hundred instructions.
fn dockerfile() -> String {
    let body = "ARG VERSION=1\nENV PATH=/opt/bin:$PATH NAME=\"a value\"\n\
                RUN --mount=type=cache,target=/c set -e; \\\n    make ${VERSION:-1}\n\
                COPY --chown=1:1 a b /dest/\nLABEL a=b\n";
    let stage = |number| format!("FROM busybox AS s{number}\n{}", body.repeat(20));
    (0..50).map(stage).collect()
}

#[divan::bench]
fn parse_5000_instructions(bencher: Bencher<'_, '_>) {
    let source = Source::new("Dockerfile", dockerfile());
    assert!(!parse(&source).has_errors(), "the file is a good one");
    bencher.counter(BytesCount::new(dockerfile().len())).bench(|| parse(&source));
}

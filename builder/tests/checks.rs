//! Every case under `testdata/checks` has a Dockerfile, what docker says of it, and perhaps an
//! ignore file and arguments of the build: `expected` is the text of `--check`, `outline`,
//! `targets` and their `.json` the answers of `--call`. Where a case has a file `differs`, docker
//! 28 answers otherwise, and the file says why.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use builder::check::show::{json, tables, text};
use builder::check::{check, error_lines, outline, targets};
use builder::syntax::Source;
use builder::{
    BaseImage, BaseImages, BuildRequest, ContextDirectory, Grants, NetworkMode, RunSettings,
    Sandbox,
};
use indexmap::IndexMap;
use oci::{ImageConfig, Platform, Raw};

/// One image of any name, with nothing but a PATH.
struct Images;

impl BaseImages for Images {
    fn resolve(&self, name: &str, platform: &Platform, _: bool) -> oci::Result<BaseImage> {
        let document = serde_json::json!({
            "architecture": platform.architecture, "os": platform.os,
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let config: Raw<ImageConfig> =
            Raw::parse(document.to_string().into_bytes(), "image config").unwrap();
        let blobs = Arc::new(oci::blob::MemoryBlobs::default());
        Ok(BaseImage { name: name.to_owned(), digest: None, config, layers: Vec::new(), blobs })
    }
}

fn request_of_case(case: &Path) -> BuildRequest {
    let read = |name: &str| fs::read_to_string(case.join(name)).unwrap_or_default();
    let mut build_args = IndexMap::new();
    let mut target = None;
    let arguments = read("arguments");
    let mut words = arguments.split_whitespace();
    while let Some(flag) = words.next() {
        let value = words.next().unwrap();
        match flag {
            "--build-arg" => {
                let (name, value) = value.split_once('=').unwrap();
                build_args.insert(name.to_owned(), value.to_owned());
            }
            "--target" => target = Some(value.to_owned()),
            other => panic!("{other} in {}", case.display()),
        }
    }
    let text = fs::read_to_string(case.join("Dockerfile")).unwrap();
    let context = Some(ContextDirectory::local(case, read(".dockerignore")));
    BuildRequest { context, build_args, target, ..request(&text) }
}

fn request(text: &str) -> BuildRequest {
    BuildRequest {
        dockerfile: Source::new("Dockerfile", text),
        context: None,
        contexts: builder::NamedContexts::default(),
        build_args: IndexMap::new(),
        target: None,
        platform: None,
        build_platform: "linux/amd64".parse().unwrap(),
        no_cache: false,
        no_cache_stages: Vec::new(),
        caches: Vec::new(),
        pull: false,
        labels: IndexMap::new(),
        names: Vec::new(),
        sandbox: Sandbox {
            chroot: false,
            volumes: Vec::new(),
            settings: RunSettings::default(),
            limits: runtime::Limits::default(),
            network: NetworkMode::None,
            hostname: String::new(),
            resolv_conf: Vec::new(),
            hosts: Vec::new(),
        },
        grants: Grants::default(),
        with_provenance: false,
        changes: builder::ImageChanges::default(),
        now: "2026-01-02T03:04:05Z".into(),
        parallelism: NonZeroUsize::MIN,
    }
}

/// What we say where docker's word is in the file `name`.
fn answer(name: &str, request: &BuildRequest) -> String {
    let source = &request.dockerfile;
    let shown = text::Shown { path: "Dockerfile", source };
    match name {
        "expected" => {
            let checked = check(request, &Images);
            let fails = checked.failure.is_some() || !checked.violated().is_empty();
            text::findings(&checked.findings, &shown, fails)
        }
        "check.json" => {
            let checked = check(request, &Images);
            let violated = checked.violated().join(", ");
            let message = match &checked.failure {
                Some(failure) => failure.to_string(),
                None => format!("lint violation found for rules: {violated}"),
            };
            let fails = checked.failure.is_some() || !violated.is_empty();
            let lines = checked.failure.as_ref().and_then(|error| error_lines(error, source));
            let failure = json::Failure { message: &message, lines };
            json::check(&checked.findings, fails.then_some(&failure), source)
        }
        "outline" => tables::outline(&outline(request, &Images).unwrap()),
        "outline.json" => json::outline(&outline(request, &Images).unwrap(), source),
        "targets" => tables::targets(&targets(source).unwrap()),
        "targets.json" => json::targets(&targets(source).unwrap(), source),
        other => panic!("{other}"),
    }
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/checks");
    let mut cases: Vec<_> = fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 100, "cases are missing in {}", root.display());
    cases
}

/// With `TIERCE_BLESS` set, the expectations of cases that differ from docker become what is.
#[test]
fn checks_and_calls_answer_as_docker_does() {
    let mut wrong = Vec::new();
    for case in cases() {
        let request = request_of_case(&case);
        let names =
            ["expected", "check.json", "outline", "outline.json", "targets", "targets.json"];
        for name in names.into_iter().filter(|name| case.join(name).exists()) {
            let expected = fs::read_to_string(case.join(name)).unwrap();
            let actual = answer(name, &request);
            if actual != expected {
                if std::env::var_os("TIERCE_BLESS").is_some() && case.join("differs").exists() {
                    fs::write(case.join(name), &actual).unwrap();
                }
                let case = case.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!("== {case}/{name}\n-- expected\n{expected}-- actual\n{actual}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

/// Each would take minutes if time grew with the square of the length.
#[test]
fn long_files_are_checked_in_time() {
    let lines = |line: &dyn Fn(usize) -> String| (0..20_000).map(line).collect::<String>();
    let stages = lines(&|i| format!("FROM scratch AS s{i}\nCOPY --from=s{} a b\n", i / 2));
    for (name, text) in [
        ("global arguments", lines(&|i| format!("ARG g{i}=1\n")) + "FROM scratch\n"),
        (
            "arguments",
            "FROM scratch\n".to_owned() + &lines(&|i| format!("ARG a{i}=1 b{i}=$a{i}\n")),
        ),
        (
            "described",
            lines(&|i| format!("# a{i} x\n"))
                + "ARG "
                + &lines(&|i| format!("a{i} \\\n"))
                + "z\nFROM scratch\n",
        ),
        ("variables", "FROM scratch\n".to_owned() + &lines(&|i| format!("ENV name{i}=$eman{i}\n"))),
        ("stages", stages),
        (
            "chain",
            "FROM scratch AS s0\n".to_owned()
                + &lines(&|i| format!("FROM s{i} AS s{}\nENV e{i}=1\n", i + 1)),
        ),
        (
            "triggers",
            "FROM scratch AS s\n".to_owned()
                + &lines(&|i| format!("ONBUILD ENV e{i}=1\n"))
                + &lines(&|_| "FROM s\n".to_owned()),
        ),
        (
            "secrets",
            "FROM scratch\n".to_owned()
                + &lines(&|i| format!("RUN --mount=type=secret,id=s{i} x\n")),
        ),
        ("continuations", lines(&|i| format!("ARG a{i}=\\\n\n1\n")) + "FROM scratch\n"),
    ] {
        let request = request(&text);
        let begun = Instant::now();
        let source = &request.dockerfile;
        for answer_of in ["expected", "check.json", "outline.json", "targets.json"] {
            assert!(!answer(answer_of, &request).is_empty(), "{name}: {}", source.name);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{name}: {:?}", begun.elapsed());
    }
}

#[test]
fn what_is_found_in_an_included_file_is_shown_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("base.inc"), "# kept\nENV A 1\n").unwrap();
    let context = ContextDirectory::local(dir.path(), "");
    let file = Source::new("Dockerfile", "FROM scratch\nINCLUDE base.inc\nENV B 2\n");
    let (source, errors) = builder::include(file, Some(&context));
    assert!(errors.is_empty());
    let request = BuildRequest { dockerfile: source, ..request("") };
    let source = &request.dockerfile;
    let findings = check(&request, &Images).findings;
    let shown = text::findings(&findings, &text::Shown { path: "dir/Dockerfile", source }, false);
    for part in
        ["\nbase.inc:2\n", "   1 |     # kept\n", "   2 | >>> ENV A 1\n", "\ndir/Dockerfile:3\n"]
    {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    assert!(!shown.contains("FROM"), "another file's line stands around it: {shown}");
    let summary = text::summary(&findings, source);
    assert!(summary.contains("(base.inc:2)") && summary.contains("(line 3)"), "{summary}");
}

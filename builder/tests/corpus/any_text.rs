//! All that is done with a Dockerfile before anything is built, for texts that nobody wrote.

use std::num::NonZeroUsize;

use builder::check::show::{json, tables, text};
use builder::syntax::Source;
use builder::{
    BaseImage, BaseImages, BuildRequest, ContextDirectory, Grants, NetworkMode, RunSettings,
    Sandbox,
};
use oci::Platform;

/// No image at all.
struct Nothing;

impl BaseImages for Nothing {
    fn resolve(&self, name: &str, _: &Platform, _: bool) -> oci::Result<BaseImage> {
        Err(oci::Error::ImageNotFound { name: name.to_owned() })
    }
}

/// Parses, checks and shows a text, whatever it is.
pub(crate) fn every_way(bytes: &[u8]) {
    let Ok(source) = Source::from_bytes("Dockerfile", bytes.to_vec()) else { return };
    // A file with an error is lowered for what else is wrong with it.
    let wrong = Source::new("Dockerfile", format!("{}\nWRONG\n", source.text));
    let _ = builder::check::check(&request(wrong), &Nothing);
    let parsed = builder::stage::parse(&source);
    for diagnostic in &parsed.diagnostics {
        let _ = builder::diagnostic::render(&source, diagnostic, false);
    }
    let request = request(source);
    let source = &request.dockerfile;
    let checked = builder::check::check(&request, &Nothing);
    let shown = text::Shown { path: "Dockerfile", source };
    let _ = text::findings(&checked.findings, &shown, checked.failure.is_some());
    let _ = text::summary(&checked.findings, source);
    let _ = json::check(&checked.findings, None, source);
    if let Ok(outline) = builder::check::outline(&request, &Nothing) {
        let _ = tables::outline(&outline);
    }
    if let Ok(targets) = builder::check::targets(source) {
        let _ = tables::targets(&targets);
    }
}

fn request(dockerfile: Source) -> BuildRequest {
    BuildRequest {
        dockerfile,
        context: Some(ContextDirectory::local("/", "*.log\n")),
        contexts: builder::NamedContexts::default(),
        build_args: Default::default(),
        target: None,
        platform: None,
        build_platform: Platform::host(),
        no_cache: false,
        no_cache_stages: Vec::new(),
        caches: Vec::new(),
        pull: false,
        labels: Default::default(),
        names: Vec::new(),
        sandbox: Sandbox {
            network: NetworkMode::None,
            hostname: String::new(),
            resolv_conf: Vec::new(),
            hosts: Vec::new(),
            chroot: false,
            volumes: Vec::new(),
            settings: RunSettings::default(),
            limits: runtime::Limits::default(),
        },
        grants: Grants::default(),
        with_provenance: false,
        changes: builder::ImageChanges::default(),
        now: String::new(),
        parallelism: NonZeroUsize::MIN,
    }
}

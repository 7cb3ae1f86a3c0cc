//! What podman's and buildah's builds are told in words of their own.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ArgAction;
use oci::Platform;

use crate::error::Failure;
use crate::pulling::PullPolicy;

// The options.
#[derive(clap::Args)]
pub(super) struct PodmanArgs {
    /// The operating system to build for
    #[arg(long, conflicts_with = "platform")]
    os: Option<String>,
    /// The architecture to build for
    #[arg(long, conflicts_with = "platform")]
    arch: Option<String>,
    /// The variant of the architecture to build for
    #[arg(long, conflicts_with = "platform", requires = "arch")]
    variant: Option<String>,
    /// A file to read in place of `.dockerignore`
    #[arg(long, value_name = "FILE")]
    pub(super) ignorefile: Option<PathBuf>,
    /// How many steps may run at once; 0 for as many as are good
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    jobs: usize,
    /// Whether RUN gets the proxies of this machine as build arguments
    #[arg(
        long,
        action = ArgAction::Set,
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) http_proxy: bool,
    /// The time of the image and the latest of its files, as the build argument SOURCE_DATE_EPOCH
    #[arg(long, value_name = "SECONDS")]
    pub(super) source_date_epoch: Option<i64>,
    /// The results of all steps are kept in any case
    #[arg(long, hide = true)]
    layers: bool,
}

impl PodmanArgs {
    /// The platform, if a part of it is said.
    pub(super) fn platform(&self) -> Result<Option<Platform>, Failure> {
        if self.os.is_none() && self.arch.is_none() {
            return Ok(None);
        }
        let host = Platform::host();
        let os = self.os.as_ref().unwrap_or(&host.os);
        let arch = self.arch.as_ref().unwrap_or(&host.architecture);
        let text = match &self.variant {
            Some(variant) => format!("{os}/{arch}/{variant}"),
            None => format!("{os}/{arch}"),
        };
        Ok(Some(text.parse()?))
    }

    pub(super) fn jobs(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(self.jobs)
    }
}

/// Reads `--pull=WHEN`; docker knows yes and no. What has not changed is not fetched again, so
/// `newer` is what `always` does.
pub(super) fn pull_policy(text: &str) -> Result<PullPolicy, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "always" | "newer" | "ifnewer" => Ok(PullPolicy::Always),
        "0" | "f" | "false" | "missing" | "ifmissing" => Ok(PullPolicy::Missing),
        "never" => Ok(PullPolicy::Never),
        _ => Err("it is none of always, missing, never, newer".to_owned()),
    }
}

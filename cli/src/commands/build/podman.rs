//! What podman's and buildah's builds are told in words of their own.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use builder::ImageChanges;
use clap::{ArgAction, ValueEnum};
use oci::Platform;

use super::texts::read_text;
use crate::app::App;
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
    /// A file of build arguments, NAME=VALUE a line
    #[arg(long, value_name = "FILE")]
    build_arg_file: Vec<PathBuf>,
    /// The image to begin with, in place of that of the first FROM
    #[arg(long, value_name = "IMAGE")]
    pub(super) from: Option<String>,
    /// The media types of what is pushed and written to files; the store keeps what both have
    #[arg(long, value_enum, value_name = "oci|docker")]
    pub(super) format: Option<Format>,
    /// A variable for RUN and for the image: NAME=VALUE, or NAME to take it from here
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// A variable that is not inherited, and not in the image
    #[arg(long, value_name = "NAME")]
    unsetenv: Vec<String>,
    /// A label that the image does not have
    #[arg(long, value_name = "NAME")]
    unsetlabel: Vec<String>,
    /// Whether the labels of base images are inherited
    #[arg(long, action = ArgAction::Set, default_value_t = true, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    inherit_labels: bool,
    /// Leave out of the image how it was made
    #[arg(long)]
    omit_history: bool,
    /// No label says what built the image: `false` is all there is
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = no_label,
          default_missing_value = "true")]
    identity_label: Option<()>,
    /// No note says when the image was made, which its config tells: `false` is all there is
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = no_note,
          default_missing_value = "true")]
    created_annotation: Option<()>,
    /// Notes of base images are not inherited: `false` is all there is
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = no_note,
          default_missing_value = "true")]
    inherit_annotations: Option<()>,
    /// What the target does not need is never built
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_parser = never_unused,
          default_missing_value = "true")]
    skip_unused_stages: Option<()>,
    /// So it is with SOURCE_DATE_EPOCH in any case
    #[arg(long, hide = true)]
    rewrite_timestamp: bool,
    /// Layers are compressed when somebody needs that
    #[arg(long, hide = true)]
    disable_compression: bool,
    /// There is nothing to disable
    #[arg(long, hide = true)]
    disable_content_trust: bool,
}

/// A family of media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The Open Container Initiative's
    Oci,
    /// Docker's, version 2, schema 2
    #[value(alias = "v2s2")]
    Docker,
}

fn no_label(text: &str) -> Result<(), String> {
    switched_off(text, "the image gets no label that says what built it")
}

fn no_note(text: &str) -> Result<(), String> {
    switched_off(text, "the image gets no notes but those of --annotation")
}

fn switched_off(text: &str, reason: &str) -> Result<(), String> {
    match text {
        "false" | "0" => Ok(()),
        _ => Err(reason.to_owned()),
    }
}

fn never_unused(text: &str) -> Result<(), String> {
    match text {
        "true" | "1" => Ok(()),
        _ => Err("what the target does not need is never built".to_owned()),
    }
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

    /// How the image differs from what the Dockerfile makes of its base.
    pub(super) fn changes(&self, app: &App) -> ImageChanges {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((text.clone(), app.machine.variable(text)?)),
        };
        ImageChanges {
            env: self.env.iter().filter_map(pair).collect(),
            unset_env: self.unsetenv.clone(),
            unset_labels: self.unsetlabel.clone(),
            drops_labels: !self.inherit_labels,
            drops_history: self.omit_history,
        }
    }

    /// The build arguments of files.
    pub(super) fn build_arg_files(&self) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for path in &self.build_arg_file {
            let text = read_text(path)?;
            let text =
                text.ok_or_else(|| Failure::new(format!("there is no file {}", path.display())))?;
            let lines = text.lines().map(str::trim);
            let given = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in given {
                if !line.contains('=') {
                    return Err(Failure::new(format!(
                        "{} has a line that is not NAME=VALUE",
                        path.display()
                    )));
                }
                all.push(line.to_owned());
            }
        }
        Ok(all)
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

//! What went into an image from elsewhere.

use std::io::{self, Read};

use oci::{Algorithm, DiffId, Digest, Platform};

use super::told_name;
use crate::graph::Graph;
use crate::images::BaseImage;
use crate::op::{Op, Remote, RemoteUrl};
use crate::progress::StepId;
use crate::remote::redacted;
use crate::solve::{Content, Session};

/// Something that went into an image from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Material {
    /// What it is, and where it was.
    pub kind: MaterialKind,
    /// What it was: a digest of a registry or of bytes (`sha256:…`), or a commit. None where it is
    /// known to this machine alone.
    pub digest: Option<String>,
}

/// What a material is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MaterialKind {
    /// An image, by the name that [`BaseImage::name`] gives it, for a platform.
    Image {
        /// The name.
        name: String,
        /// The platform, as the image's config has it.
        platform: String,
    },
    /// A git repository, with the reference that was asked for.
    Git {
        /// Its URL.
        url: String,
        /// The reference, if one was named.
        reference: Option<String>,
    },
    /// A file behind a URL.
    File {
        /// The URL.
        url: String,
    },
}

/// What went into the steps that are needed: images, repositories and files, each once.
pub(super) fn of(
    session: &Session<'_>,
    graph: &Graph,
    needed: &[bool],
    bases: &[(StepId, BaseImage)],
) -> io::Result<Vec<Material>> {
    let is_needed = |step: &StepId| needed.get(step.0).copied().unwrap_or(false);
    let mut materials: Vec<Material> = bases
        .iter()
        .filter(|(step, _)| is_needed(step))
        .map(|(_, image)| Material {
            kind: MaterialKind::Image {
                name: told_name(&image.name),
                platform: image.config.platform().normalized().to_string(),
            },
            digest: image.digest.as_ref().map(ToString::to_string),
        })
        .collect();
    for step in (0..graph.len()).map(StepId).filter(is_needed) {
        if let Op::Remote(remote) = &graph.get(step).op {
            materials.push(fetched(session, graph, remote)?);
        }
    }
    materials.sort();
    materials.dedup();
    Ok(materials)
}

fn fetched(session: &Session<'_>, graph: &Graph, remote: &Remote) -> io::Result<Material> {
    let content = session.brought.content(remote);
    Ok(match (remote, content) {
        (Remote::Git(git), content) => Material {
            kind: MaterialKind::Git { url: redacted(&git.url), reference: git.reference.clone() },
            digest: match content {
                Some(Content::Commit(commit)) => Some(commit),
                _ => None,
            },
        },
        (Remote::File(file), content) => Material {
            kind: MaterialKind::File { url: redacted(&file.url) },
            digest: match content {
                Some(Content::File(layer)) => {
                    Some(hashed(session, graph, file, layer)?.to_string())
                }
                _ => file.checksum.as_ref().map(ToString::to_string),
            },
        },
    })
}

/// The digest of a file that was fetched.
fn hashed(
    session: &Session<'_>,
    graph: &Graph,
    file: &RemoteUrl,
    layer: DiffId,
) -> io::Result<Digest> {
    if let Some(checksum) = &file.checksum {
        return Ok(checksum.clone());
    }
    let layers = [layer];
    session.ensure(&layers, graph).map_err(io::Error::other)?;
    let view = session.store.view(session.lease, &layers).map_err(io::Error::other)?;
    let mut content = view.root.open_file(&file.name).map_err(io::Error::other)?;
    let mut hasher = Algorithm::Sha256.hasher();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The platform of a base, in BuildKit's words.
pub(super) fn platform_words(platform: &Platform) -> serde_json::Value {
    let platform = platform.normalized();
    let mut words = serde_json::json!({
        "Architecture": platform.architecture,
        "OS": platform.os,
    });
    if let Some(variant) = platform.variant {
        words["Variant"] = variant.into();
    }
    words
}

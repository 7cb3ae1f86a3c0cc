//! `/ui/<repository>@<digest>` of a manifest: what an image or index is made of.

use oci::{Descriptor, Digest, ImageConfig, Index, Manifest};
use serde_json::Value;

use super::html::{bytes, code, escape, link, page, table};
use super::{MOST, host};
use crate::name::Repository;
use crate::problem::Problem;
use crate::state::Entry;
use crate::storage::look;
use crate::{Registry, routes::manifests::unknown};
use http::request::Parts;

/// How large a config is that is shown, in bytes.
const LARGEST_CONFIG: u64 = 1 << 20;

/// The page of a manifest, `None` if the repository has none of this digest.
pub(super) async fn answer(
    registry: &Registry,
    name: &Repository,
    digest: &Digest,
    head: &Parts,
) -> Result<Option<String>, Problem> {
    let Some(state) = registry.0.storage.0.state(name).await? else { return Ok(None) };
    let state = look(&state).clone();
    let Some(entry) = state.manifest(digest) else { return Ok(None) };
    let bytes = registry.manifest(name, digest, entry).await?.ok_or_else(unknown)?;
    let place = format!("{}/{name}@{digest}", host(head));
    let tags: Vec<String> = state
        .tags()
        .iter()
        .filter(|(_, named)| *named == digest)
        .take(MOST)
        .map(|(tag, _)| code(tag.as_str()))
        .collect();
    let raw = link(&format!("/v2/{name}/manifests/{digest}"), "manifest");
    let mut out = format!(
        "<p>{} · {raw} · {} · {}</p><p>{}</p>",
        link(&format!("/ui/{name}"), name.as_str()),
        escape(entry.media_type.as_str()),
        tags.join(" "),
        code(&format!("tierce pull {place}")),
    );
    if let Some(subject) = &entry.subject {
        out += &format!("<p>about {}</p>", link_to(name, subject));
    }
    if entry.media_type.is_index() {
        if let Ok(index) = serde_json::from_slice::<Index>(&bytes) {
            out += &of_index(name, &index);
        }
    } else if let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) {
        out += &of_manifest(registry, name, &manifest).await?;
    }
    out += "<h2>Referrers</h2>";
    out += &referrers(registry, name, &state.referrers(digest)).await?;
    Ok(Some(page(&format!("{name}@{digest}"), &out)))
}

fn link_to(name: &Repository, digest: &Digest) -> String {
    link(&format!("/ui/{name}@{digest}"), &code(&digest.to_string()))
}

fn of_index(name: &Repository, index: &Index) -> String {
    let platform = |entry: &Descriptor| {
        entry.platform.as_ref().map_or(String::new(), |platform| escape(&platform.to_string()))
    };
    let rows: Vec<Vec<String>> = index
        .manifests
        .iter()
        .take(MOST)
        .map(|entry| vec![platform(entry), link_to(name, &entry.digest), notes(entry)])
        .collect();
    format!("<h2>Platforms</h2>{}", table(&["Platform", "Manifest", "Notes"], &rows))
}

fn notes(entry: &Descriptor) -> String {
    let notes = entry.annotations.iter().take(20);
    let lines: Vec<String> = notes.map(|(key, value)| escape(&format!("{key}={value}"))).collect();
    lines.join("<br>")
}

async fn of_manifest(
    registry: &Registry,
    name: &Repository,
    manifest: &Manifest,
) -> Result<String, Problem> {
    let mut out = String::new();
    let mut created_by = Vec::new();
    if manifest.config.media_type.is_image_config()
        && let Some(config) = config(registry, name, &manifest.config).await?
    {
        out += &of_config(&config);
        let steps = config.history.iter().filter(|step| !step.empty_layer);
        created_by.extend(steps.map(|step| step.created_by.clone().unwrap_or_default()));
    }
    let total: u64 = manifest.layers.iter().map(|layer| layer.size).sum();
    let rows: Vec<Vec<String>> = manifest
        .layers
        .iter()
        .take(MOST)
        .enumerate()
        .map(|(number, layer)| {
            let blob = link(&format!("/v2/{name}/blobs/{}", layer.digest), "bytes");
            let command = created_by.get(number).map_or(String::new(), |text| code(text));
            vec![
                bytes(layer.size),
                format!("{} ({blob})", link_to(name, &layer.digest)),
                escape(layer.media_type.as_str()),
                command,
            ]
        })
        .collect();
    out += &format!("<h2>Layers, {}</h2>", bytes(total));
    out += &table(&["Size", "Files", "Type", "Made by"], &rows);
    let notes = manifest.annotations.iter().take(100);
    let rows: Vec<Vec<String>> = notes.map(|(key, value)| vec![code(key), code(value)]).collect();
    if !rows.is_empty() {
        out += &format!("<h2>Notes</h2>{}", table(&["Name", "Value"], &rows));
    }
    Ok(out)
}

async fn config(
    registry: &Registry,
    name: &Repository,
    config: &Descriptor,
) -> Result<Option<ImageConfig>, Problem> {
    if config.size > LARGEST_CONFIG {
        return Ok(None);
    }
    let bytes = registry.small_blob(name, &config.digest, LARGEST_CONFIG).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn of_config(config: &ImageConfig) -> String {
    let mut rows = vec![vec!["Platform".to_owned(), escape(&config.platform().to_string())]];
    if let Some(created) = &config.created {
        rows.push(vec!["Created".to_owned(), escape(created)]);
    }
    let runtime = serde_json::to_value(&config.config).unwrap_or_default();
    for (key, value) in runtime.as_object().into_iter().flatten() {
        rows.push(vec![escape(key), shown(value)]);
    }
    format!("<h2>Config</h2>{}", table(&["", ""], &rows))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => code(text),
        // The keys of an object without values say it all.
        Value::Object(map) => {
            let line = |(key, value): (&String, &Value)| match value {
                Value::String(text) => code(&format!("{key}={text}")),
                _ => code(key),
            };
            map.iter().take(MOST).map(line).collect::<Vec<_>>().join("<br>")
        }
        Value::Array(list) => {
            let line = |value: &Value| match value {
                Value::String(text) => code(text),
                other => code(&other.to_string()),
            };
            list.iter().take(MOST).map(line).collect::<Vec<_>>().join("<br>")
        }
        other => code(&other.to_string()),
    }
}

/// What refers to the image: signatures, SBOMs, attestations, with what they hold.
async fn referrers(
    registry: &Registry,
    name: &Repository,
    all: &[(Digest, Entry)],
) -> Result<String, Problem> {
    let mut rows = Vec::new();
    for (digest, entry) in all.iter().take(MOST) {
        let Some(document) = registry.document(name, digest, entry).await? else { continue };
        let kind = document.artifact_type.unwrap_or_default();
        let what = if is_sbom(&kind) { " (SBOM)" } else { "" };
        let content: Vec<String> = document
            .blobs
            .iter()
            .map(|blob| link(&format!("/v2/{name}/blobs/{blob}"), "bytes"))
            .collect();
        rows.push(vec![
            format!("{}{what}", escape(&kind)),
            link_to(name, digest),
            content.join(" "),
        ]);
    }
    Ok(table(&["Type", "Manifest", "Content"], &rows))
}

/// Whether an artifact is a list of what an image consists of, by the names in use.
fn is_sbom(kind: &str) -> bool {
    ["spdx", "cyclonedx", "syft", "sbom"].iter().any(|name| kind.contains(name))
}

//! `tierce buildx imagetools inspect`: what a name means in its registry.

use std::fmt::Write;

use oci::{Descriptor, Document, ImageConfig, Index, Reference};
use registry_client::Client;
use serde_json::{Map, Value, json};

use super::statements;
use crate::app::App;
use crate::clients::{self, ConnectionArgs};
use crate::error::{Failure, Outcome};
use crate::ui::{say_bytes, say_value};

/// How long a config may be, in bytes.
const MAX_CONFIG: u64 = 8 << 20;

// What `tierce buildx imagetools inspect` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Print the manifest or index itself, byte for byte
    #[arg(long, conflicts_with = "format")]
    raw: bool,
    /// `json`, or placeholders: '{{.Manifest.Digest}}', '{{json .Image}}', '{{json .Provenance}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// The image
    image: Reference,
}

/// Carries it out.
pub(crate) fn run(args: &Args, app: &App) -> Outcome {
    let client = clients::client(app, &args.connection, args.image.registry());
    let network = app.network()?;
    let document = network.block_on(client.manifest(&args.image))?;
    match &args.format {
        _ if args.raw => say_bytes(document.bytes())?,
        None => say_bytes(in_words(&args.image, &document).as_bytes())?,
        Some(format) => {
            let mut value = network.block_on(described(&client, &args.image, &document))?;
            // What is asked for alone is worth reading.
            if format.contains("Provenance") || format.contains("SBOM") {
                let said = network.block_on(statements::read(&client, &args.image, &document))?;
                value["Provenance"] = said.provenance;
                value["SBOM"] = said.sbom;
            }
            let format = if format == "json" { "{{json .}}" } else { format };
            say_value(format, &value)?;
        }
    }
    Ok(0)
}

/// As buildx shows it, with a name's tag before each digest.
fn in_words(name: &Reference, document: &Document) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{key:<11}{value}");
    };
    line("Name:", name);
    line("MediaType:", &document.media_type());
    line("Digest:", document.digest());
    let Document::Index(index) = document else { return text };
    line("", &"");
    line("Manifests:", &"");
    let lists: Vec<String> =
        index.manifests.iter().map(|entry| entry_in_words(name, entry)).collect();
    text + &lists.join(&format!("{:13}\n", ""))
}

fn entry_in_words(name: &Reference, entry: &Descriptor) -> String {
    let has_notes = !entry.annotations.is_empty();
    // As wide as the widest key.
    let width = if has_notes { "Annotations:".len() } else { "MediaType:".len() } + 1;
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "  {key:<width$}{value}");
    };
    line("Name:", &format_args!("{name}@{}", entry.digest));
    line("MediaType:", &entry.media_type);
    if let Some(platform) = &entry.platform {
        line("Platform:", platform);
    }
    if has_notes {
        line("Annotations:", &"");
    }
    let width = entry.annotations.keys().map(|note| note.len() + 2).max().unwrap_or_default();
    for (note, value) in &entry.annotations {
        let _ = writeln!(text, "    {:<width$}{value}", format!("{note}:"));
    }
    text
}

/// The name, the document with its descriptor, and the configs of its images by their platforms.
async fn described(
    client: &Client,
    name: &Reference,
    document: &Document,
) -> Result<Value, Failure> {
    let descriptor = document.descriptor();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    });
    let image = match document {
        Document::Manifest(_) => {
            config(client, name, document).await?.map_or(Value::Null, |(_, config)| config)
        }
        Document::Index(index) => {
            manifest["manifests"] = json!(index.manifests);
            if !index.annotations.is_empty() {
                manifest["annotations"] = json!(index.annotations);
            }
            configs(client, name, index).await?
        }
    };
    Ok(json!({ "name": name.to_string(), "manifest": manifest, "image": image }))
}

async fn configs(client: &Client, name: &Reference, index: &Index) -> Result<Value, Failure> {
    let mut configs = Map::new();
    for entry in index.manifests.iter().filter(|entry| entry.media_type.is_manifest()) {
        let is_image = entry.platform.as_ref().is_some_and(|platform| platform.os != "unknown");
        if !is_image {
            continue;
        }
        let document = client.manifest(&name.with_digest(entry.digest.clone())).await?;
        if let Some((platform, config)) = config(client, name, &document).await? {
            configs.insert(platform, config);
        }
    }
    // Of one image it is the config itself.
    let only = configs.keys().next().cloned().filter(|_| configs.len() == 1);
    Ok(match only {
        Some(platform) => configs.remove(&platform).unwrap_or_default(),
        None => Value::Object(configs),
    })
}

/// The config of an image, and its platform; an artifact has none.
async fn config(
    client: &Client,
    name: &Reference,
    document: &Document,
) -> Result<Option<(String, Value)>, Failure> {
    let Document::Manifest(manifest) = document else { return Ok(None) };
    if !manifest.config.media_type.is_image_config() {
        return Ok(None);
    }
    let bytes = client.blob_bytes(name, &manifest.config, MAX_CONFIG).await?;
    let invalid = |error| Failure::new(format!("invalid config of {}: {error}", name.familiar()));
    let config: ImageConfig = serde_json::from_slice(&bytes).map_err(invalid)?;
    let value = serde_json::from_slice(&bytes).map_err(invalid)?;
    Ok(Some((config.platform().to_string(), value)))
}

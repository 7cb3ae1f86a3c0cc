//! Looks at an image without pulling it: `look NAME`.
//!
//! Its tags, its manifests by platform, and how many bytes each has: four kinds of calls of the
//! async API.

use std::error::Error;

use oci::{Document, Reference};
use registry_client::{Client, Config};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: look NAME")?;
    let name: Reference = name.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(look(&name))
}

async fn look(name: &Reference) -> Result<(), Box<dyn Error>> {
    let client = Client::new(Config::default());
    println!("tags: {}", client.tags(name).await?.join(" "));

    let found = client.resolve(name).await?;
    println!("{} is {}", name.familiar(), found.digest);
    match client.manifest(&name.with_digest(found.digest)).await? {
        Document::Manifest(image) => {
            let layers: u64 = image.layers.iter().map(|layer| layer.size).sum();
            println!("{} layers, {layers} bytes", image.layers.len());
            let config = client.blob_bytes(name, &image.config, 8 << 20).await?;
            println!("{}", String::from_utf8_lossy(&config));
        }
        Document::Index(index) => {
            for entry in &index.manifests {
                let platform = entry.platform.as_ref().map(ToString::to_string);
                println!("{} {}", platform.unwrap_or_default(), entry.digest);
            }
        }
    }
    for referrer in client.referrers(name, &client.resolve(name).await?.digest, None).await? {
        println!("referred to by {}", referrer.digest);
    }
    Ok(())
}

//! Copies an image from one registry to another: `copy SOURCE TARGET [CA-FILE…]`.
//!
//! Only what the target lacks is sent, and nothing is kept on disk.

use std::error::Error;
use std::sync::Arc;

use oci::{ImageSink, ImageSource, Platform, Reference};
use registry_client::auth::ConfigFiles;
use registry_client::blocking::{BlobProgress, Sink, SinkOptions, Source};
use registry_client::{Client, Config, Proxies, TrustRoots};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("usage: copy SOURCE TARGET [CA-FILE…]".into());
    };
    let (from, to): (Reference, Reference) = (from.parse()?, to.parse()?);

    // The library reads no environment; a program decides what to tell it.
    let home = std::env::var_os("HOME").unwrap_or_default();
    let docker = std::path::Path::new(&home).join(".docker/config.json");
    let config = Config {
        credentials: Arc::new(ConfigFiles::new([docker])),
        proxies: Proxies::from_variables(|name| std::env::var(name).ok()),
        roots: TrustRoots {
            extra_files: arguments.map(Into::into).collect(),
            ..TrustRoots::default()
        },
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = Client::new(config);

    let source = Source::new(client.clone(), runtime.handle().clone());
    let image = source.image(&from, &Platform::host())?;
    let options = SinkOptions {
        progress: Arc::new(|blob, progress| match progress {
            BlobProgress::At(_) => {}
            other => println!("{} {other:?}", blob.digest),
        }),
        ..SinkOptions::default()
    };
    let digest = Sink::new(client, runtime.handle().clone(), options).put(&to, &image, &source)?;
    println!("{}@{digest}", to.familiar_repository());
    Ok(())
}

//! Unpacks a layer's tar and writes it again, with the processor's time that each takes:
//! `cargo run --release --example unpack -- TAR DIRECTORY [--single-id]`.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::time::Duration;

use layerfs::{ApplyOptions, IdMode, Lower, Root, apply_layer, changes, write_layer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(tar), Some(directory)) = (arguments.next(), arguments.next()) else {
        return Err("usage: unpack TAR DIRECTORY [--single-id]".into());
    };
    let ids = match arguments.next().as_deref() {
        Some("--single-id") => IdMode::Single,
        _ => IdMode::Full,
    };
    std::fs::create_dir_all(&directory)?;
    let layer = Root::open(Path::new(&directory))?;

    let begin = processor_time();
    let mut tar = BufReader::with_capacity(64 << 10, File::open(tar)?);
    let options = ApplyOptions { ids, ..ApplyOptions::default() };
    let applied = apply_layer(&mut tar, &layer, &options)?;
    io::copy(&mut tar, &mut io::sink())?;
    println!(
        "unpacked {} entries, {} bytes, {} implicit directories, {} attributes left out in {:?}",
        applied.entries,
        applied.bytes,
        applied.implicit.len(),
        applied.skipped_xattrs,
        processor_time() - begin
    );

    let begin = processor_time();
    let changes = changes(&layer, &Lower::default())?.len();
    println!("{changes} changes found in {:?}", processor_time() - begin);

    let begin = processor_time();
    let mut hasher = oci::Algorithm::Sha256.hasher();
    write_layer(&layer, &mut hasher)?;
    println!("written and hashed as {} in {:?}", hasher.finish(), processor_time() - begin);
    let begin = processor_time();
    write_layer(&layer, &mut io::sink())?;
    println!("written in {:?}", processor_time() - begin);
    Ok(())
}

/// The time that this process has spent on a processor; the clock on the wall tells more of what
/// else the machine does.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

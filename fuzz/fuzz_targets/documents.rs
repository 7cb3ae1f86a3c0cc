//! Manifests, configs and archives from anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Document, ImageConfig, Raw};

fuzz_target!(|bytes: &[u8]| {
    let _ = Document::parse(bytes.to_vec(), None, None);
    let _ = Raw::<ImageConfig>::parse(bytes.to_vec(), "image config");
    if let Ok(archive) =
        oci::archive::Archive::read(Box::new(bytes), std::path::Path::new("/dev/shm"))
    {
        for image in archive.images() {
            let _ = archive.load(image, &oci::Platform::host());
        }
    }
});

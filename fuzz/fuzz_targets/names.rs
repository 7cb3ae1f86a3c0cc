//! A name, digest or platform that is read is printed as what is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<oci::Reference>() {
        assert_eq!(name.to_string().parse::<oci::Reference>().expect("a name"), name);
        assert!(!name.repository().contains(".."));
    }
    if let Ok(digest) = text.parse::<oci::Digest>() {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(platform) = text.parse::<oci::Platform>() {
        let _ = platform.serves(&oci::Platform::host());
    }
});

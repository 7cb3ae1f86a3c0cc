//! Package URLs of images: how statements about software name them.

use crate::{Platform, Reference};

/// The package URL of an image for a platform, as BuildKit writes it:
/// `pkg:docker/r.io/name@tag?platform=linux%2Famd64`.
pub fn package_url(image: &Reference, platform: &Platform) -> String {
    let repository = image.familiar_repository();
    let mut url = format!("pkg:docker/{repository}");
    // A digest says all; a tag beside it is kept, as it was written.
    let tag = match image.digest() {
        Some(_) => image.tag(),
        None => image.tag_or_default(),
    };
    if let Some(tag) = tag {
        url.push('@');
        url.push_str(tag);
    }
    url.push('?');
    if let Some(digest) = image.digest() {
        url.push_str(&format!("digest={}&", escaped(&digest.to_string())));
    }
    url.push_str(&format!("platform={}", escaped(&platform.normalized().to_string())));
    url
}

/// A value behind `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_as_buildkit_names_them() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (name, expected) in [
            ("busybox", "pkg:docker/busybox@latest?platform=linux%2Farm%2Fv7".to_owned()),
            ("foo/bar:1", "pkg:docker/foo/bar@1?platform=linux%2Farm%2Fv7".to_owned()),
            ("h:5/a/b:1", "pkg:docker/h:5/a/b@1?platform=linux%2Farm%2Fv7".to_owned()),
            (
                &format!("r.io/a@{digest}"),
                format!("pkg:docker/r.io/a?digest={digest}&platform=linux%2Farm%2Fv7"),
            ),
        ] {
            let platform = "linux/arm/v7".parse().unwrap();
            assert_eq!(package_url(&name.parse().unwrap(), &platform), expected, "{name}");
        }
    }
}

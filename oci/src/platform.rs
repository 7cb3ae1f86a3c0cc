//! Platforms: `os/architecture[/variant]` (OCI image-spec, "Image Index", `platform`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Where an image runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture in Go's words: `amd64`, `arm64`.
    pub architecture: String,
    /// Operating system in Go's words: `linux`.
    pub os: String,
    /// Version of the operating system (Windows).
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Required features of the operating system.
    #[serde(default, rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// CPU variant: `v7`, `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform that this program was built for.
    pub fn host() -> Platform {
        let (architecture, variant) = normalize(std::env::consts::ARCH, None);
        Platform { os: "linux".into(), ..Platform::bare(architecture, variant) }
    }

    fn bare(architecture: String, variant: Option<String>) -> Platform {
        let os = String::new();
        Platform { architecture, os, os_version: None, os_features: Vec::new(), variant }
    }

    /// How well an image made for `self` serves `wanted`: `None` not at all, else the lower the
    /// better. An ARM CPU also runs what was made for its older variants.
    pub fn serves(&self, wanted: &Platform) -> Option<u32> {
        let (architecture, variant) = normalize(&self.architecture, self.variant.as_deref());
        let (wanted_arch, wanted_variant) =
            normalize(&wanted.architecture, wanted.variant.as_deref());
        if self.os != wanted.os {
            return None;
        }
        if let (Some(ours), Some(theirs)) = (&self.os_version, &wanted.os_version)
            && ours != theirs
        {
            return None;
        }
        let level = |variant: &Option<String>| match variant {
            None => Some(0),
            Some(text) => text.strip_prefix('v')?.parse::<u32>().ok(),
        };
        match (architecture.as_str(), wanted_arch.as_str()) {
            (a, b) if a == b => {
                if variant == wanted_variant {
                    return Some(0);
                }
                let (have, want) = (level(&variant)?, level(&wanted_variant)?);
                (have <= want).then(|| want - have)
            }
            // A 64-bit ARM CPU runs 32-bit images, as a last resort.
            ("arm", "arm64") => Some(100 - level(&variant)?.min(99)),
            _ => None,
        }
    }

    /// The platform with its names in the usual form (`x86_64` is `amd64`).
    pub fn normalized(&self) -> Platform {
        let (architecture, variant) = normalize(&self.architecture, self.variant.as_deref());
        Platform { architecture, variant, ..self.clone() }
    }
}

/// Go's names for what goes by several, and no variant where it is the usual one.
fn normalize(architecture: &str, variant: Option<&str>) -> (String, Option<String>) {
    let architecture = architecture.to_ascii_lowercase();
    let variant = variant.map(str::to_ascii_lowercase).filter(|v| !v.is_empty());
    let (architecture, variant) = match architecture.as_str() {
        "x86_64" | "x86-64" | "amd64" => ("amd64", variant.filter(|v| v != "v1")),
        "i386" | "i486" | "i586" | "i686" | "x86" => ("386", None),
        "aarch64" | "arm64" => ("arm64", variant.filter(|v| v != "8" && v != "v8")),
        "armhf" => ("arm", Some("v7".into())),
        "armel" => ("arm", Some("v6".into())),
        "arm" => ("arm", Some(arm_variant(variant))),
        "powerpc64le" => ("ppc64le", variant),
        _ => (architecture.as_str(), variant),
    };
    (architecture.to_owned(), variant)
}

fn arm_variant(variant: Option<String>) -> String {
    match variant {
        None => "v7".into(),
        Some(v) if v.starts_with('v') => v,
        Some(v) => format!("v{v}"),
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Platform> {
        let invalid = |reason| Error::InvalidPlatform { text: text.to_owned(), reason };
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &&str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-()".contains(&b))
        };
        if !parts.iter().all(word) {
            return Err(invalid("it should look like `linux/amd64`"));
        }
        let (os, architecture, variant) = match parts[..] {
            [one] if is_os(one) => (one, std::env::consts::ARCH, None),
            [one] if is_architecture(one) => ("linux", one, None),
            [_] => return Err(invalid("neither an operating system nor an architecture we know")),
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(invalid("it has more than three parts")),
        };
        // `windows(10.0.1)/amd64` carries the version of the system.
        let (os, os_version) = match os.split_once('(') {
            Some((os, version)) => (os, Some(version.trim_end_matches(')').to_owned())),
            None => (os, None),
        };
        let (architecture, variant) = normalize(architecture, variant);
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        Ok(Platform { os, os_version, ..Platform::bare(architecture, variant) })
    }
}

fn is_os(word: &str) -> bool {
    let known = [
        "linux", "windows", "darwin", "macos", "freebsd", "netbsd", "openbsd", "solaris", "wasip1",
    ];
    known.contains(&word.to_ascii_lowercase().as_str())
}

fn is_architecture(word: &str) -> bool {
    let known = [
        "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
        "ppc64le", "riscv64", "s390x", "wasm",
    ];
    known.contains(&normalize(word, None).0.as_str())
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_normalized() {
        for (given, printed) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("arm64", "linux/arm64"),
            ("Windows/AMD64", "windows/amd64"),
        ] {
            assert_eq!(platform(given).to_string(), printed, "{given}");
        }
        for text in ["", "linux/", "a/b/c/d", "nonsense", "linux/../x"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_older_variant_serves_a_newer_cpu() {
        let v7 = platform("linux/arm/v7");
        let best = ["linux/arm/v5", "linux/arm/v6", "linux/arm64", "linux/amd64"]
            .into_iter()
            .filter_map(|have| Some((platform(have).serves(&v7)?, have)))
            .min();
        assert_eq!(best, Some((1, "linux/arm/v6")));
        assert_eq!(v7.serves(&platform("linux/arm/v6")), None);
        assert_eq!(platform("linux/amd64").serves(&platform("linux/amd64")), Some(0));
        assert_eq!(platform("linux/amd64/v3").serves(&platform("linux/amd64")), None);
    }
}

//! Which endpoint a path names. Repositories' names contain slashes, so paths are read from
//! their end (distribution-spec, "Endpoints").

/// What a path names; the parts are decoded and not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/v2/`
    Ping,
    /// `/v2/_catalog`
    Catalog,
    /// `/healthz`, `/readyz`
    Health,
    /// `/metrics`
    Metrics,
    /// `/token`
    Token,
    /// `/`, `/ui/<name>` and `/ui/<name>@<digest>`: pages for people.
    Page { name: Option<String>, digest: Option<String> },
    /// `/v2/<name>/blobs/<digest>`
    Blob { name: String, digest: String },
    /// `/v2/<name>/blobs/uploads/`
    Uploads { name: String },
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload { name: String, id: String },
    /// `/v2/<name>/manifests/<tag-or-digest>`
    Manifest { name: String, reference: String },
    /// `/v2/<name>/tags/list`
    Tags { name: String },
    /// `/v2/<name>/referrers/<digest>`
    Referrers { name: String, digest: String },
}

impl Endpoint {
    /// The endpoint of a path, `None` if there is none.
    pub(crate) fn parse(path: &str) -> Option<Endpoint> {
        let rest = match path {
            "/v2" | "/v2/" => return Some(Endpoint::Ping),
            "/v2/_catalog" => return Some(Endpoint::Catalog),
            "/healthz" | "/readyz" => return Some(Endpoint::Health),
            "/metrics" => return Some(Endpoint::Metrics),
            "/token" => return Some(Endpoint::Token),
            "/" => return Some(Endpoint::Page { name: None, digest: None }),
            _ if path.starts_with("/ui/") => {
                let (name, digest) = match path[4..].split_once('@') {
                    Some((name, digest)) => (name, Some(decode(digest)?)),
                    None => (&path[4..], None),
                };
                return Some(Endpoint::Page { name: Some(decode(name)?), digest });
            }
            _ => path.strip_prefix("/v2/")?,
        };
        // Decoded after they are split: an encoded slash must not make a new segment.
        let segments: Vec<String> = rest.split('/').map(decode).collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let endpoint = match segments.as_slice() {
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Endpoint::Uploads { name: join(name)? }
            }
            [name @ .., "blobs", "uploads", id] => {
                Endpoint::Upload { name: join(name)?, id: (*id).to_owned() }
            }
            [name @ .., "blobs", digest] => {
                Endpoint::Blob { name: join(name)?, digest: (*digest).to_owned() }
            }
            [name @ .., "manifests", reference] => {
                Endpoint::Manifest { name: join(name)?, reference: (*reference).to_owned() }
            }
            [name @ .., "tags", "list"] => Endpoint::Tags { name: join(name)? },
            [name @ .., "referrers", digest] => {
                Endpoint::Referrers { name: join(name)?, digest: (*digest).to_owned() }
            }
            _ => return None,
        };
        Some(endpoint)
    }

    /// The same of the repository whose name begins with `prefix`.
    pub(crate) fn below(mut self, prefix: &str) -> Endpoint {
        match &mut self {
            Endpoint::Blob { name, .. }
            | Endpoint::Uploads { name }
            | Endpoint::Upload { name, .. }
            | Endpoint::Manifest { name, .. }
            | Endpoint::Tags { name }
            | Endpoint::Referrers { name, .. } => *name = format!("{prefix}/{name}"),
            _ => {}
        }
        self
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Endpoint::Blob { name, .. }
            | Endpoint::Uploads { name }
            | Endpoint::Upload { name, .. }
            | Endpoint::Manifest { name, .. }
            | Endpoint::Tags { name }
            | Endpoint::Page { name: Some(name), .. }
            | Endpoint::Referrers { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What it is called where endpoints are counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Endpoint::Ping => "ping",
            Endpoint::Catalog => "catalog",
            Endpoint::Health => "health",
            Endpoint::Metrics => "metrics",
            Endpoint::Token => "token",
            Endpoint::Page { .. } => "page",
            Endpoint::Blob { .. } => "blob",
            Endpoint::Uploads { .. } | Endpoint::Upload { .. } => "upload",
            Endpoint::Manifest { .. } => "manifest",
            Endpoint::Tags { .. } => "tags",
            Endpoint::Referrers { .. } => "referrers",
        }
    }
}

fn join(segments: &[&str]) -> Option<String> {
    (!segments.is_empty()).then(|| segments.join("/"))
}

fn decode(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let high = char::from(rest.next()?).to_digit(16)?;
        let low = char::from(rest.next()?).to_digit(16)?;
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_look_like_endpoints() {
        let name = |text: &str| text.to_owned();
        for (path, expected) in [
            ("/v2/", Some(Endpoint::Ping)),
            ("/v2", Some(Endpoint::Ping)),
            ("/v2/_catalog", Some(Endpoint::Catalog)),
            ("/v2/a/b/tags/list", Some(Endpoint::Tags { name: name("a/b") })),
            ("/v2/tags/list/tags/list", Some(Endpoint::Tags { name: name("tags/list") })),
            (
                "/v2/a/blobs/uploads/blobs/uploads/",
                Some(Endpoint::Uploads { name: name("a/blobs/uploads") }),
            ),
            ("/v2/a/blobs/uploads/x", Some(Endpoint::Upload { name: name("a"), id: name("x") })),
            (
                "/v2/a/manifests/sha256%3Aab",
                Some(Endpoint::Manifest { name: name("a"), reference: name("sha256:ab") }),
            ),
            (
                "/v2/a/blobs/..%2f..",
                Some(Endpoint::Blob { name: name("a"), digest: name("../..") }),
            ),
            ("/v2/manifests/x", None),
            ("/v2/a/manifests/%zz", None),
            ("/v2/a/other/x", None),
            ("/v1/", None),
        ] {
            assert_eq!(Endpoint::parse(path), expected, "{path}");
        }
    }
}

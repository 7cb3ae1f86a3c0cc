//! What a reference means.

use gix::ObjectId;
use gix::progress::Discard;
use gix::protocol::handshake::Ref;
use gix::protocol::ls_refs::RefPrefixes;
use gix::protocol::transport::Service;
use gix::protocol::{LsRefsCommand, handshake};

use crate::error::{Error, Result};
use crate::transport::transport;
use crate::web::Web;

/// The reference that a repository chooses itself.
const HEAD: &str = "HEAD";

/// A reference of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its whole name, as `refs/heads/main`.
    pub(crate) name: String,
    /// The commit that it means, tags followed.
    pub(crate) commit: ObjectId,
}

/// The commit that `reference` of the repository at `url` means, in hexadecimal digits: of
/// several of that name a whole one (`refs/…`) comes first, then a branch, then a tag. The
/// repository's own choice if none is named; a name of 40 digits is a commit.
///
/// # Errors
/// If the server cannot be asked, or has no such reference.
pub fn resolve(web: &dyn Web, url: &str, reference: Option<&str>) -> Result<String> {
    if let Some(found) = find(web, url, reference)? {
        return Ok(found.commit.to_string());
    }
    let name = reference.unwrap_or(HEAD);
    match ObjectId::from_hex(name.as_bytes()) {
        Ok(commit) => Ok(commit.to_string()),
        Err(_) => Err(Error::NoReference { reference: name.to_owned() }),
    }
}

/// The reference that `reference` means, if there is one.
pub(crate) fn find(web: &dyn Web, url: &str, reference: Option<&str>) -> Result<Option<Found>> {
    let candidates = candidates(reference);
    let known = list(web, url, &candidates)?;
    let find = |name: &String| known.iter().find(|found| found.name == *name);
    Ok(candidates.iter().find_map(find).cloned())
}

/// The whole names that a reference may stand for, the first that there is first.
fn candidates(reference: Option<&str>) -> Vec<String> {
    let Some(name) = reference.filter(|name| *name != HEAD) else { return vec![HEAD.to_owned()] };
    let mut candidates = vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")];
    if name.starts_with("refs/") {
        candidates.insert(0, name.to_owned());
    } else if name.contains('/') {
        // `heads/main`, `pull/1/head`.
        candidates.push(format!("refs/{name}"));
    }
    candidates
}

/// The references of the server whose names begin with one of `prefixes`, and perhaps others.
fn list(web: &dyn Web, url: &str, prefixes: &[String]) -> Result<Vec<Found>> {
    let mut transport = transport(web, url)?;
    let asked = "ask for the references of the repository";
    let no_credentials = |_| Ok(None);
    let handshake =
        handshake(&mut transport, Service::UploadPack, no_credentials, Vec::new(), &mut Discard)
            .map_err(Error::git(asked))?;
    let refs = match handshake.refs {
        Some(refs) => refs,
        None => {
            let mut wanted = RefPrefixes::new();
            wanted.extend(prefixes.iter().map(|prefix| prefix.as_str().into()));
            let agent = ("agent", Some("tierce".into()));
            LsRefsCommand::new(Some(wanted), &handshake.capabilities, agent)
                .invoke_blocking(&mut transport, &mut Discard, false)
                .map_err(Error::git(asked))?
        }
    };
    Ok(refs.iter().filter_map(found).collect())
}

fn found(reference: &Ref) -> Option<Found> {
    let (name, commit) = match reference {
        Ref::Peeled { full_ref_name, object, .. }
        | Ref::Direct { full_ref_name, object }
        | Ref::Symbolic { full_ref_name, object, .. } => (full_ref_name, object),
        Ref::Unborn { .. } => return None,
    };
    Some(Found { name: name.to_string(), commit: *commit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_comes_before_a_branch_and_that_before_a_tag() {
        assert_eq!(candidates(None), ["HEAD"]);
        assert_eq!(candidates(Some("v1")), ["refs/heads/v1", "refs/tags/v1"]);
        assert_eq!(
            candidates(Some("refs/tags/v1")),
            ["refs/tags/v1", "refs/heads/refs/tags/v1", "refs/tags/refs/tags/v1"]
        );
        let pull = ["refs/heads/pull/1/head", "refs/tags/pull/1/head", "refs/pull/1/head"];
        assert_eq!(candidates(Some("pull/1/head")), pull);
    }
}

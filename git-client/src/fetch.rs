//! A commit out of a server into a repository.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use gix::progress::Discard;
use gix::remote::fetch::{Shallow, Tags};
use gix::remote::{Direction, ref_map};
use gix::{ObjectId, Repository};

use crate::error::{Error, Result};
use crate::transport::{parsed, transport};
use crate::web::Web;

/// The largest file of a repository, in bytes: files are held in memory whole, and a pack can say
/// of a few bytes that they become any number.
const MAX_OBJECT: u64 = 2 << 30;

/// Makes an empty repository whose files will be in `directory`.
pub(crate) fn init(directory: &Path) -> Result<Repository> {
    let options = gix::open::Options::isolated();
    let made = gix::ThreadSafeRepository::init_opts(
        directory,
        gix::create::Kind::WithWorktree,
        gix::create::Options::default(),
        options.config_overrides([
            "core.logAllRefUpdates=false".to_owned(),
            format!("gitoxide.objects.allocLimit={MAX_OBJECT}"),
        ]),
    );
    Ok(made.map_err(Error::git("make a repository"))?.to_thread_local())
}

/// Fetches a commit, and the references `named` as far as they mean it: without its history if the
/// server gives single commits, else with all there is.
pub(crate) fn fetch(
    web: &dyn Web,
    url: &str,
    repository: &Repository,
    commit: ObjectId,
    named: &[String],
    interrupt: &AtomicBool,
) -> Result<()> {
    let mut wanted: Vec<String> = vec![format!("+{commit}:refs/fetched")];
    wanted.extend(named.iter().map(|name| format!("+{name}:{name}")));
    let shallow = Shallow::DepthAtRemote(NonZeroU32::MIN);
    let alone = receive(web, url, repository, &wanted, shallow, interrupt);
    let Err(error) = alone else { return Ok(()) };
    tracing::debug!(%error, "the server gives no single commit");
    let all = ["+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*"];
    let all: Vec<String> = all.map(str::to_owned).to_vec();
    if receive(web, url, repository, &all, Shallow::NoChange, interrupt).is_ok()
        && repository.has_object(commit)
    {
        return Ok(());
    }
    Err(error)
}

fn receive(
    web: &dyn Web,
    url: &str,
    repository: &Repository,
    wanted: &[String],
    shallow: Shallow,
    interrupt: &AtomicBool,
) -> Result<()> {
    let failed = || Error::git("fetch the commit");
    let remote = repository.remote_at_without_url_rewrite(parsed(url)?).map_err(failed())?;
    let remote = remote
        .with_fetch_tags(Tags::None)
        .with_refspecs(wanted.iter().map(String::as_str), Direction::Fetch)
        .map_err(failed())?;
    let connection = remote
        .to_connection_with_transport(transport(web, url)?)
        .with_credentials(|_| Ok(None))
        .prepare_fetch(Discard, ref_map::Options::default())
        .map_err(failed())?
        .with_shallow(shallow);
    connection.receive(Discard, interrupt).map_err(failed())?;
    Ok(())
}

//! `cargo xtask compare`: the cases of `testdata/dockerfile`, built by Tierce and by a peer.

mod builders;
mod difference;
mod habits;
mod image;
mod options;
mod record;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use testutil::Case;

use crate::cargo::{build_tierce, workspace};
use crate::step::{Result, find_program};
use builders::{BASE, Builder};
use difference::differences;
use habits::Habits;
use image::Image;
use options::{Options, USAGE};

/// How old a part of a build may be that the peer takes from its cache all the same, in seconds.
const CACHED: u64 = 24 * 60 * 60;

/// How a case went.
enum Outcome {
    Equal,
    /// Differences that the case lists.
    Deliberate(Vec<String>),
    Different(Vec<String>),
    Skipped(String),
}

/// Does what the arguments say.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let Some(peer) = options.peer else {
        println!("{USAGE}");
        return Ok(());
    };
    let scratch = testutil::Scratch::new();
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build_tierce("release")?,
    };
    let theirs = Builder::Peer(peer, options.via.clone());
    let habits = Habits::of(peer)?;
    let archive = scratch.join("base.tar");
    let base =
        share_base(&Builder::Tierce(binary.clone(), scratch.join("store")), &theirs, &archive)?;
    let mut counts = [0_usize; 4];
    for case in cases(&options.cases)? {
        let dir = scratch.join(&case.name);
        let outcome = if options.record {
            record_case(&case, &theirs, &base, &dir)?
        } else {
            // A store of its own: files that a case before had, too, would keep their times there.
            let ours = Builder::Tierce(binary.clone(), dir.join("store"));
            ours.load(&archive)?;
            compare_case(&case, &ours, &theirs, &habits, &dir)?
        };
        let (which, word, lines) = match outcome {
            Outcome::Equal => (0, "same", Vec::new()),
            Outcome::Deliberate(lines) => (1, "deliberate", lines),
            Outcome::Different(lines) => (2, "DIFFERENT", lines),
            Outcome::Skipped(why) => (3, "skipped", vec![why]),
        };
        counts[which] += 1;
        println!("{word:10} {}", case.name);
        lines.iter().for_each(|line| println!("    {line}"));
        let _ = std::fs::remove_dir_all(&dir);
    }
    theirs.forget();
    let [same, deliberate, different, skipped] = counts;
    println!(
        "{same} the same, {deliberate} deliberately not, {different} different, {skipped} skipped"
    );
    if different > 0 { Err(format!("{different} cases differ")) } else { Ok(()) }
}

/// The cases asked for.
fn cases(names: &[String]) -> Result<Vec<Case>> {
    let all = workspace().join("testdata/dockerfile");
    if names.is_empty() {
        return Case::all(&all);
    }
    names.iter().map(|name| Case::read(all.join(name))).collect()
}

/// Builds the base image and gives it to both.
fn share_base(ours: &Builder, theirs: &Builder, archive: &Path) -> Result<Image> {
    let context = archive.with_file_name("base");
    let program = find_program("busybox").ok_or("busybox is missing: install busybox-static")?;
    let failed = |e: std::io::Error| format!("{}: {e}", context.display());
    std::fs::create_dir(&context).map_err(failed)?;
    std::fs::copy(program, context.join("busybox")).map_err(failed)?;
    let dockerfile = workspace().join("testdata/busybox/Dockerfile");
    std::fs::copy(dockerfile, context.join("Dockerfile")).map_err(failed)?;
    ours.build_base(&context)?;
    ours.save(BASE, archive)?;
    theirs.load(archive)?;
    Image::read(archive)
}

/// Why a case cannot be built by others.
fn is_ours_alone(case: &Case) -> Option<String> {
    if case.expected.request.no_context {
        return Some("it has no context, and others take an empty one".to_owned());
    }
    if case.dir.join("cdi").is_dir() {
        return Some("it describes devices that the machine does not have".to_owned());
    }
    case.expected.alone.clone()
}

fn record_case(case: &Case, theirs: &Builder, base: &Image, dir: &Path) -> Result<Outcome> {
    if let Some(why) = is_ours_alone(case) {
        return Ok(Outcome::Skipped(why));
    }
    let context = lay_out(case, dir);
    match theirs.build(case, &context, dir)? {
        Ok(built) => record::record(case, &built, base).map(|()| Outcome::Equal),
        Err(refusal) => Ok(Outcome::Different(vec![format!("refused: {refusal}")])),
    }
}

fn compare_case(
    case: &Case,
    ours: &Builder,
    theirs: &Builder,
    habits: &Habits,
    dir: &Path,
) -> Result<Outcome> {
    if let Some(why) = is_ours_alone(case) {
        return Ok(Outcome::Skipped(why));
    }
    let context = lay_out(case, dir);
    let begin = seconds();
    let (our, their) = (ours.build(case, &context, dir)?, theirs.build(case, &context, dir)?);
    let lines = match (our, their) {
        (Ok(mut our), Ok(mut their)) => {
            habits.leave_out(&mut our, &mut their);
            differences(&our, &their, &(begin.saturating_sub(CACHED)..seconds() + 1))
        }
        (Err(_), Err(_)) => Vec::new(),
        (Err(refusal), Ok(_)) => vec![format!("only tierce refuses: {refusal}")],
        (Ok(_), Err(refusal)) => vec![format!("only the peer refuses: {refusal}")],
    };
    Ok(sort_out(case, lines, habits))
}

/// Tells what was meant from what was not.
fn sort_out(case: &Case, lines: Vec<String>, habits: &Habits) -> Outcome {
    if lines.is_empty() {
        return Outcome::Equal;
    }
    if let Some(reason) = habits.reason(case) {
        return Outcome::Deliberate(vec![reason.to_owned()]);
    }
    let reason = |line: &String| {
        let listed = case.expected.deliberate.iter().find(|known| line.contains(&known.what));
        listed.map(|known| known.why.clone())
    };
    match lines.iter().map(reason).collect::<Option<Vec<String>>>() {
        Some(mut reasons) => {
            reasons.dedup();
            Outcome::Deliberate(reasons)
        }
        None => Outcome::Different(lines),
    }
}

fn lay_out(case: &Case, dir: &Path) -> PathBuf {
    let context = dir.join("context");
    case.lay_out(&context);
    context
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

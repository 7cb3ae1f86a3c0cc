//! What refers to an image.

use std::collections::HashSet;

use oci::{Descriptor, Reference};
use serde_json::json;

use super::Asker;
use crate::app::App;
use crate::clients::ConnectionArgs;
use crate::error::{Failure, Outcome};
use crate::ui::human;
use crate::ui::say;
use crate::ui::table::Table;

/// How many lines a tree has at most.
const MAX_LINES: usize = 10_000;

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A line for each
    Table,
    /// The descriptors, as the registry lists them
    Json,
}

#[derive(clap::Args)]
pub(crate) struct Referrers {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Only artifacts of this type
    #[arg(long, value_name = "MEDIA TYPE")]
    artifact_type: Option<String>,
    /// How the list is printed
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The image
    image: Reference,
}

#[derive(clap::Args)]
pub(crate) struct Discover {
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Only artifacts of this type
    #[arg(long, value_name = "MEDIA TYPE")]
    artifact_type: Option<String>,
    /// The image
    image: Reference,
}

/// Lists them.
pub(super) fn list(args: &Referrers, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let subject = asker.ask(asker.client.resolve(&args.image))?.digest;
    let kind = args.artifact_type.as_deref();
    let found = asker.ask(asker.client.referrers(&args.image, &subject, kind))?;
    match args.format {
        Format::Json => say!("{}", json!(found)),
        Format::Table => {
            let mut table = Table::new(&["DIGEST", "ARTIFACT TYPE", "SIZE"]);
            for referrer in &found {
                let size = human::size(referrer.size);
                table.row(vec![referrer.digest.to_string(), kind_of(referrer), size]);
            }
            say!("{}", table.render().trim_end());
        }
    }
    Ok(0)
}

/// Shows them as a tree.
pub(crate) fn discover(args: &Discover, app: &App) -> Outcome {
    let asker = Asker::of(app, &args.connection, &args.image)?;
    let subject = asker.ask(asker.client.resolve(&args.image))?;
    say!("{}", args.image.with_digest(subject.digest.clone()).familiar());
    let kind = args.artifact_type.as_deref();
    let mut tree = Tree { asker: &asker, image: &args.image, kind, seen: HashSet::new() };
    tree.below(&subject, "")?;
    Ok(0)
}

struct Tree<'a> {
    asker: &'a Asker<'a>,
    image: &'a Reference,
    kind: Option<&'a str>,
    /// What was shown: a tree that leads into itself is shown once.
    seen: HashSet<oci::Digest>,
}

impl Tree<'_> {
    fn below(&mut self, subject: &Descriptor, indent: &str) -> Result<(), Failure> {
        if self.seen.len() > MAX_LINES || !self.seen.insert(subject.digest.clone()) {
            return Ok(());
        }
        let referrers = self.asker.client.referrers(self.image, &subject.digest, self.kind);
        let found = self.asker.ask(referrers)?;
        for (position, referrer) in found.iter().enumerate() {
            let last = position + 1 == found.len();
            let (branch, deeper) =
                if last { ("└── ", "    ") } else { ("├── ", "│   ") };
            say!("{indent}{branch}{} {}", kind_of(referrer), referrer.digest);
            self.below(referrer, &format!("{indent}{deeper}"))?;
        }
        Ok(())
    }
}

fn kind_of(referrer: &Descriptor) -> String {
    let media_type = || referrer.media_type.to_string();
    referrer.artifact_type.clone().unwrap_or_else(media_type)
}
